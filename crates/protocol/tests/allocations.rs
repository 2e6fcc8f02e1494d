//! What the hot messages allocate.

use bytes::Bytes;
use protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{FetchResponse, ProduceRequest};
use protocol::records::{BatchBuilder, BatchOptions, Codec, NewRecord, Rules, Scratch, validate};
use protocol::{Message, Reader, RecordSet, Str, Writer, rpc};

#[test]
fn decoding_a_produce_request_allocates_its_two_arrays() {
    let records = RecordSet::from(Bytes::from(vec![7; 100]));
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let topic =
        TopicProduceData { name: Str::from("topic"), partition_data: vec![partition], ..Default::default() };
    let request =
        ProduceRequest { topic_data: vec![topic], acks: -1, timeout_ms: 30_000, ..Default::default() };
    let mut w = Writer::new();
    let frame = rpc::encode_request(&mut w, 9, 1, Some(Str::from("client")), &request).unwrap();
    // As the network gives it: the whole frame behind its length, shared already.
    let frame = frame.into_bytes().unwrap();
    let body = frame.slice(4..);
    let used = allocation_counter::measure(|| {
        let mut r = Reader::new(&body);
        let (_, header) = rpc::decode_request_header(&mut r).unwrap();
        let read = ProduceRequest::decode(&mut r, header.request_api_version).unwrap();
        assert_eq!(read.acks, -1);
    });
    assert!(used.count_total <= 2, "{used:?}");
}

#[test]
fn encoding_a_fetch_response_copies_no_records() {
    let records = RecordSet::from(Bytes::from(vec![7; 1 << 20]));
    let partition = PartitionData { records: Some(records), ..Default::default() };
    let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    let response = FetchResponse { responses: vec![topic], ..Default::default() };
    let mut w = Writer::with_capacity(4096);
    // The first time, buffers that were owned become shared.
    rpc::encode_response(&mut w, 16, 1, &response).unwrap();
    let used = allocation_counter::measure(|| {
        let frame = rpc::encode_response(&mut w, 16, 1, &response).unwrap();
        assert!(frame.len() > 1 << 20);
    });
    assert_eq!(used.count_total, 0, "{used:?}");
}

/// The records of a batch are looked at one by one, packed or not, in memory that the batch before has left.
#[test]
fn validating_a_batch_allocates_nothing_for_its_records() {
    let rules = Rules { timestamp_after_max_ms: i64::MAX, compacted: true, ..Rules::default() };
    let mut scratch = Scratch::new();
    for codec in Codec::ALL {
        let used = |scratch: &mut Scratch, count: usize| {
            let mut builder =
                BatchBuilder::new(BatchOptions { compression: codec.into(), ..BatchOptions::default() });
            for _ in 0..count {
                let (key, value) = (Some(&b"key"[..]), Some(&b"value, value"[..]));
                builder.append(&NewRecord { timestamp: 1, key, value, headers: &[] }).unwrap();
            }
            let batch = builder.build().unwrap();
            validate(batch.clone(), &rules, 0, scratch).unwrap();
            allocation_counter::measure(|| drop(validate(batch.clone(), &rules, 0, scratch))).count_total
        };
        let (one, many) = (used(&mut scratch, 1), used(&mut scratch, 1_000));
        // The lz4 decoder has buffers of its own for each frame, and gzip's begins each stream anew.
        let most = match codec {
            Codec::Lz4 => 4,
            Codec::Gzip => 1,
            _ => 0,
        };
        assert!(one <= most && many <= most, "{codec}: {one} for one record, {many} for 1,000");
    }
}
