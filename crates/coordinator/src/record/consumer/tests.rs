//! Records against bytes that `kafka-group-coordinator` 4.4.0 wrote, and against bytes that nobody should have written.

use proptest::prelude::*;
use protocol::Uuid;

use super::*;
use crate::consumer::{ClassicMetadata, MemberState, Owned};
use crate::record::tests::bytes;

fn topic(high: u64, low: u64) -> Uuid {
    Uuid::from_bytes((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

fn member() -> Metadata {
    Metadata {
        client_id: "c".into(),
        client_host: "/h".into(),
        topics: vec!["a".into()],
        rebalance_timeout_ms: 60_000,
        ..Metadata::default()
    }
}

fn owned(triples: &[(Uuid, i32, i32)]) -> Owned {
    triples.iter().copied().collect()
}

/// What is said, and the key and the value in which Kafka says it.
type Sample = (ConsumerChange, &'static str, Option<&'static str>);

const GROUP: &str = "00026731";
const MEMBER: &str = "0002673100026d31";
const AT_MS: i64 = 1_700_000_000_000;

fn key(version: &str, rest: &str) -> &'static str {
    Box::leak(format!("{version}{rest}").into())
}

fn m1() -> Str {
    Str::from("m1")
}

fn samples() -> Vec<Sample> {
    [samples_of_epochs(), samples_of_members(), samples_of_assignments(), samples_of_patterns()].concat()
}

fn samples_of_epochs() -> Vec<Sample> {
    let epoch = |epoch, metadata_hash| ConsumerChange::Epoch(Some(GroupEpoch { epoch, metadata_hash }));
    let target = |epoch, timestamp_ms| ConsumerChange::TargetEpoch(Some(TargetEpoch { epoch, timestamp_ms }));
    vec![
        (epoch(5, 0x1122_3344_5566_7788), key("0003", GROUP), Some("0000000000050100081122334455667788")),
        (epoch(5, 0), key("0003", GROUP), Some("00000000000500")),
        (ConsumerChange::Epoch(None), key("0003", GROUP), None),
        (ConsumerChange::SubscriptionMetadata { is_there: false }, key("0004", GROUP), None),
        (target(5, AT_MS), key("0006", GROUP), Some("0000000000050100080000018bcfe56800")),
        (target(5, 0), key("0006", GROUP), Some("00000000000500")),
        (ConsumerChange::TargetEpoch(None), key("0006", GROUP), None),
    ]
}

fn samples_of_members() -> Vec<Sample> {
    let told = |metadata| ConsumerChange::Member { member: m1(), metadata };
    let full = Metadata {
        instance_id: Some("i1".into()),
        rack_id: Some("r".into()),
        topics: vec!["a".into(), "b".into()],
        pattern: "a.*".into(),
        assignor: Some("range".into()),
        ..member()
    };
    let protocols = vec![("range".into(), Bytes::from_static(&[1, 2, 3]))];
    let classic = ClassicMetadata { session_timeout_ms: 10_000, protocols };
    vec![
        (
            told(Some(full)),
            key("0005", MEMBER),
            Some("000003693102720263032f68030261026204612e2a0000ea600672616e676501000100"),
        ),
        (
            told(Some(Metadata { classic: Some(Box::new(classic)), ..member() })),
            key("0005", MEMBER),
            Some("000000000263032f68020261010000ea60000100120100002710020672616e6765040102030000"),
        ),
        (told(None), key("0005", MEMBER), None),
    ]
}

fn samples_of_assignments() -> Vec<Sample> {
    let partitions = [(topic(1, 2), 0), (topic(1, 2), 2), (topic(3, 4), 1)].into_iter().collect();
    let current = Current {
        epoch: 5,
        previous_epoch: 4,
        state: MemberState::UnrevokedPartitions,
        assigned: owned(&[(topic(1, 2), 0, 3), (topic(1, 2), 2, 5)]),
        revoking: owned(&[(topic(3, 4), 1, 4)]),
    };
    vec![
        (
            ConsumerChange::Target { member: m1(), partitions: Some(partitions) },
            key("0007", MEMBER),
            Some(
                "00000300000000000000010000000000000002030000000000000002000000000000000003000000000000000402\
                 000000010000",
            ),
        ),
        (ConsumerChange::Target { member: m1(), partitions: None }, key("0007", MEMBER), None),
        (
            ConsumerChange::Current { member: m1(), current: Some(current) },
            key("0008", MEMBER),
            Some(
                "0000000000050000000401020000000000000001000000000000000203000000000000000201000903000000030000\
                 000502000000000000000300000000000000040200000001010005020000000400",
            ),
        ),
        (ConsumerChange::Current { member: m1(), current: None }, key("0008", MEMBER), None),
    ]
}

fn samples_of_patterns() -> Vec<Sample> {
    let resolved = |resolved| ConsumerChange::Pattern { pattern: "a.*".into(), resolved };
    let found = Resolved { topics: vec!["a".into(), "ab".into()], version: 7, timestamp_ms: AT_MS };
    vec![
        (
            resolved(Some(found)),
            key("0010", "000267310003612e2a"),
            Some("000003026103616200000000000000070000018bcfe5680000"),
        ),
        (resolved(None), key("0010", "000267310003612e2a"), None),
    ]
}

fn record(key: &str, value: Option<&str>) -> Record {
    Record { key: bytes(key), value: value.map(bytes) }
}

fn decoded(record: &Record) -> ConsumerChange {
    match Change::decode(record).unwrap().unwrap() {
        Change::Consumer { group, change } => {
            assert_eq!(group, "g1");
            change
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_are_read_and_written_as_kafka_does() {
    for (change, key, value) in samples() {
        let record = record(key, value);
        assert_eq!(decoded(&record), change);
        let written = Change::Consumer { group: "g1".into(), change: change.clone() };
        assert_eq!(written.encode(&mut Writer::new()), record, "{change:?}");
        assert_eq!(change.is_tombstone(), value.is_none());
    }
}

#[test]
fn records_of_before_are_read() {
    // A pattern that is null, as of members that were converted from the classic protocol.
    let value = "000000000263032f68020261000000ea600001000100";
    let read = decoded(&record("00050002673100026d31", Some(value)));
    assert_eq!(read, ConsumerChange::Member { member: "m1".into(), metadata: Some(member()) });
    // Assignments without epochs: every partition is as old as the member's epoch.
    let value = "00000000000500000004000200000000000000010000000000000002030000000000000002000100";
    let current = Current {
        epoch: 5,
        previous_epoch: 4,
        state: MemberState::Stable,
        assigned: owned(&[(topic(1, 2), 0, 5), (topic(1, 2), 2, 5)]),
        revoking: Owned::default(),
    };
    let read = decoded(&record("00080002673100026d31", Some(value)));
    assert_eq!(read, ConsumerChange::Current { member: "m1".into(), current: Some(current) });
    // Topics and partitions that Kafka 4.0 kept with the group.
    let read = decoded(&record("000400026731", Some("00000101")));
    assert_eq!(read, ConsumerChange::SubscriptionMetadata { is_there: true });
}

#[test]
fn what_is_cut_off_or_too_new_is_an_error() {
    for (change, key, value) in samples() {
        let whole = record(key, value);
        for end in 2..whole.key.len() {
            let cut = Record { key: whole.key.slice(..end), ..whole.clone() };
            assert!(Change::decode(&cut).is_err(), "{change:?} {end}");
        }
        let Some(full) = whole.value.clone() else { continue };
        for end in 0..full.len() {
            let cut = Record { value: Some(full.slice(..end)), ..whole.clone() };
            assert!(Change::decode(&cut).is_err(), "{change:?} {end}");
        }
        let mut newer = full.to_vec();
        newer[1] = 1;
        let error = Change::decode(&Record { value: Some(newer.into()), ..whole }).unwrap_err().to_string();
        assert!(error.contains("has versions 0-0, not 1"), "{error}");
    }
}

#[test]
fn values_hold_on_to_no_buffer_of_the_reader() {
    let read = record(
        "00050002673100026d31",
        Some("000003693102720263032f68030261026204612e2a0000ea600672616e676501000100"),
    );
    let ConsumerChange::Member { member, metadata: Some(metadata) } = decoded(&read) else { panic!() };
    let ranges = [read.key.as_ptr_range(), read.value.as_ref().unwrap().as_ptr_range()];
    let kept = [&member, &metadata.client_id, &metadata.topics[0], &metadata.pattern];
    for text in kept.into_iter().chain(&metadata.instance_id).chain(&metadata.assignor) {
        assert!(ranges.iter().all(|range| !range.contains(&text.as_bytes().as_ptr())), "{text}");
    }
}

proptest! {
    #[test]
    fn bytes_of_the_log_never_panic(
        version in prop_oneof![3_i16..9, Just(16_i16)],
        value in proptest::collection::vec(any::<u8>(), 0..120),
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut key = version.to_be_bytes().to_vec();
        key.extend(b"\0\x02g1\0\x02m1");
        let mut versioned = vec![0, 0];
        versioned.extend(value);
        let _ = Change::decode(&Record { key: key.into(), value: Some(versioned.into()) });
        // Damage of what was whole. Whatever is read from it can be written and read again.
        for (_, key, value) in samples() {
            let mut damaged = record(key, value);
            let Some(value) = damaged.value.take() else { continue };
            let mut value = value.to_vec();
            for (place, byte) in &flips {
                let place = place.index(value.len());
                value[place] = *byte;
            }
            damaged.value = Some(value.into());
            if let Ok(Some(change)) = Change::decode(&damaged) {
                let again = change.encode(&mut Writer::new());
                prop_assert_eq!(Change::decode(&again).unwrap().unwrap(), change);
            }
        }
    }
}
