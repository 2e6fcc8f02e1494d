//! The rules of the wire that random messages do not show: limits, absent fields, unknown tags, what is shared.

use std::any::Any;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, DefaultPrincipalData, FetchRequest, FetchResponse,
    MetadataRequest, ProduceRequest, SaslAuthenticateRequest, fetch_response,
};
use protocol::wire::{Error, Extern, TaggedField};
use protocol::{ApiKey, Frame, Message, Piece, Reader, RecordSet, Str, Writer, rpc};

fn raw(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::new();
    write(&mut bytes);
    bytes.freeze()
}

fn fetch_response(records: RecordSet) -> FetchResponse {
    let partition = fetch_response::PartitionData {
        partition_index: 3,
        high_watermark: 7,
        records: Some(records),
        ..Default::default()
    };
    let topic = fetch_response::FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

#[test]
fn fields_that_a_version_lacks_are_dropped_or_refused() {
    let droppable = FetchRequest { session_id: 9, rack_id: Str::from("r"), ..Default::default() };
    let read = FetchRequest::from_bytes(&droppable.to_bytes(4).unwrap(), 4);
    assert_eq!(read, Ok(FetchRequest::default()));

    let plain = FetchRequest { forgotten_topics_data: vec![ForgottenTopic::default()], ..Default::default() };
    let refused = Error::NotInVersion { what: "ForgottenTopicsData", version: 4 };
    assert_eq!(plain.to_bytes(4), Err(refused));
    assert!(plain.to_bytes(7).is_ok());

    let replica_state = ReplicaState { replica_id: 1, ..Default::default() };
    let tagged = FetchRequest { replica_state, ..Default::default() };
    assert_eq!(tagged.to_bytes(14), Err(Error::NotInVersion { what: "ReplicaState", version: 14 }));
    assert_eq!(FetchRequest::from_bytes(&tagged.to_bytes(15).unwrap(), 15), Ok(tagged));
}

#[test]
fn our_own_field_travels_as_a_tag() {
    let partition = FetchPartition { synced_offset: 41, ..Default::default() };
    let topic = FetchTopic { partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { topics: vec![topic], ..Default::default() };
    for version in FetchRequest::VERSIONS.iter() {
        let read = FetchRequest::from_bytes(&request.to_bytes(version).unwrap(), version).unwrap();
        let synced_offset = if version >= 12 { 41 } else { -1 };
        assert_eq!(read.topics[0].partitions[0].synced_offset, synced_offset, "version {version}");
    }
}

#[test]
fn null_is_refused_where_a_version_has_none() {
    let all_topics = MetadataRequest { topics: None, ..Default::default() };
    assert_eq!(all_topics.to_bytes(0), Err(Error::Null { what: "Topics" }));
    assert_eq!(MetadataRequest::from_bytes(&all_topics.to_bytes(1).unwrap(), 1), Ok(all_topics));
    let null = raw(|bytes| bytes.put_i32(-1));
    assert_eq!(MetadataRequest::from_bytes(&null, 0), Err(Error::Null { what: "Topics" }));
}

#[test]
fn versions_outside_the_schema_are_refused() {
    for version in [-1, 3, 19] {
        let error = FetchRequest::default().to_bytes(version).unwrap_err();
        assert!(matches!(error, Error::UnsupportedVersion { message: "FetchRequest", .. }), "{error}");
        assert!(FetchRequest::from_bytes(&Bytes::new(), version).is_err());
    }
}

#[test]
fn long_strings_are_refused_both_ways() {
    let request = FetchRequest { rack_id: Str::from("x".repeat(32_768)), ..Default::default() };
    for version in [11, 12] {
        let error = Error::TooLong { what: "RackId", length: 32_768, limit: 32_767 };
        assert_eq!(request.to_bytes(version), Err(error));
    }
    // A compact length could say more than a string may have.
    let long = raw(|bytes| {
        bytes.put_slice(&[0x81, 0x80, 0x02]);
        bytes.put_bytes(b'x', 32_768);
    });
    let read = Reader::new(&long).string(true, "text", &mut Str::default());
    assert_eq!(read, Err(Error::TooLong { what: "text", length: 32_768, limit: 32_767 }));
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    let cases = [
        (
            raw(|b| b.put_i32(1_000_001)),
            Error::TooMany { what: "Topics", count: 1_000_001, limit: 1_000_000 },
        ),
        (
            raw(|b| b.put_i32(i32::MAX)),
            Error::TooMany { what: "Topics", count: 0x7fff_ffff, limit: 1_000_000 },
        ),
        (raw(|b| b.put_i32(1_000_000)), Error::Truncated { what: "Topics", wanted: 2_000_000, left: 0 }),
        (raw(|b| b.put_i32(-2)), Error::InvalidLength { what: "Topics", length: -2 }),
    ];
    for (bytes, error) in cases {
        let mut read = Err(Error::InvalidVarint);
        let used = allocation_counter::measure(|| read = MetadataRequest::from_bytes(&bytes, 0));
        assert_eq!(read, Err(error));
        assert_eq!(used.count_total, 0, "{bytes:?}");
    }
}

#[test]
fn memory_stays_a_small_multiple_of_the_frame() {
    // As many of the smallest elements as a frame can hold, under the limit of one array.
    let frame = raw(|bytes| {
        bytes.put_i32(400_000);
        bytes.put_bytes(0, 800_000);
    });
    let used = allocation_counter::measure(|| {
        assert_eq!(
            MetadataRequest::from_bytes(&frame, 0).unwrap().topics.map(|topics| topics.len()),
            Some(400_000)
        );
    });
    let factor = used.bytes_max / frame.len() as u64;
    assert!(factor < 100, "{factor} times the frame");
}

#[test]
fn tagged_fields_are_bounded() {
    let count = |count: &'static [u8]| Reader::new(&Bytes::from_static(count)).skip_tags();
    assert!(matches!(count(&[0x91, 0x4e]), Err(Error::TooMany { count: 10_001, limit: 10_000, .. })));
    assert!(matches!(count(&[0x90, 0x4e]), Err(Error::Truncated { wanted: 20_000, left: 0, .. })));
    assert_eq!(count(&[1, 5, 2, 0, 0]), Ok(()));
    assert!(matches!(count(&[1, 5, 3, 0, 0]), Err(Error::Truncated { wanted: 3, left: 2, .. })));
}

#[test]
fn varints_have_at_most_32_bits() {
    let varint = |bytes: &'static [u8]| Reader::new(&Bytes::from_static(bytes)).varint();
    assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
    assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Error::InvalidVarint));
    assert_eq!(varint(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(Error::InvalidVarint));
    assert!(matches!(varint(&[0x80]), Err(Error::Truncated { .. })));
    for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, u32::MAX] {
        let mut w = Writer::new();
        w.varint(value);
        let bytes = w.finish().unwrap().into_bytes().unwrap();
        assert_eq!(Reader::new(&bytes).varint(), Ok(value));
    }
}

#[test]
fn requests_skip_unknown_tags_and_data_keeps_them() {
    let request = ApiVersionsRequest { client_software_name: Str::from("a"), ..Default::default() };
    let mut bytes = request.to_bytes(3).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend([2, 7, 1, 0xaa, 0x80, 0x01, 0]);
    assert_eq!(ApiVersionsRequest::from_bytes(&Bytes::from(bytes), 3), Ok(request));

    let kept = vec![
        TaggedField { tag: 7, value: Bytes::from(vec![9; 300]) },
        TaggedField { tag: 300, value: Bytes::new() },
    ];
    let data = DefaultPrincipalData { unknown_tagged_fields: kept, ..Default::default() };
    assert_eq!(DefaultPrincipalData::from_bytes(&data.to_bytes(0).unwrap(), 0), Ok(data));
}

#[test]
fn a_known_tag_fills_its_size() {
    let mut bytes = FetchRequest::default().to_bytes(15).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0));
    // Tag 0 is the cluster id: an empty string of one byte in a field of two.
    bytes.extend([1, 0, 2, 1, 1]);
    let read = FetchRequest::from_bytes(&Bytes::from(bytes), 15);
    assert_eq!(read, Err(Error::TagSize { tag: 0, size: 2, left: 1 }));
}

/// The second one is read into the place of the first and must find nothing of it there.
#[test]
fn of_a_tag_that_comes_twice_the_last_counts() {
    let mut bytes = FetchRequest::default().to_bytes(15).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0));
    let state = |id: u8| [&[1, 13, 0, 0, 0, id][..], &[0; 8], &[0]].concat();
    bytes.extend([&[2][..], &state(7), &state(8)].concat());
    let read = FetchRequest::from_bytes(&Bytes::from(bytes), 15).unwrap();
    assert_eq!(read.replica_state.replica_id, 8);

    let mut bytes = ApiVersionsResponse::default().to_bytes(3).unwrap().to_vec();
    assert_eq!(bytes.pop(), Some(0));
    let features = |name: u8| [0, 8, 2, 2, name, 0, 1, 0, 2, 0];
    bytes.extend([&[2][..], &features(b'a'), &features(b'b')].concat());
    let read = ApiVersionsResponse::from_bytes(&Bytes::from(bytes), 3).unwrap();
    let names: Vec<_> = read.supported_features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["b"]);
}

#[test]
fn secrets_do_not_show() {
    let request = SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"hunter2") };
    assert_eq!(format!("{request:?}"), "SaslAuthenticateRequest { auth_bytes: [redacted] }");
}

#[test]
fn decoding_shares_the_frame() {
    let records = RecordSet::from(Bytes::from(vec![7; 1000]));
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let topic =
        TopicProduceData { name: Str::from("topic"), partition_data: vec![partition], ..Default::default() };
    let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
    let frame = request.to_bytes(9).unwrap();
    let read = ProduceRequest::from_bytes(&frame, 9).unwrap();
    let range = frame.as_ptr_range();
    let topic = &read.topic_data[0];
    assert!(range.contains(&topic.name.as_bytes().as_ptr()));
    match topic.partition_data[0].records.as_ref().unwrap().pieces() {
        [Piece::Bytes(bytes)] => assert!(range.contains(&bytes.as_ptr())),
        other => panic!("{other:?}"),
    }
}

#[test]
fn encoding_splices_records() {
    let batch = Bytes::from(vec![7; 1 << 20]);
    let mut records = RecordSet::from(batch.clone());
    let handle: Arc<dyn Any + Send + Sync> = Arc::new("a file");
    let region = Extern { handle, offset: 4096, len: 500 };
    records.push_extern(region.clone());
    let mut w = Writer::new();
    let frame = rpc::encode_response(&mut w, 12, 77, &fetch_response(records)).unwrap();
    let pieces = frame.pieces();
    let [Piece::Bytes(front), Piece::Bytes(memory), Piece::Extern(file), Piece::Bytes(back)] = pieces else {
        panic!("{pieces:?}")
    };
    assert_eq!((memory.as_ptr(), file), (batch.as_ptr(), &region));
    assert_eq!(frame.len(), front.len() + memory.len() + 500 + back.len());
    let prefix = i32::from_be_bytes(front[..4].try_into().unwrap());
    assert_eq!(usize::try_from(prefix), Ok(frame.len() - 4));
    assert_eq!(frame.into_bytes(), Err(Error::NotInMemory));
}

#[test]
fn ropes_and_slices_encode_to_the_same_bytes() {
    let whole = Bytes::from((0..=255).cycle().take(1000).collect::<Vec<u8>>());
    let one = fetch_response(RecordSet::from(whole.clone())).to_bytes(12);
    for cut in [16, 256, 257, 500, 900] {
        let rope: RecordSet = [whole.slice(..cut), whole.slice(cut..)].into_iter().collect();
        assert_eq!(fetch_response(rope).to_bytes(12), one, "cut at {cut}");
    }
}

#[test]
fn a_writer_works_again_after_an_error() {
    let mut w = Writer::new();
    let response = FetchResponse::default();
    let good = rpc::encode_response(&mut w, 4, 1, &response).map(Frame::into_bytes);
    let unfit = FetchResponse { session_id: 5, ..fetch_response(RecordSet::from(Bytes::from(vec![1; 100]))) };
    let error = rpc::encode_response(&mut w, 4, 1, &unfit).map(|frame| frame.len());
    assert_eq!(error, Err(Error::NotInVersion { what: "SessionId", version: 4 }));
    assert_eq!(rpc::encode_response(&mut w, 4, 1, &response).map(Frame::into_bytes), good);
}

#[test]
fn requests_and_responses_pass_whole() {
    let mut w = Writer::new();
    let request = ApiVersionsRequest { client_software_name: Str::from("bourn"), ..Default::default() };
    let frame = rpc::encode_request(&mut w, 4, 11, Some(Str::from("me")), &request).unwrap();
    let body = frame.into_bytes().unwrap().slice(4..);
    let mut r = Reader::new(&body);
    let (key, header) = rpc::decode_request_header(&mut r).unwrap();
    assert_eq!((key, header.request_api_version, header.correlation_id), (ApiKey::ApiVersions, 4, 11));
    assert_eq!(header.client_id, Some(Str::from("me")));
    assert_eq!(ApiVersionsRequest::decode(&mut r, 4), Ok(request));
    assert_eq!(r.finish(), Ok(()));

    let response = fetch_response(RecordSet::new());
    let frame = rpc::encode_response(&mut w, 12, 11, &response).unwrap();
    let body = frame.into_bytes().unwrap().slice(4..);
    assert_eq!(rpc::decode_response::<FetchRequest>(&body, 12), Ok((11, response)));
}

#[test]
fn the_header_of_a_request_from_the_future_is_read() {
    // ApiVersions is answered whatever its version, so its header must be understood.
    let frame = raw(|bytes| {
        bytes.put_i16(18);
        bytes.put_i16(99);
        bytes.put_i32(5);
        bytes.put_i16(-1);
        bytes.put_slice(&[0, 0xde, 0xad]);
    });
    let mut r = Reader::new(&frame);
    let (key, header) = rpc::decode_request_header(&mut r).unwrap();
    assert_eq!((key, header.correlation_id, header.client_id), (ApiKey::ApiVersions, 5, None));
    assert!(ApiVersionsRequest::decode(&mut r, header.request_api_version).is_err());

    let unknown = raw(|bytes| bytes.put_slice(&[0, 7, 0, 0, 0, 0, 0, 0]));
    let error = rpc::decode_request_header(&mut Reader::new(&unknown)).unwrap_err();
    assert_eq!(error, Error::UnknownApiKey { key: 7 });
}

#[test]
fn versioned_data_carries_its_version() {
    let data = DefaultPrincipalData { name: Str::from("alice"), ..Default::default() };
    let bytes = data.to_versioned_bytes(0).unwrap();
    assert_eq!(bytes.get(..2), Some(&[0, 0][..]));
    assert_eq!(DefaultPrincipalData::from_versioned_bytes(&bytes), Ok((0, data)));
}
