use bytes::Bytes;
use protocol::ids::{LeaderEpoch, ProducerEpoch};
use protocol::records::Codec;

use super::*;
use crate::clean::Transactions;
use crate::producers::AbortedTransaction;

const NOW: i64 = 10_000;
const RETENTION: i64 = 500;

/// A record: offset delta, key, value.
type Plain<'a> = (i32, Option<&'a str>, Option<&'a str>);

fn options() -> BatchOptions {
    BatchOptions {
        base_offset: Offset(100),
        leader_epoch: LeaderEpoch(4),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(2),
        base_sequence: 50,
        ..BatchOptions::default()
    }
}

fn batch(options: BatchOptions, records: &[Plain<'_>]) -> ValidBatch {
    let mut builder = BatchBuilder::new(options);
    for (delta, key, value) in records {
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        let headers = [HeaderRef { key: b"h", value: key }];
        let timestamp = 1000 + i64::from(*delta);
        builder.append_at(*delta, &NewRecord { timestamp, key, value, headers: &headers }).expect("it fits");
    }
    builder.end_at(4);
    builder.build_valid().expect("it is not empty")
}

/// What newer records there are: key and offset. Everything below 1,000 is dirty.
fn map(newer: &[(&str, i64)]) -> OffsetMap {
    let mut map = OffsetMap::new(10_000, [1, 2]);
    for (key, offset) in newer {
        assert!(map.put(key.as_bytes(), Offset(*offset)));
    }
    map.advance(Offset(1_000));
    map
}

fn keep(batch: &ValidBatch, map: &OffsetMap, change: impl FnOnce(&mut Filter<'_>)) -> Kept {
    keep_in(batch, map, &mut Transactions::default(), change)
}

fn keep_in(
    batch: &ValidBatch,
    map: &OffsetMap,
    transactions: &mut Transactions,
    change: impl FnOnce(&mut Filter<'_>),
) -> Kept {
    let last_batches = BTreeMap::new();
    let mut filter = Filter {
        map,
        now_ms: NOW,
        delete_retention_ms: RETENTION,
        last_batches: &last_batches,
        end: Offset(9_999),
    };
    change(&mut filter);
    let passed = transactions.pass(batch, &mut Scratch::default()).expect("an undamaged batch");
    filter.keep(batch, passed.may_go, &mut Scratch::default()).expect("an undamaged batch")
}

/// Offset and key of what is left.
fn left(kept: &Kept, original: &ValidBatch) -> Vec<(i64, Option<String>)> {
    let batch = match kept {
        Kept::Nothing => return vec![(-1, None)],
        Kept::Whole => original,
        Kept::Rewritten(batch) => batch,
    };
    let mut scratch = Scratch::default();
    let records = batch.records(&mut scratch, &Limits::default()).expect("it decompresses");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    records
        .map(|record| record.expect("a record"))
        .map(|record| (record.offset.0, record.key.map(text)))
        .collect()
}

#[test]
fn of_each_key_the_newest_record_stays_in_every_codec() {
    let records = [
        (0, Some("a"), Some("1")),
        (1, Some("b"), Some("1")),
        (2, Some("a"), Some("2")),
        (3, None, Some("no key")),
        (4, Some("c"), Some("1")),
    ];
    for codec in Codec::ALL {
        let batch = batch(BatchOptions { compression: codec.into(), ..options() }, &records);
        let key = |key: &str| Some(key.to_owned());
        for (newer, expected) in [
            (
                vec![("a", 102), ("b", 101), ("c", 104)],
                vec![(101, key("b")), (102, key("a")), (104, key("c"))],
            ),
            (vec![("a", 200), ("b", 101), ("c", 300)], vec![(101, key("b"))]),
            // Never seen in the dirty part.
            (vec![("a", 102)], vec![(101, key("b")), (102, key("a")), (104, key("c"))]),
            (vec![("a", 200), ("b", 200), ("c", 200)], vec![(-1, None)]),
        ] {
            let kept = keep(&batch, &map(&newer), |_| ());
            assert_eq!(left(&kept, &batch), expected, "{codec} {newer:?}");
            let Kept::Rewritten(rewritten) = kept else { continue };
            let (before, after) = (batch.header(), rewritten.header());
            let what_stays = |header: &protocol::records::BatchHeader| {
                let sequences = (header.base_sequence, header.last_sequence());
                let producer = (header.producer_id, header.producer_epoch);
                let place = (header.base_offset, header.last_offset(), header.partition_leader_epoch);
                (place, producer, sequences, header.attributes)
            };
            assert_eq!(what_stays(before), what_stays(after), "{codec}");
            let bytes = rewritten.to_bytes();
            assert_eq!(ValidBatch::split_from(&mut bytes.clone()).as_ref(), Ok(&rewritten), "{codec}");
        }
    }
}

#[test]
fn what_is_not_in_the_map_yet_stays() {
    let batch = batch(options(), &[(0, Some("a"), Some("1")), (4, Some("a"), Some("2"))]);
    let mut some = OffsetMap::new(10_000, [1, 2]);
    assert!(some.put(b"a", Offset(101)));
    let a = || Some("a".to_owned());
    assert_eq!(left(&keep(&batch, &some, |_| ()), &batch), [(104, a())]);
    assert_eq!(keep(&batch, &OffsetMap::new(0, [1, 2]), |_| ()), Kept::Whole);
}

#[test]
fn timestamps_stay() {
    for log_append_time_ms in [None, Some(7_777)] {
        let options = BatchOptions { log_append_time_ms, ..options() };
        let batch = batch(options, &[(0, Some("a"), Some("1")), (2, Some("b"), None)]);
        let Kept::Rewritten(rewritten) = keep(&batch, &map(&[("a", 500), ("b", 102)]), |_| ()) else {
            panic!("a record goes");
        };
        let expected = log_append_time_ms.unwrap_or(1_002);
        assert_eq!(rewritten.header().max_timestamp, expected);
        let mut scratch = Scratch::default();
        let mut records = rewritten.records(&mut scratch, &Limits::default()).expect("readable");
        let record = records.next().expect("one").expect("readable");
        assert_eq!(
            (record.timestamp, record.headers.collect::<Vec<_>>()),
            (expected, vec![HeaderRef { key: b"h", value: Some(b"b") }])
        );
    }
}

/// KIP-534: the first pass says in the batch until when, a later one removes them.
#[test]
fn tombstones_stay_for_their_time() {
    let map = map(&[("a", 100), ("b", 101)]);
    let batch = batch(options(), &[(0, Some("a"), None), (1, Some("b"), Some("1"))]);
    let Kept::Rewritten(first) = keep(&batch, &map, |_| ()) else { panic!("it gets a horizon") };
    assert_eq!(first.header().delete_horizon_ms(), Some(NOW + RETENTION));
    assert_eq!(left(&Kept::Whole, &first).len(), 2);
    for (now_ms, expected) in [(NOW, 2), (NOW + RETENTION - 1, 2), (NOW + RETENTION, 1)] {
        let kept = keep(&first, &map, |filter| filter.now_ms = now_ms);
        assert_eq!(left(&kept, &first).len(), expected, "{now_ms}");
        assert_eq!(kept == Kept::Whole, expected == 2);
        if let Kept::Rewritten(second) = kept {
            assert_eq!(second.header().delete_horizon_ms(), Some(NOW + RETENTION), "it stays as it was");
        }
    }
    // A tombstone that is superseded goes at once.
    let newer = self::map(&[("a", 900), ("b", 101)]);
    let Kept::Rewritten(kept) = keep(&batch, &newer, |_| ()) else { panic!("a record goes") };
    assert_eq!((kept.header().delete_horizon_ms(), kept.header().record_count), (None, 1));
}

#[test]
fn the_last_batch_of_a_producer_and_of_the_part_stay_without_their_records() {
    let map = map(&[("a", 900)]);
    let batch = batch(options(), &[(0, Some("a"), Some("1"))]);
    for (name, last, end, stays) in [
        ("neither", 99, 9_999, false),
        ("of the producer", 104, 9_999, true),
        ("of another producer", 105, 9_999, false),
        ("of the part", 99, 105, true),
    ] {
        let last_batches = BTreeMap::from([(ProducerId(7), LastBatch::Data(Offset(last)))]);
        let filter = Filter {
            map: &map,
            now_ms: NOW,
            delete_retention_ms: RETENTION,
            last_batches: &last_batches,
            end: Offset(end),
        };
        let keep =
            |batch: &ValidBatch| filter.keep(batch, false, &mut Scratch::default()).expect("undamaged");
        match keep(&batch) {
            Kept::Rewritten(empty) if stays => {
                assert_eq!((empty.header().record_count, empty.header().last_sequence()), (0, 54), "{name}");
                assert_eq!(keep(&empty), Kept::Whole, "{name}: again");
            }
            kept => assert_eq!((kept, stays), (Kept::Nothing, false), "{name}"),
        }
    }
}

fn transactional(producer: i64, base: i64, key: &str) -> ValidBatch {
    let options = BatchOptions {
        base_offset: Offset(base),
        producer_id: ProducerId(producer),
        transactional: true,
        ..options()
    };
    batch(options, &[(0, Some(key), Some("1"))])
}

fn marker(producer: i64, base: i64, kind: i16) -> ValidBatch {
    let options = BatchOptions {
        base_offset: Offset(base),
        producer_id: ProducerId(producer),
        base_sequence: -1,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    };
    let key = Bytes::from([[0, 0], kind.to_be_bytes()].concat());
    let mut builder = BatchBuilder::new(options);
    let record = NewRecord { key: Some(&key), value: Some(b"123456"), ..NewRecord::default() };
    builder.append(&record).expect("it fits");
    builder.build_valid().expect("it is not empty")
}

#[test]
fn aborted_records_go_and_markers_follow_when_nothing_is_left_of_their_transaction() {
    let map = map(&[]);
    let aborted = AbortedTransaction {
        first_offset: Offset(10),
        producer_id: ProducerId(1),
        last_offset: Offset(30),
        last_stable_offset: Offset(20),
    };
    let mut transactions = Transactions::default();
    transactions.add([aborted]);
    let mut next = |batch: &ValidBatch| keep_in(batch, &map, &mut transactions, |_| ());
    assert_eq!(next(&transactional(2, 5, "x")), Kept::Whole);
    assert_eq!(next(&transactional(1, 10, "y")), Kept::Nothing);
    assert_eq!(next(&transactional(2, 20, "z")), Kept::Whole);
    // As long as batches of them were met, the markers stay as they are.
    assert_eq!(next(&marker(1, 30, 0)), Kept::Whole);
    assert_eq!(next(&marker(2, 31, 1)), Kept::Whole);
    // The producers' next transactions are others.
    assert_eq!(next(&transactional(1, 40, "y")), Kept::Whole);

    // A later pass meets markers only: their time begins, and then ends.
    for kind in [0, 1] {
        let lone = marker(1, 30, kind);
        let Kept::Rewritten(first) = keep(&lone, &map, |_| ()) else { panic!("it gets a horizon") };
        assert_eq!(first.header().delete_horizon_ms(), Some(NOW + RETENTION));
        assert!(first.header().attributes.is_control());
        let at = |now_ms| keep(&first, &map, |filter| filter.now_ms = now_ms);
        assert_eq!((at(NOW + RETENTION - 1), at(NOW + RETENTION)), (Kept::Whole, Kept::Nothing), "{kind}");
    }
    // What kind it is nobody knows: it stays.
    assert_eq!(keep(&marker(1, 30, 9), &map, |_| ()), Kept::Whole);
}
