use protocol::ids::{LeaderEpoch, ProducerEpoch};
use protocol::records::Attributes;

use super::*;

const ID: ProducerId = ProducerId(7);
const OTHER: ProducerId = ProducerId(8);

fn facts(epoch: i16, first: i32, last: i32) -> ProducerFacts {
    ProducerFacts { producer_id: ID, epoch, first_sequence: first, last_sequence: last, transactional: false }
}

fn mark(first: i32, last: i32, base: i64) -> BatchMark {
    let records = i64::from(last.wrapping_sub(first) & i32::MAX);
    BatchMark {
        first_sequence: first,
        last_sequence: last,
        base_offset: Offset(base),
        last_offset: Offset(base + records),
        timestamp_ms: 1,
    }
}

fn header(id: ProducerId, epoch: i16, (first, last): (i32, i32), base: i64) -> BatchHeader {
    let mark = mark(first, last, base);
    BatchHeader {
        base_offset: mark.base_offset,
        batch_length: 100,
        partition_leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: i32::try_from(mark.last_offset - mark.base_offset).unwrap(),
        base_timestamp: 1,
        max_timestamp: 1,
        producer_id: id,
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: first,
        record_count: 1,
    }
}

impl Producers {
    fn batch(&mut self, id: ProducerId, epoch: i16, sequences: (i32, i32), base: i64) {
        assert_eq!(self.apply(&header(id, epoch, sequences, base), None, 50), None);
    }

    /// A transactional batch of one record.
    fn send(&mut self, id: ProducerId, epoch: i16, sequence: i32, base: i64) {
        let plain = header(id, epoch, (sequence, sequence), base);
        let attributes = plain.attributes.with_transactional(true);
        assert_eq!(self.apply(&BatchHeader { attributes, ..plain }, None, 50), None);
    }

    fn mark(&mut self, id: ProducerId, epoch: i16, commit: bool, at: i64) -> Option<AbortedTransaction> {
        let plain = header(id, epoch, (-1, -1), at);
        let attributes = plain.attributes.with_transactional(true).with_control(true);
        let marker = TxnMarker { commit, coordinator_epoch: 4 };
        self.apply(&BatchHeader { attributes, ..plain }, Some(marker), 50)
    }
}

/// Six batches of two records in epoch 3, offsets from 100.
fn some() -> Producers {
    let mut producers = Producers::default();
    for batch in 0..6 {
        producers.batch(ID, 3, (batch * 2, batch * 2 + 1), 100 + i64::from(batch) * 2);
    }
    producers
}

#[test]
fn verdicts() {
    for (batch, verdict) in [
        (facts(3, 12, 14), Verdict::Append),
        (facts(3, 10, 11), Verdict::Duplicate(mark(10, 11, 110))),
        (facts(3, 2, 3), Verdict::Duplicate(mark(2, 3, 102))),
        // The sixth last is forgotten.
        (facts(3, 0, 1), Verdict::OutOfOrder { expected: 12 }),
        // Same start, another end: not the same batch.
        (facts(3, 10, 12), Verdict::OutOfOrder { expected: 12 }),
        (facts(3, 13, 13), Verdict::OutOfOrder { expected: 12 }),
        (facts(2, 12, 12), Verdict::OldEpoch { current: 3 }),
        (facts(4, 0, 0), Verdict::Append),
        (facts(4, 12, 12), Verdict::OutOfOrder { expected: 0 }),
        (ProducerFacts { producer_id: OTHER, ..facts(0, 99, 99) }, Verdict::Append),
        // A coordinator counts none.
        (facts(3, -1, -1), Verdict::Append),
        (facts(2, -1, -1), Verdict::OldEpoch { current: 3 }),
    ] {
        assert_eq!(some().check(&batch, None), verdict, "{batch:?}");
    }
}

#[test]
fn sequences_go_round() {
    let mut producers = Producers::default();
    producers.batch(ID, 0, (i32::MAX - 1, i32::MAX), 0);
    assert_eq!(producers.check(&facts(0, 0, 4), None), Verdict::Append);
    let mut producers = Producers::default();
    producers.batch(ID, 0, (i32::MAX, 1), 0);
    assert_eq!(producers.check(&facts(0, 2, 2), None), Verdict::Append);
    assert_eq!(producers.check(&facts(0, i32::MAX, 1), None), Verdict::Duplicate(mark(i32::MAX, 1, 0)));
}

#[test]
fn replay_changes_nothing() {
    let mut again = some();
    for batch in 3..6 {
        again.batch(ID, 3, (batch * 2, batch * 2 + 1), 100 + i64::from(batch) * 2);
    }
    assert_eq!(again, some());
}

#[test]
fn any_sequence_after_expiry() {
    let mut producers = some();
    producers.expire(50);
    assert_eq!(producers.len(), 1);
    producers.expire(51);
    assert_eq!(producers.check(&facts(3, 77, 77), None), Verdict::Append);
}

#[test]
fn truncation_forgets_what_was_cut() {
    let mut producers = some();
    producers.truncate_from_end(Offset(109));
    assert_eq!(producers.check(&facts(3, 8, 9), None), Verdict::Append);
    assert_eq!(producers.check(&facts(3, 6, 7), None), Verdict::Duplicate(mark(6, 7, 106)));
    producers.truncate_from_end(Offset(0));
    assert!(producers.is_empty());
}

#[test]
fn memory_is_bounded() {
    let mut producers = Producers::default();
    let open = ProducerId(i64::MAX);
    producers.send(open, 0, 0, 0);
    for id in 0..=PRODUCERS_MAX as i64 {
        assert_eq!(producers.apply(&header(ProducerId(id), 0, (0, 0), id + 1), None, id), None);
    }
    assert!(producers.len() <= PRODUCERS_MAX);
    // The silent ones are gone, the newest is there, and so is who has a transaction open.
    let ids: Vec<_> = producers.iter().map(|(id, _)| id.0).collect();
    let max = PRODUCERS_MAX as i64;
    assert_eq!((ids.first(), ids.last_chunk()), (Some(&(max / 10)), Some(&[max, open.0])));
}

#[test]
fn what_is_undecided_is_unstable() {
    let mut producers = Producers::default();
    let first = |producers: &Producers| producers.first_unstable().map(|offset| offset.0);
    producers.batch(ID, 0, (0, 0), 0);
    assert_eq!(first(&producers), None, "no transaction");
    producers.send(ID, 0, 1, 1);
    producers.send(OTHER, 0, 0, 2);
    producers.send(ID, 0, 2, 3);
    assert_eq!(first(&producers), Some(1));
    let aborted = AbortedTransaction {
        producer_id: OTHER,
        first_offset: Offset(2),
        last_offset: Offset(4),
        last_stable_offset: Offset(1),
    };
    assert_eq!(producers.mark(OTHER, 0, false, 4), Some(aborted));
    assert_eq!(producers.mark(ID, 0, true, 5), None, "what is committed is not indexed");
    // A marker that may be taken back decides nothing yet.
    for (high_watermark, unstable) in [(0, Some(1)), (4, Some(1)), (5, Some(1)), (6, None)] {
        producers.settle(Offset(high_watermark), Offset(0));
        assert_eq!(first(&producers), unstable, "{high_watermark}");
    }
    // No transaction of theirs is open: markers alone decide about nothing.
    assert_eq!(producers.mark(ID, 0, false, 6), None);
    producers.send(OTHER, 0, 1, 7);
    assert_eq!(first(&producers), Some(7));
    let aborted = producers.mark(OTHER, 0, false, 8).unwrap();
    assert_eq!((aborted.first_offset, aborted.last_stable_offset), (Offset(7), Offset(9)));
}

#[test]
fn of_a_transaction_only_its_producer_takes_part() {
    let mut producers = Producers::default();
    producers.send(ID, 3, 0, 0);
    assert!(producers.is_in_transaction(ID, 3) && !producers.is_in_transaction(ID, 4));
    assert!(!producers.is_in_transaction(OTHER, 3));
    let within = ProducerFacts { transactional: true, ..facts(3, 1, 1) };
    assert_eq!(producers.check(&within, None), Verdict::Append);
    assert_eq!(producers.check(&facts(3, 1, 1), None), Verdict::NotTransactional);
    producers.expire(1_000);
    assert!(producers.is_in_transaction(ID, 3), "who has a transaction open does not expire");
    producers.mark(ID, 3, true, 1);
    assert_eq!(producers.check(&facts(3, 1, 1), None), Verdict::Append);
    producers.expire(1_000);
    assert!(producers.is_empty());
}

#[test]
fn late_markers_are_fenced_off() {
    let marker = |coordinator_epoch| TxnMarker { commit: true, coordinator_epoch };
    let mut idle = Producers::default();
    idle.send(ID, 3, 0, 0);
    let open = idle.clone();
    idle.mark(ID, 3, true, 1);
    for (producers, epoch, coordinator_epoch, version, verdict) in [
        (&open, 3, 0, 1, MarkerVerdict::Append),
        (&open, 4, 0, 1, MarkerVerdict::Append),
        (&open, 2, 0, 1, MarkerVerdict::OldEpoch { current: 3 }),
        // Of the transaction before: this one's has another epoch.
        (&open, 3, 9, 2, MarkerVerdict::OldEpoch { current: 3 }),
        (&open, 4, 0, 2, MarkerVerdict::Append),
        (&idle, 3, 4, 1, MarkerVerdict::Append),
        (&idle, 3, 4, 2, MarkerVerdict::Append),
        (&idle, 2, 4, 2, MarkerVerdict::OldEpoch { current: 3 }),
        (&idle, 3, 3, 1, MarkerVerdict::OldCoordinator { current: 4 }),
        (&idle, 4, 3, 2, MarkerVerdict::OldCoordinator { current: 4 }),
    ] {
        let found = producers.check_marker(ID, epoch, &marker(coordinator_epoch), version);
        assert_eq!(found, verdict, "{epoch} {coordinator_epoch} {version}");
        assert_eq!(producers.check_marker(OTHER, epoch, &marker(0), version), MarkerVerdict::Append);
    }
}

#[test]
fn a_new_epoch_begins_at_zero() {
    let mut producers = Producers::default();
    producers.send(ID, 3, 0, 0);
    producers.mark(ID, 4, true, 1);
    let transactional = |epoch, first| ProducerFacts { transactional: true, ..facts(epoch, first, first) };
    for (batch, verdict) in [
        (transactional(4, 0), Verdict::Append),
        (transactional(4, 1), Verdict::OutOfOrder { expected: 0 }),
        (transactional(3, 1), Verdict::OldEpoch { current: 4 }),
        (transactional(5, 0), Verdict::Append),
    ] {
        assert_eq!(producers.check(&batch, None), verdict, "{batch:?}");
    }
}

#[test]
fn what_waits_for_an_answer_comes_first() {
    let question = |epoch_per_transaction| Question {
        producer_id: ID,
        epoch: 3,
        first_sequence: 5,
        epoch_per_transaction,
    };
    let transactional = |first| ProducerFacts { transactional: true, ..facts(3, first, first) };
    let producers = Producers::default();
    for (epoch_per_transaction, first, verdict) in [
        (false, 5, Verdict::Append),
        (false, 6, Verdict::OutOfOrder { expected: 5 }),
        // Nothing is known of the producer: it has begun with 0, and that is not here.
        (true, 5, Verdict::OutOfOrder { expected: 0 }),
        (true, 0, Verdict::Append),
    ] {
        let mut asked = Verifications::default();
        asked.ask(&question(epoch_per_transaction), 0);
        let found = producers.check(&transactional(first), asked.get(ID));
        assert_eq!(found, verdict, "{epoch_per_transaction} {first}");
    }
}

#[test]
fn a_truncation_brings_back_what_was_replaced() {
    let mut states = Vec::new();
    let mut producers = Producers::default();
    let mut at = 0;
    // Of two producers, in both versions of transactions.
    for round in 0..2 {
        for (id, bump) in [(ID, 0), (OTHER, 1)] {
            let epoch = round * bump;
            for n in 0..2 {
                states.push(producers.clone());
                producers.send(id, epoch, if bump == 1 { n } else { i32::from(round) * 2 + n }, at);
                at += 1;
            }
        }
        for (id, epoch) in [(OTHER, round + 1), (ID, 0)] {
            states.push(producers.clone());
            producers.mark(id, epoch, round == 1, at);
            at += 1;
        }
    }
    for (end, before) in states.iter().enumerate().rev() {
        let mut cut = producers.clone();
        let end = Offset(end as i64);
        assert!(end >= cut.truncatable());
        cut.truncate_from_end(end);
        assert_eq!(cut, *before, "at {end}");
        // One at a time gives the same.
        producers.truncate_from_end(end);
        assert_eq!(producers, *before, "at {end}");
    }
}

#[test]
fn what_cannot_be_brought_back_is_said() {
    let mut producers = Producers::default();
    for at in 0..10 {
        producers.send(ID, 0, at * 2, i64::from(at) * 2);
        producers.mark(ID, 0, true, i64::from(at) * 2 + 1);
    }
    producers.settle(Offset(12), Offset(8));
    assert_eq!((producers.truncatable(), producers.replaced().len()), (Offset(8), 6));
    assert_eq!(producers.first_unstable(), Some(Offset(12)));
    for at in 10..REPLACED_MAX as i64 + 10 {
        producers.mark(OTHER, 0, true, at + 10);
    }
    assert_eq!((producers.truncatable(), producers.replaced().len()), (Offset(20), REPLACED_MAX));
}
