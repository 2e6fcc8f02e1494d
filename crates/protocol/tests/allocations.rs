//! What the hot messages allocate.

use bytes::Bytes;
use protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{FetchResponse, ProduceRequest};
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
