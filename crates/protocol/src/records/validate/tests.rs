use super::*;
use crate::records::{BatchBuilder, BatchOptions, NewRecord};
use crate::{ErrorCode, Offset, ProducerEpoch, ProducerId};

const NOW: i64 = 1_700_000_000_000;

fn batch(options: BatchOptions, records: &[NewRecord]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        builder.append(record).unwrap();
    }
    builder.build().unwrap()
}

fn record(timestamp: i64) -> NewRecord<'static> {
    NewRecord { timestamp, key: Some(b"key"), value: Some(b"some value, some value"), headers: &[] }
}

fn plain() -> Bytes {
    batch(BatchOptions::default(), &[record(NOW), record(NOW + 5), record(NOW + 1)])
}

/// The batch with one of its header's fields changed and a new checksum.
fn lying(bytes: &Bytes, change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::read(bytes).unwrap();
    change(&mut header);
    rebuild(&header, &bytes[BATCH_OVERHEAD..]).1
}

fn with_byte(bytes: &Bytes, at: usize, value: u8) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] = value;
    bytes.into()
}

fn check(bytes: Bytes, rules: &Rules) -> Result<Validated, Refusal> {
    validate(bytes, rules, NOW, &mut Scratch::new())
}

#[track_caller]
fn refused(bytes: Bytes, rules: &Rules, code: i16) -> Refusal {
    let refusal = check(bytes, rules).unwrap_err();
    assert_eq!(refusal.error_code(), ErrorCode::known(code).unwrap(), "{refusal}");
    refusal
}

#[test]
fn good_batches_are_not_copied() {
    for codec in Codec::ALL {
        let bytes = batch(
            BatchOptions { compression: codec.into(), ..Default::default() },
            &[record(NOW), record(7)],
        );
        let validated = check(bytes.clone(), &Rules::default()).unwrap();
        assert!(!validated.rewritten, "{codec}");
        assert_eq!(validated.batch.rest().as_ptr(), bytes[16..].as_ptr(), "{codec}");
        assert_eq!(validated.batch.to_bytes(), bytes);
        assert_eq!(validated.log_append_time_ms, None);
    }
}

#[test]
fn framing_is_refused_with_kafkas_codes() {
    let (rules, good) = (Rules::default(), plain());
    refused(Bytes::new(), &rules, 87);
    for end in 1..good.len() {
        refused(good.slice(..end), &rules, 87);
    }
    let twice: Bytes = [good.clone(), good.clone()].concat().into();
    assert_eq!(refused(twice, &rules, 87), Refusal::MoreThanOne { bytes: good.len() });
    assert_eq!(refused(with_byte(&good, 16, 0), &rules, 87), Refusal::OldMagic { magic: 0 });
    assert_eq!(refused(with_byte(&good, 16, 1), &rules, 87), Refusal::OldMagic { magic: 1 });
    assert_eq!(refused(with_byte(&good, 16, 3), &rules, 2), Refusal::UnknownMagic { magic: 3 });
    assert_eq!(refused(with_byte(&good, 16, 0xff), &rules, 2), Refusal::UnknownMagic { magic: -1 });
    let mut short = good[..61].to_vec();
    short[8..12].copy_from_slice(&13i32.to_be_bytes());
    assert_eq!(refused(short.clone().into(), &rules, 2), Refusal::Length { length: 13 });
    short[8..12].copy_from_slice(&(-5i32).to_be_bytes());
    assert_eq!(refused(short.clone().into(), &rules, 2), Refusal::Length { length: -5 });
    short[8..12].copy_from_slice(&20i32.to_be_bytes());
    assert_eq!(refused(short.into(), &rules, 2), Refusal::TooSmall { size: 32 });
    assert_eq!(
        refused(with_byte(&good, 8, 0x7f), &rules, 87),
        Refusal::NoBatch { need: 0x7f00_000c + good.len() - 12, have: good.len() }
    );
}

#[test]
fn every_changed_byte_behind_the_crc_is_noticed() {
    let good = plain();
    for at in 21..good.len() {
        refused(with_byte(&good, at, good[at] ^ 1), &Rules::default(), 2);
    }
}

#[test]
fn headers_are_refused_with_kafkas_codes() {
    let (rules, good) = (Rules::default(), plain());
    type Change = fn(&mut BatchHeader);
    let table: &[(Change, i16)] = &[
        (|h| h.base_offset = Offset(1), 87),
        (|h| h.last_offset_delta = -1, 87),
        (|h| h.last_offset_delta = 3, 87),
        (|h| h.record_count = 0, 87),
        (|h| h.record_count = -1, 87),
        (|h| h.record_count = i32::MAX, 87),
        (|h| (h.record_count, h.last_offset_delta) = (i32::MAX, i32::MAX - 1), 87),
        (|h| (h.record_count, h.last_offset_delta) = (2, 1), 87),
        (|h| (h.record_count, h.last_offset_delta) = (4, 3), 87),
        (|h| h.attributes = h.attributes.with_control(true), 87),
        (|h| h.attributes = h.attributes.with_transactional(true), 87),
        (|h| h.attributes = Attributes(5), 76),
        (|h| h.attributes = Attributes(7), 76),
        (|h| h.attributes = h.attributes.with_codec(Codec::Gzip), 87),
        (|h| h.attributes = h.attributes.with_codec(Codec::Zstd), 87),
        (|h| h.producer_id = ProducerId(3), 87),
        (|h| (h.producer_id, h.producer_epoch) = (ProducerId(3), ProducerEpoch(0)), 87),
        (|h| (h.producer_id, h.base_sequence) = (ProducerId(3), 0), 87),
    ];
    for (change, code) in table {
        refused(lying(&good, change), &rules, *code);
    }
    let idempotent = lying(&good, |h| {
        (h.producer_id, h.producer_epoch, h.base_sequence) = (ProducerId(3), ProducerEpoch(0), 0)
    });
    assert!(check(idempotent, &rules).is_ok());
    let control = lying(&good, |h| h.attributes = h.attributes.with_control(true));
    assert!(check(control, &Rules { origin: Origin::Coordinator, ..rules }).is_ok());
}

#[test]
fn sizes_and_old_requests() {
    let good = plain();
    let rules = |message_bytes_max| Rules { message_bytes_max, ..Rules::default() };
    assert!(check(good.clone(), &rules(good.len())).is_ok());
    let refusal = refused(good.clone(), &rules(good.len() - 1), 10);
    assert_eq!(refusal, Refusal::TooLarge { size: good.len(), max: good.len() - 1 });
    let zstd = batch(BatchOptions { compression: Codec::Zstd.into(), ..Default::default() }, &[record(NOW)]);
    refused(zstd, &Rules { zstd_allowed: false, ..Rules::default() }, 76);
}

#[test]
fn timestamps_outside_the_range_name_their_records() {
    let rules = Rules { timestamp_before_max_ms: 1_000, timestamp_after_max_ms: 100, ..Rules::default() };
    let records =
        [NOW, NOW - 1_000, NOW - 1_001, NOW + 100, NOW + 101, -1, -2, i64::MIN, i64::MAX].map(record);
    for codec in Codec::ALL {
        let bytes = batch(BatchOptions { compression: codec.into(), ..Default::default() }, &records);
        let refusal = refused(bytes, &rules, 32);
        let blamed: Vec<i32> = refusal.record_errors().iter().map(|error| error.batch_index).collect();
        assert_eq!(blamed, [2, 4, 6, 7, 8], "{codec}");
        assert_eq!(
            refusal.record_errors()[0].fault,
            RecordFault::Timestamp { timestamp: NOW - 1_001, earliest: NOW - 1_000, latest: NOW + 100 }
        );
    }
}

#[test]
fn negative_timestamps_are_stored_as_in_kafka() {
    let bytes = batch(BatchOptions::default(), &[record(-5), record(-7)]);
    let validated = check(bytes.clone(), &Rules::default()).unwrap();
    assert_eq!(validated.batch.header().max_timestamp, -1);
    assert_eq!(validated.batch.to_bytes(), bytes);
}

#[test]
fn compacted_topics_need_keys() {
    let keyless = NewRecord { key: None, ..record(NOW) };
    let rules = Rules { compacted: true, ..Rules::default() };
    let refusal = refused(batch(BatchOptions::default(), &[record(NOW), keyless, keyless]), &rules, 87);
    let blamed: Vec<i32> = refusal.record_errors().iter().map(|error| error.batch_index).collect();
    assert_eq!(blamed, [1, 2]);
    let both = batch(BatchOptions::default(), &[keyless, record(NOW + 999_999_999)]);
    assert_eq!(refused(both, &rules, 32).record_errors().len(), 2);
}

#[test]
fn record_errors_are_bounded() {
    let keyless = NewRecord { key: None, value: None, ..record(NOW) };
    let rules = Rules { compacted: true, ..Rules::default() };
    let many = vec![keyless; RECORD_ERRORS_MAX + 7];
    match refused(batch(BatchOptions::default(), &many), &rules, 87) {
        Refusal::Records { errors, count } => {
            assert_eq!((errors.len(), count), (RECORD_ERRORS_MAX, RECORD_ERRORS_MAX + 7));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_wrong_max_timestamp_is_put_right() {
    let bytes = lying(&plain(), |h| h.max_timestamp = NOW + 77);
    let validated = check(bytes, &Rules::default()).unwrap();
    assert!(validated.rewritten);
    assert_eq!(validated.batch.to_bytes(), plain());
}

#[test]
fn log_append_time_marks_the_batch_and_keeps_the_records() {
    for codec in Codec::ALL {
        let options = BatchOptions { compression: codec.into(), ..Default::default() };
        let bytes = batch(options, &[record(NOW - 9), record(i64::MIN)]);
        let rules = Rules { timestamp_type: TimestampType::LogAppendTime, ..Rules::default() };
        let validated = check(bytes.clone(), &rules).unwrap();
        assert_eq!(validated.log_append_time_ms, Some(NOW));
        let stored = ValidBatch::split_from(&mut validated.batch.to_bytes()).unwrap();
        assert_eq!(stored, validated.batch);
        assert_eq!(stored.header().max_timestamp, NOW);
        assert_eq!(stored.stored_records(), bytes[61..]);
        let mut scratch = Scratch::new();
        let records: Vec<_> =
            stored.records(&mut scratch, &rules.limits).unwrap().map(Result::unwrap).collect();
        assert!(records.iter().all(|record| record.timestamp == NOW), "{codec}");
    }
}

/// As in Kafka: a mirror may send what another cluster has stamped.
#[test]
fn a_batch_that_says_log_append_time_is_taken_where_records_have_their_own_times() {
    let stamp = |h: &mut BatchHeader| {
        h.attributes = h.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        h.max_timestamp = NOW + 50;
    };
    for codec in Codec::ALL {
        let options = BatchOptions { compression: codec.into(), ..Default::default() };
        let unstamped = batch(options, &[record(NOW - 9), record(NOW - 7)]);
        let stamped = lying(&unstamped, stamp);
        let validated = check(stamped.clone(), &Rules::default()).unwrap();
        assert_eq!(validated.batch.to_bytes(), unstamped, "{codec}");
        assert_eq!(validated.log_append_time_ms, None);
        refused(
            stamped.clone(),
            &Rules { timestamp_type: TimestampType::LogAppendTime, ..Rules::default() },
            32,
        );
        refused(stamped, &Rules { timestamp_before_max_ms: 8, ..Rules::default() }, 32);
        refused(lying(&batch(options, &[record(-1)]), stamp), &Rules::default(), 32);
    }
}

#[test]
fn topics_with_a_codec_get_their_records_recompressed() {
    for source in Codec::ALL {
        for target in Codec::ALL {
            let options = BatchOptions { compression: source.into(), ..Default::default() };
            let bytes = batch(options, &[record(NOW), record(NOW + 1)]);
            let rules = Rules { compression: Some(target.into()), ..Rules::default() };
            let validated = check(bytes.clone(), &rules).unwrap();
            assert_eq!(validated.rewritten, source != target);
            assert_eq!(validated.batch.codec(), Ok(target));
            let want = batch(
                BatchOptions { compression: target.into(), ..options },
                &[record(NOW), record(NOW + 1)],
            );
            assert_eq!(validated.batch.to_bytes(), want, "{source} to {target}");
            let small = Rules { message_bytes_max: want.len().min(bytes.len()) - 1, ..rules };
            refused(bytes, &small, 10);
        }
    }
}

#[test]
fn offset_deltas_must_be_consecutive() {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append_at(0, &record(NOW)).unwrap();
    builder.append_at(2, &record(NOW)).unwrap();
    let bytes = lying(&builder.build().unwrap(), |h| h.last_offset_delta = 1);
    assert_eq!(refused(bytes, &Rules::default(), 87), Refusal::OffsetDelta { index: 1, offset_delta: 2 });
}

#[test]
fn bombs_are_told_to_split() {
    let zeros = vec![0; 1 << 20];
    let rules =
        Rules { limits: Limits { decompressed_bytes_max: 1 << 19, ..Limits::default() }, ..Rules::default() };
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let options = BatchOptions { compression: codec.into(), ..Default::default() };
        let bytes = batch(options, &[NewRecord { value: Some(&zeros), ..record(NOW) }]);
        let mut scratch = Scratch::new();
        let refusal = validate(bytes, &rules, NOW, &mut scratch).unwrap_err();
        assert_eq!(refusal.error_code(), ErrorCode::MessageTooLarge, "{refusal}");
        assert!(scratch.capacity() <= (1 << 19) + 1, "{codec} took {}", scratch.capacity());
    }
}
