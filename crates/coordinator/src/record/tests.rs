//! Records against bytes that `kafka-group-coordinator` 4.4.0 wrote, and against bytes that nobody should have written.

use proptest::prelude::*;
use protocol::Uuid;

use super::*;

const OFFSET_KEY_BYTES: &str = "00010002673100066f726465727300000007";
const GROUP_KEY_BYTES: &str = "000200026731";

pub(super) fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn record(key: &str, value: &str) -> Record {
    Record { key: bytes(key), value: Some(bytes(value)) }
}

fn decoded(record: &Record) -> Change {
    Change::decode(record).unwrap().unwrap()
}

fn encoded_record(change: &Change) -> Record {
    change.encode(&mut Writer::new())
}

fn topic_id() -> Uuid {
    Uuid::from_bytes([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2])
}

fn commit() -> OffsetCommit {
    OffsetCommit {
        offset: 42,
        leader_epoch: 3,
        metadata: "note".into(),
        commit_timestamp: 1_700_000_000_000,
        expire_timestamp: -1,
        topic_id: topic_id(),
    }
}

fn offset(commit: OffsetCommit) -> Change {
    Change::Offset { group: "g1".into(), topic: "orders".into(), partition: 7, commit: Some(commit) }
}

const EXPIRING: &str = "0001000000000000002a00046e6f74650000018bcfe568000000018bcfe56be8";
const CURRENT: &str =
    "0004000000000000002a00000003056e6f74650000018bcfe5680001001000000000000000010000000000000002";
const WITHOUT_ID: &str = "0004000000000000002affffffff010000018bcfe5680000";

#[test]
fn offset_commits_of_every_version_are_read() {
    let (no_epoch, no_id) = (-1, Uuid::ZERO);
    let old = OffsetCommit { leader_epoch: no_epoch, topic_id: no_id, ..commit() };
    for (value, expected) in [
        ("0000000000000000002a00046e6f74650000018bcfe56800", old.clone()),
        (EXPIRING, OffsetCommit { expire_timestamp: 1_700_000_001_000, ..old.clone() }),
        ("0002000000000000002a00046e6f74650000018bcfe56800", old.clone()),
        (
            "0003000000000000002a0000000300046e6f74650000018bcfe56800",
            OffsetCommit { leader_epoch: 3, ..old.clone() },
        ),
        (CURRENT, commit()),
        (WITHOUT_ID, OffsetCommit { metadata: "".into(), ..old }),
    ] {
        assert_eq!(decoded(&record(OFFSET_KEY_BYTES, value)), offset(expected), "{value}");
    }
    // The key has looked the same in both of its versions.
    let first = OFFSET_KEY_BYTES.replacen("0001", "0000", 1);
    assert_eq!(decoded(&record(&first, CURRENT)), offset(commit()));
}

#[test]
fn offset_commits_are_written_as_kafka_does() {
    let old = OffsetCommit { leader_epoch: -1, topic_id: Uuid::ZERO, ..commit() };
    for (commit, value) in [
        (commit(), CURRENT),
        (OffsetCommit { metadata: "".into(), ..old.clone() }, WITHOUT_ID),
        (OffsetCommit { expire_timestamp: 1_700_000_001_000, ..old }, EXPIRING),
    ] {
        assert_eq!(encoded_record(&offset(commit)), record(OFFSET_KEY_BYTES, value));
    }
    let gone = Change::Offset { group: "g1".into(), topic: "orders".into(), partition: 7, commit: None };
    assert_eq!(encoded_record(&gone), Record { key: bytes(OFFSET_KEY_BYTES), value: None });
    assert_eq!(decoded(&encoded_record(&gone)), gone);
}

fn metadata() -> GroupMetadata {
    GroupMetadata {
        protocol_type: "consumer".into(),
        generation: 5,
        protocol: Some("range".into()),
        leader: Some("m1".into()),
        state_timestamp: 1_700_000_000_000,
        members: vec![MemberMetadata {
            member_id: "m1".into(),
            instance_id: Some("i1".into()),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: Bytes::from_static(&[1, 2]),
            assignment: Bytes::from_static(&[3]),
        }],
    }
}

fn group(metadata: GroupMetadata) -> Change {
    Change::Group { group: "g1".into(), metadata: Some(metadata) }
}

const GENERATION: &str = "00030008636f6e73756d657200000005000572616e676500026d310000018bcfe568000000000100026d310002693100016300022f680000ea60000027100000000201020000000103";
const BEGINNING: &str = "0003000000000000ffffffff0000018bcfe5680000000000";

#[test]
fn group_metadata_of_every_version_is_read() {
    let with = |change: fn(&mut GroupMetadata)| {
        let mut metadata = metadata();
        change(&mut metadata);
        metadata
    };
    let third = with(|_| {});
    let second = with(|metadata| metadata.members[0].instance_id = None);
    let first = with(|metadata| {
        metadata.members[0].instance_id = None;
        metadata.state_timestamp = -1;
    });
    let mut zeroth = first.clone();
    zeroth.members[0].rebalance_timeout_ms = -1;
    for (value, expected) in [
        (
            "00000008636f6e73756d657200000005000572616e676500026d310000000100026d3100016300022f68000027100000000201020000000103",
            zeroth,
        ),
        (
            "00010008636f6e73756d657200000005000572616e676500026d310000000100026d3100016300022f680000ea60000027100000000201020000000103",
            first,
        ),
        (
            "00020008636f6e73756d657200000005000572616e676500026d310000018bcfe568000000000100026d3100016300022f680000ea60000027100000000201020000000103",
            second,
        ),
        (GENERATION, third.clone()),
        (
            "000409636f6e73756d6572000000050672616e6765036d310000018bcfe5680002036d310369310263032f680000ea600000271003010202030000",
            third,
        ),
    ] {
        assert_eq!(decoded(&record(GROUP_KEY_BYTES, value)), group(expected), "{value}");
    }
}

#[test]
fn group_metadata_is_written_as_kafka_does() {
    let beginning = GroupMetadata {
        protocol_type: "".into(),
        generation: 0,
        protocol: None,
        leader: None,
        state_timestamp: 1_700_000_000_000,
        members: Vec::new(),
    };
    assert_eq!(encoded_record(&group(metadata())), record(GROUP_KEY_BYTES, GENERATION));
    assert_eq!(encoded_record(&group(beginning)), record(GROUP_KEY_BYTES, BEGINNING));
    let gone = Change::Group { group: "g1".into(), metadata: None };
    assert_eq!(encoded_record(&gone), Record { key: bytes(GROUP_KEY_BYTES), value: None });
    assert_eq!(decoded(&encoded_record(&gone)), gone);
}

#[test]
fn keys_of_other_coordinators_are_passed_over() {
    for version in (9..=15).chain(17..=30).chain([-1, i16::MAX]) {
        let key = Bytes::copy_from_slice(&i16::to_be_bytes(version));
        assert_eq!(Change::decode(&Record { key, value: Some(bytes("00ff")) }), Ok(None), "{version}");
    }
}

#[test]
fn what_is_cut_off_or_too_new_is_an_error() {
    for (key, value) in
        [(OFFSET_KEY_BYTES, CURRENT), (OFFSET_KEY_BYTES, EXPIRING), (GROUP_KEY_BYTES, GENERATION)]
    {
        let whole = record(key, value);
        for end in 0..whole.key.len() {
            let cut = Record { key: whole.key.slice(..end), ..whole.clone() };
            assert!(Change::decode(&cut).is_err(), "{cut:?}");
        }
        let full = whole.value.clone().unwrap();
        for end in 0..full.len() {
            let cut = Record { value: Some(full.slice(..end)), ..whole.clone() };
            assert!(Change::decode(&cut).is_err(), "{cut:?}");
        }
        let newer = record(key, &value.replacen(&value[..4], "0005", 1));
        let error = Change::decode(&newer).unwrap_err().to_string();
        assert!(error.contains("has versions 0-4, not 5"), "{error}");
    }
}

#[test]
fn members_without_a_protocol_are_an_error() {
    let headless = GroupMetadata { protocol: None, ..metadata() };
    let error = Change::decode(&encoded_record(&group(headless))).unwrap_err().to_string();
    assert!(error.contains("members and no protocol"), "{error}");
}

#[test]
fn values_hold_on_to_no_buffer_of_the_reader() {
    let read = record(OFFSET_KEY_BYTES, CURRENT);
    let Change::Offset { commit: Some(commit), .. } = decoded(&read) else { panic!() };
    let value = read.value.as_ref().unwrap().as_ptr_range();
    assert!(!value.contains(&commit.metadata.as_bytes().as_ptr()));
    let read = record(GROUP_KEY_BYTES, GENERATION);
    let Change::Group { metadata: Some(metadata), .. } = decoded(&read) else { panic!() };
    let value = read.value.as_ref().unwrap().as_ptr_range();
    assert!(!value.contains(&metadata.members[0].assignment.as_ptr()));
}

proptest! {
    #[test]
    fn bytes_of_the_log_never_panic(
        version in 0_i16..5,
        key in proptest::collection::vec(any::<u8>(), 0..40),
        value in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut key_bytes = version.to_be_bytes().to_vec();
        key_bytes.extend(key);
        let random = Record { key: key_bytes.into(), value: Some(value.clone().into()) };
        // Whatever is read from it can be written and read again.
        if let Ok(Some(change)) = Change::decode(&random) {
            prop_assert_eq!(decoded(&encoded_record(&change)), change);
        }
        let _ = Change::decode(&Record { key: bytes(GROUP_KEY_BYTES), value: Some(value.clone().into()) });
        let _ = Change::decode(&Record { key: bytes(OFFSET_KEY_BYTES), value: Some(value.into()) });
    }
}
