//! Record batches: what a produce request brings, under all rules, and what is read back.
//!
//! The fuzzer chooses how far its bytes are put right: not at all, the length and the CRC, a whole header around contents that a
//! codec has packed, or records that a producer would send.
//!
//! Checked: nothing comes out of a codec beyond the limits; what was found valid is stored as what was found valid, and all of
//! its records can be read; what a producer builds is refused for one of the rules only.

use bytes::Bytes;
use protocol::records::compression::compress;
use protocol::records::{
    Attributes, BATCH_OVERHEAD, BatchBuilder, BatchHeader, BatchOptions, Batches, Codec, Compression,
    HeaderRef, Limits, NewRecord, Origin, Records, Rules, Scratch, TimestampType, ValidBatch, Validated,
    crc32c, validate,
};
use protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use crate::Input;

const NOW_MS: i64 = 1_700_000_000_000;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let rules = rules(&mut input);
    let (batch, sound) = match input.byte() % 4 {
        0 => (input.rest().to_vec(), false),
        1 => (put_right(input.rest().to_vec()), false),
        2 => (packed(&mut input), false),
        _ => match built(&mut input) {
            Some(batch) => (batch, true),
            None => return,
        },
    };
    let batch = Bytes::from(batch);
    read_all(&batch, &rules.limits);

    let mut scratch = Scratch::new();
    let validated = validate(batch.clone(), &rules, NOW_MS, &mut scratch);
    let bound = rules.limits.bound(batch.len());
    assert!(scratch.capacity() <= bound + 1, "{} bytes of at most {bound}", scratch.capacity());
    match validated {
        Ok(validated) => check_valid(&batch, &rules, &validated),
        Err(refusal) => {
            let may_be = rules.compacted
                || rules.limits.decompressed_bytes_max < 1 << 20
                || rules.timestamp_before_max_ms < i64::MAX
                || rules.timestamp_after_max_ms < i64::MAX
                || rules.message_bytes_max < 1 << 20
                || !rules.zstd_allowed;
            assert!(!sound || may_be || rules.limits.ratio_max < 2_000, "a sound batch: {refusal}");
        }
    }
}

fn rules(input: &mut Input<'_>) -> Rules {
    let flags = input.byte();
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let compression = input.byte();
    let codec = Codec::ALL[usize::from(compression % 5)];
    let level = (compression & 0x40 != 0).then_some(i32::from(compression >> 3 & 7) - 1);
    Rules {
        origin: if flag(0) { Origin::Coordinator } else { Origin::Client },
        message_bytes_max: if flag(1) { 200 } else { 1 << 20 },
        timestamp_type: if flag(2) { TimestampType::LogAppendTime } else { TimestampType::CreateTime },
        timestamp_before_max_ms: if flag(3) { 3_600_000 } else { i64::MAX },
        timestamp_after_max_ms: if flag(4) { 3_600_000 } else { i64::MAX },
        compacted: flag(5),
        compression: (compression & 0x80 != 0).then_some(Compression { codec, level }),
        zstd_allowed: !flag(6),
        limits: if flag(7) {
            Limits { decompressed_bytes_max: 10_000, ratio_max: 20, ratio_free_bytes: 1_000 }
        } else {
            Limits { decompressed_bytes_max: 1 << 20, ratio_max: 2_000, ratio_free_bytes: 1 << 20 }
        },
    }
}

/// With magic, length and CRC as they should be.
fn put_right(mut batch: Vec<u8>) -> Vec<u8> {
    if batch.len() < BATCH_OVERHEAD {
        return batch;
    }
    let length = i32::try_from(batch.len() - 12).unwrap();
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[16] = 2;
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

/// A header of the fuzzer's, around contents of the fuzzer's that a codec has packed.
fn packed(input: &mut Input<'_>) -> Vec<u8> {
    let attributes = Attributes(input.i16());
    let header = BatchHeader {
        base_offset: if input.flag() { Offset(input.i64()) } else { Offset::ZERO },
        batch_length: 0,
        partition_leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes,
        last_offset_delta: input.i32(),
        base_timestamp: input.i64(),
        max_timestamp: input.i64(),
        producer_id: ProducerId(input.i64()),
        producer_epoch: ProducerEpoch(input.i16()),
        base_sequence: input.i32(),
        record_count: input.i32(),
    };
    let mut batch = header.to_bytes().to_vec();
    let codec = attributes.codec().unwrap_or_default();
    compress(codec.into(), input.rest(), &mut batch).unwrap();
    put_right(batch)
}

/// What a producer sends, or a coordinator.
fn built(input: &mut Input<'_>) -> Option<Vec<u8>> {
    let flags = input.byte();
    let idempotent = flags & 1 != 0;
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: Codec::ALL[usize::from(flags >> 4) % 5].into(),
        producer_id: if idempotent { ProducerId(i64::from(input.u32())) } else { ProducerId::NONE },
        producer_epoch: if idempotent { ProducerEpoch(input.i16() & i16::MAX) } else { ProducerEpoch::NONE },
        base_sequence: if idempotent { input.i32() & i32::MAX } else { -1 },
        transactional: idempotent && flags & 2 != 0,
        ..BatchOptions::default()
    });
    while !input.is_empty() && builder.record_count() < 100 {
        let shape = input.byte();
        let (key, value) = (usize::from(shape & 7), usize::from(shape >> 3 & 7) * 8);
        let timestamp = NOW_MS + i64::from(input.i16()) * 1000;
        let key = (shape & 0x40 == 0).then(|| input.take(key));
        let value = (shape & 0x80 == 0).then(|| input.take(value));
        let headers = [HeaderRef { key: b"h", value }, HeaderRef { key: b"", value: key }];
        let headers = &headers[..usize::from(shape) % 3];
        builder.append(&NewRecord { timestamp, key, value, headers }).unwrap();
    }
    (!builder.is_empty()).then(|| builder.build().unwrap().to_vec())
}

/// As a reader does it that trusts what is stored no further than its checksums.
fn read_all(bytes: &Bytes, limits: &Limits) {
    for batch in Batches::new(bytes.clone()).take(100) {
        let Ok(batch) = batch else { return };
        let mut scratch = Scratch::new();
        let borrowed: Vec<_> = match batch.records(&mut scratch, limits) {
            Ok(records) => records
                .map(|record| record.map(|record| (record.offset, record.key.map(<[u8]>::to_vec))))
                .collect(),
            Err(_) => return,
        };
        assert!(scratch.capacity() <= limits.bound(batch.size()) + 1);
        let owned = Records::open(&batch, &mut scratch, limits).unwrap();
        let owned: Vec<_> = owned
            .map(|record| record.map(|record| (record.offset, record.key.map(|key| key.to_vec()))))
            .collect();
        assert_eq!(borrowed, owned);
        let mut emptied = batch.emptied().to_bytes();
        assert!(ValidBatch::split_from(&mut emptied).is_ok_and(|batch| batch.header().record_count == 0));
    }
}

fn check_valid(batch: &Bytes, rules: &Rules, validated: &Validated) {
    let stored = validated.batch.to_bytes();
    assert!(validated.rewritten || stored == *batch, "what is not written anew stays as it is");
    let mut left = stored.clone();
    assert_eq!(ValidBatch::split_from(&mut left).as_ref(), Ok(&validated.batch));
    assert!(left.is_empty());
    if let Some(target) = rules.compression.filter(|_| !validated.batch.header().attributes.is_control()) {
        assert_eq!(validated.batch.codec(), Ok(target.codec));
    }
    // Another codec may have packed it better than the limits of a client's batch allow.
    let limits = Limits { ratio_max: usize::MAX, ..rules.limits };
    let mut scratch = Scratch::new();
    let records = validated.batch.records(&mut scratch, &limits).unwrap().map(Result::unwrap);
    let count =
        records.enumerate().map(|(index, record)| assert_eq!(record.offset_delta as usize, index)).count();
    assert_eq!(count, validated.batch.header().record_count as usize);

    // A mirror may send it again as it is.
    let as_it_is = Rules { limits, zstd_allowed: true, ..*rules };
    if rules.timestamp_type == TimestampType::CreateTime {
        let again = validate(stored.clone(), &as_it_is, NOW_MS, &mut Scratch::new()).unwrap();
        assert_eq!((again.batch.to_bytes(), again.rewritten), (stored, false));
    }
}
