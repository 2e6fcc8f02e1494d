//! The messages of the hot path: `cargo bench -p bourn-protocol --bench messages`.

mod cpu_time;

use std::hint::black_box;

use bytes::Bytes;
use cpu_time::CpuTime;
use criterion::{Criterion, criterion_group, criterion_main};
use kafka_protocol::protocol::Decodable;
use protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{FetchResponse, MetadataResponse, ProduceRequest};
use protocol::{Message, Reader, RecordSet, Str, Uuid, Writer, rpc};

fn produce(bytes: usize) -> Bytes {
    let records = RecordSet::from(Bytes::from(vec![7; bytes]));
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let topic =
        TopicProduceData { name: Str::from("topic"), partition_data: vec![partition], ..Default::default() };
    let request =
        ProduceRequest { topic_data: vec![topic], acks: -1, timeout_ms: 30_000, ..Default::default() };
    let frame = rpc::encode_request(&mut Writer::new(), 9, 1, Some(Str::from("client")), &request);
    frame.and_then(protocol::Frame::into_bytes).expect("a small message").slice(4..)
}

fn fetch(partitions: i32, bytes: usize) -> FetchResponse {
    let records = RecordSet::from(Bytes::from(vec![7; bytes]));
    let partition = |partition_index| PartitionData {
        partition_index,
        high_watermark: 7,
        records: Some(records.clone()),
        ..Default::default()
    };
    let partitions = (0..partitions).map(partition).collect();
    let topic_id = Uuid::from_bytes([9; 16]);
    let topic = FetchableTopicResponse { topic_id, partitions, ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

fn metadata() -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        replica_nodes: vec![1, 2, 3],
        isr_nodes: vec![1, 2, 3],
        ..Default::default()
    };
    let partitions = (0..1000).map(partition).collect();
    let topic = MetadataResponseTopic { name: Some(Str::from("topic")), partitions, ..Default::default() };
    MetadataResponse { topics: vec![topic], ..Default::default() }
}

fn decode(c: &mut Criterion<CpuTime>) {
    for (name, bytes) in [("one record", 78), ("1 MiB", 1 << 20)] {
        let frame = produce(bytes);
        c.bench_function(&format!("decode Produce v9, {name}"), |b| {
            b.iter(|| {
                let mut r = Reader::new(black_box(&frame));
                let (_, header) = rpc::decode_request_header(&mut r)?;
                ProduceRequest::decode(&mut r, header.request_api_version)
            });
        });
    }
    // The body alone, and another implementation of it for scale: the ratio says more than times of a busy machine.
    let frame = produce(78);
    let mut r = Reader::new(&frame);
    rpc::decode_request_header(&mut r).expect("a header that was just written");
    let body = r.rest();
    c.bench_function("decode Produce v9, one record, body", |b| {
        b.iter(|| ProduceRequest::decode(&mut Reader::new(black_box(&body)), 9));
    });
    c.bench_function("decode Produce v9, one record, body by kafka-protocol", |b| {
        b.iter(|| kafka_protocol::messages::ProduceRequest::decode(&mut black_box(&body).clone(), 9));
    });
    let bytes = metadata().to_bytes(12).expect("a small message");
    c.bench_function("decode Metadata v12, 1000 partitions", |b| {
        b.iter(|| MetadataResponse::from_bytes(black_box(&bytes), 12));
    });
}

fn encode(c: &mut Criterion<CpuTime>) {
    let cases = [
        ("1 partition of 1 MiB", fetch(1, 1 << 20)),
        ("100 partitions of 178 B", fetch(100, 178)),
        ("100 partitions of 10 KiB", fetch(100, 10 << 10)),
        ("500 empty partitions", fetch(500, 0)),
    ];
    for (name, response) in &cases {
        let mut w = Writer::with_capacity(1 << 16);
        c.bench_function(&format!("encode Fetch v16, {name}"), |b| {
            b.iter(|| rpc::encode_response(&mut w, 16, 1, black_box(response)));
        });
    }
    let response = metadata();
    let mut w = Writer::with_capacity(1 << 16);
    c.bench_function("encode Metadata v12, 1000 partitions", |b| {
        b.iter(|| rpc::encode_response(&mut w, 12, 1, black_box(&response)));
    });
}

criterion_group!(name = benches; config = cpu_time::criterion(); targets = decode, encode);
criterion_main!(benches);
