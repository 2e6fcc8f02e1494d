//! What a produced batch costs before it is appended: `cargo bench -p bourn-protocol --bench records`.

mod cpu_time;

use std::hint::black_box;

use bytes::Bytes;
use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::records::{
    BatchBuilder, BatchOptions, Codec, Limits, NewRecord, Records, Rules, Scratch, ValidBatch, validate,
};

/// Records of 100 bytes, of which a part repeats, as log lines do.
fn batch(codec: Codec, count: u32) -> Bytes {
    let mut builder =
        BatchBuilder::new(BatchOptions { compression: codec.into(), ..BatchOptions::default() });
    for index in 0..count {
        let key = index.wrapping_mul(2_654_435_761).to_be_bytes();
        let value = format!(
            "{:>20} user {} clicked on an item of the list",
            index,
            index.wrapping_mul(40_503) % 9_973
        );
        let value = format!("{value:<92}");
        let record = NewRecord { timestamp: 1, key: Some(&key), value: Some(value.as_bytes()), headers: &[] };
        builder.append(&record).expect("a record fits");
    }
    builder.build().expect("a batch is built")
}

/// About 1 MiB before compression.
const MANY: u32 = 10_000;

fn benches(criterion: &mut Criterion<CpuTime>) {
    let rules = Rules { message_bytes_max: 2 << 20, timestamp_after_max_ms: i64::MAX, ..Rules::default() };
    let mut scratch = Scratch::new();
    let mut group = criterion.benchmark_group("validate");
    let one = batch(Codec::None, 1);
    group.bench_function("1 record", |bencher| {
        bencher.iter(|| validate(black_box(one.clone()), &rules, 0, &mut scratch));
    });
    for codec in Codec::ALL {
        let bytes = batch(codec, MANY);
        group.throughput(Throughput::Bytes(batch(Codec::None, MANY).len() as u64));
        group.bench_function(format!("1 MiB {codec}, {} bytes", bytes.len()), |bencher| {
            bencher.iter(|| validate(black_box(bytes.clone()), &rules, 0, &mut scratch));
        });
    }
    group.finish();

    // What small batches cost is mostly what a codec needs to begin.
    let mut group = criterion.benchmark_group("small");
    for codec in Codec::ALL {
        let bytes = batch(codec, 10);
        group.bench_function(format!("validate 10 records, {codec}"), |bencher| {
            bencher.iter(|| validate(black_box(bytes.clone()), &rules, 0, &mut scratch));
        });
        group.bench_function(format!("the same with a new scratch, {codec}"), |bencher| {
            bencher.iter(|| validate(black_box(bytes.clone()), &rules, 0, &mut Scratch::new()));
        });
    }
    for count in [10, MANY] {
        let bytes = batch(Codec::None, count);
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let rules = Rules { compression: Some(codec.into()), ..rules };
            group.bench_function(format!("recompress {count} records to {codec}"), |bencher| {
                bencher.iter(|| validate(black_box(bytes.clone()), &rules, 0, &mut scratch));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("read and write");
    let bytes = batch(Codec::None, MANY);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("check the crc of 1 MiB", |bencher| {
        bencher.iter(|| ValidBatch::split_from(&mut black_box(bytes.clone())));
    });
    let valid = ValidBatch::split_from(&mut bytes.clone()).expect("a batch is valid");
    group.bench_function("read 10,000 records", |bencher| {
        bencher.iter(|| Records::open(&valid, &mut scratch, &Limits::default()).map(Iterator::count));
    });
    group.bench_function("build 10,000 records", |bencher| {
        bencher.iter(|| batch(Codec::None, black_box(MANY)))
    });
    group.finish();
}

criterion_group!(name = all; config = cpu_time::criterion(); targets = benches);
criterion_main!(all);
