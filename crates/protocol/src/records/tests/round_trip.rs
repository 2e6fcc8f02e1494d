use super::*;
use crate::records::{Batches, Error, Limits, Record, Records, Rules, Scratch, ValidBatch, validate};

fn owned(record: Record) -> Owned {
    let vec = |bytes: Bytes| bytes.to_vec();
    Owned {
        timestamp: record.timestamp,
        key: record.key.map(vec),
        value: record.value.map(vec),
        headers: record
            .headers
            .into_iter()
            .map(|header| (String::from_utf8(header.key.to_vec()).unwrap(), header.value.map(vec)))
            .collect(),
    }
}

fn read(batch: &ValidBatch) -> Vec<Record> {
    Records::open(batch, &mut Scratch::new(), &Limits::default()).unwrap().map(Result::unwrap).collect()
}

proptest! {
    #[test]
    fn built_batches_validate_and_read_back(options in options(), records in records(), base in 0..1i64 << 40) {
        let bytes = batch(options, &records);
        let rules = Rules { timestamp_after_max_ms: i64::MAX, ..Rules::default() };
        let validated = validate(bytes.clone(), &rules, 0, &mut Scratch::new()).unwrap();
        prop_assert!(!validated.rewritten);
        let mut assigned = validated.batch;
        assigned.assign(Offset(base), LeaderEpoch(7));

        // What is stored is what a builder with that offset and epoch would have made.
        let whole = assigned.to_bytes();
        prop_assert_eq!(&whole, &batch(stored(options, base, 7), &records));
        prop_assert_eq!(&whole[16..], &bytes[16..]);
        let again = Batches::new(whole).map(Result::unwrap).collect::<Vec<_>>();
        prop_assert_eq!(&again, &[assigned.clone()]);
        prop_assert_eq!(&ValidBatch::join(&assigned.head(), assigned.rest().clone()).unwrap(), &assigned);
        prop_assert_eq!(&assigned.copied_out(), &assigned);

        let back = read(&assigned);
        let offsets: Vec<i64> = back.iter().map(|record| record.offset.0).collect();
        prop_assert_eq!(offsets, (base..).take(records.len()).collect::<Vec<_>>());
        prop_assert_eq!(back.into_iter().map(owned).collect::<Vec<_>>(), records);
    }
}

#[test]
fn uncompressed_records_share_the_batch() {
    let record =
        Owned { timestamp: 5, key: Some(b"k".to_vec()), value: Some(b"value".to_vec()), headers: vec![] };
    let bytes = batch(BatchOptions::default(), &[record]);
    let range = bytes.as_ptr_range();
    let valid = ValidBatch::split_from(&mut bytes.clone()).unwrap();
    let value = read(&valid).remove(0).value.unwrap();
    assert!(range.contains(&value.as_ptr()));
}

#[test]
fn batches_are_taken_one_after_the_other() {
    let record = Owned { timestamp: 5, key: None, value: None, headers: vec![] };
    let one = batch(stored(BatchOptions::default(), 10, 1), &[record.clone(), record.clone()]);
    let two = batch(stored(BatchOptions::default(), 12, 1), &[record]);
    let both: Bytes = [one.clone(), two.clone()].concat().into();
    let bases =
        |bytes: Bytes| Batches::new(bytes).map(|b| b.map(|b| b.header().base_offset.0)).collect::<Vec<_>>();
    assert_eq!(bases(both.clone()), [Ok(10), Ok(12)]);
    for end in 1..both.len() {
        let found = bases(both.slice(..end));
        let whole = usize::from(end >= one.len());
        assert_eq!(found.iter().filter(|base| base.is_ok()).count(), whole);
        assert_eq!(found.len(), whole + usize::from(end != one.len()), "cut at {end}");
        if end != one.len() {
            assert!(matches!(found.last(), Some(Err(Error::Truncated { .. }))), "cut at {end}");
        }
    }
}

#[test]
fn gaps_are_kept() {
    let mut builder = BatchBuilder::new(stored(BatchOptions::default(), 100, 3));
    let record = |timestamp| NewRecord { timestamp, ..NewRecord::default() };
    builder.append_at(3, &record(9)).unwrap();
    builder.append_at(7, &record(4)).unwrap();
    builder.append(&record(5)).unwrap();
    assert!(builder.append_at(8, &record(5)).is_err());
    let batch = builder.build_valid().unwrap();
    assert_eq!((batch.header().record_count, batch.header().last_offset()), (3, Offset(108)));
    assert_eq!((batch.header().base_timestamp, batch.header().max_timestamp), (9, 9));
    let seen: Vec<(i64, i64)> =
        read(&batch).iter().map(|record| (record.offset.0, record.timestamp)).collect();
    assert_eq!(seen, [(103, 9), (107, 4), (108, 5)]);
    assert!(BatchBuilder::new(BatchOptions::default()).build().is_err());
}

/// What compaction makes of a batch: its place, sequences and producer stay, whatever records go.
#[test]
fn a_batch_keeps_its_place_without_its_last_records_or_any() {
    let options = BatchOptions {
        base_offset: Offset(100),
        compression: Codec::Lz4.into(),
        producer_id: ProducerId(7),
        producer_epoch: ProducerEpoch(1),
        base_sequence: 40,
        delete_horizon_ms: Some(9_000),
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options);
    builder.append_at(2, &NewRecord { timestamp: 5_000, key: Some(b"k"), ..NewRecord::default() }).unwrap();
    builder.end_at(9);
    let batch = builder.build_valid().unwrap();
    let header = *batch.header();
    assert_eq!((header.last_offset(), header.last_sequence(), header.record_count), (Offset(109), 49, 1));
    assert_eq!((header.delete_horizon_ms(), header.max_timestamp), (Some(9_000), 5_000));
    let record = read(&batch).remove(0);
    assert_eq!((record.offset, record.timestamp, record.value), (Offset(102), 5_000, None));

    let empty = batch.emptied();
    assert_eq!(ValidBatch::split_from(&mut empty.to_bytes()).as_ref(), Ok(&empty));
    let kept = *empty.header();
    assert_eq!((kept.base_offset, kept.last_offset(), kept.last_sequence()), (Offset(100), Offset(109), 49));
    assert_eq!((kept.producer_id, kept.record_count, kept.delete_horizon_ms()), (ProducerId(7), 0, None));
    assert!(read(&empty).is_empty());
}
