//! Transactions: who may begin one, and what is known of those that were aborted.

use protocol::records::TxnMarker;

use super::*;
use crate::producers::AbortedTransaction;
use crate::segment::names::segment_file;

fn part(producer: i64, epoch: i16, sequence: i32) -> ValidBatch {
    let options = BatchOptions {
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        transactional: true,
        ..BatchOptions::default()
    };
    batch_of(options, &[1, 2], b"x")
}

fn marker(producer: i64, epoch: i16, commit: bool) -> ValidBatch {
    let marker = TxnMarker { commit, coordinator_epoch: 0 };
    marker.to_batch(ProducerId(producer), ProducerEpoch(epoch), 5, false).expect("it fits")
}

fn question(producer: i64, first_sequence: i32) -> Question {
    Question { producer_id: ProducerId(producer), epoch: 0, first_sequence, epoch_per_transaction: false }
}

impl Bench {
    fn append_from(&mut self, origin: Origin, batch: ValidBatch) -> Result<i64, AppendRefusal> {
        match self.log.append_from(origin, batch, 0, self.now_ms)? {
            Outcome::Appended { base_offset, end, entry, .. } => {
                let position = self.submit(entry);
                self.log.journal_wrote(end, position);
                self.log.journal_synced(end);
                Ok(base_offset.0)
            }
            Outcome::Duplicate { base_offset, .. } => Ok(base_offset.0),
        }
    }

    fn mark(&mut self, producer: i64, commit: bool) -> i64 {
        let origin = Origin::Marker { transaction_version: 1 };
        self.append_from(origin, marker(producer, 0, commit)).expect("it is accepted")
    }

    fn aborted(&self, start: i64, end: i64) -> Vec<AbortedTransaction> {
        self.try_aborted(start, end).expect("nothing is damaged")
    }

    fn try_aborted(&self, start: i64, end: i64) -> std::io::Result<Vec<AbortedTransaction>> {
        match self.log.aborted_in(Offset(start), Offset(end)) {
            AbortedIn::Known(known) => Ok(known),
            AbortedIn::Cold(search) => search.run(&*self.files),
        }
    }
}

fn by(guard: Option<Guard>) -> Origin {
    Origin::Producer { verified: Verified::By(guard) }
}

#[test]
fn a_transaction_begins_with_the_guard_of_its_question_only() {
    let mut bench = Bench::new(LogConfig::default());
    let refused = AppendRefusal::NotVerified { producer_id: ProducerId(7) };
    assert_eq!(bench.append_from(by(None), part(7, 0, 0)), Err(refused), "nobody has been asked");
    let guard = bench.log.ask(&question(7, 0), 0).expect("nothing is open");
    assert_eq!(bench.append_from(by(Some(guard)), part(7, 0, 0)), Ok(0));
    assert_eq!(bench.log.ask(&question(7, 2), 0), None, "it is open");
    assert_eq!(bench.append_from(by(None), part(7, 0, 2)), Ok(2));
    bench.mark(7, true);
    assert_eq!(bench.append_from(by(Some(guard)), part(7, 0, 4)), Err(refused), "it was good once");
}

/// The coordinator says yes, the transaction is aborted, and then the batch comes: nobody would ever end what it began.
#[test]
fn a_marker_between_question_and_batch_voids_the_guard() {
    let mut bench = Bench::new(LogConfig::default());
    let guard = bench.log.ask(&question(7, 0), 0);
    bench.mark(7, false);
    let refused = AppendRefusal::NotVerified { producer_id: ProducerId(7) };
    assert_eq!(bench.append_from(by(guard), part(7, 0, 0)), Err(refused));
    assert_eq!(bench.log.last_stable_offset(), bench.log.high_watermark());
    // The same batch once more, after another question.
    let guard = bench.log.ask(&question(7, 0), 0);
    assert_eq!(bench.append_from(by(guard), part(7, 0, 0)), Ok(1));
    // An old producer's guard is not one for the new epoch.
    let zombie = bench.log.ask(&Question { epoch: 1, ..question(7, 0) }, 0);
    assert!(zombie.is_some(), "of another epoch nothing is open");
    bench.mark(7, false);
    assert_eq!(bench.append_from(by(zombie), part(7, 1, 0)), Err(refused));
}

#[test]
fn a_duplicate_needs_no_guard() {
    let mut bench = Bench::new(LogConfig::default());
    bench.append(part(7, 0, 0));
    bench.mark(7, true);
    assert_eq!(bench.append_from(by(None), part(7, 0, 0)), Ok(0));
}

/// Transactions that overlap, some over several segments; what was aborted, in the order of the markers.
fn many(bench: &mut Bench, count: i32) -> Vec<AbortedTransaction> {
    let mut open: BTreeMap<i64, (i64, i32)> = BTreeMap::new();
    let (mut sequences, mut all) = ([0; 5], Vec::new());
    for n in 0..count {
        let producer = n % 5;
        let sequence = &mut sequences[producer as usize];
        let offset = bench.append(part(i64::from(producer), 0, *sequence * 2));
        *sequence += 1;
        open.entry(i64::from(producer)).or_insert((offset, n));
        // Each goes on for another time.
        let ended: Vec<i64> = open
            .iter()
            .filter(|(id, (_, began))| i64::from(n - began) >= **id * 9)
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            let (first, _) = open.remove(&id).expect("it is open");
            let commit = n % 4 == 0;
            let last = bench.mark(id, commit);
            let stable = open.values().map(|(first, _)| *first).min().unwrap_or(last + 1);
            if !commit {
                all.push(AbortedTransaction {
                    producer_id: ProducerId(id),
                    first_offset: Offset(first),
                    last_offset: Offset(last),
                    last_stable_offset: Offset(stable),
                });
            }
        }
        if n % 7 == 0 {
            bench.flush();
        }
    }
    all
}

#[test]
fn what_overlaps_a_range_is_found_in_memory_and_in_files() {
    let mut bench = Bench::new(LogConfig { segment_bytes: 20_000, ..LogConfig::default() });
    let all = many(&mut bench, 9_000);
    assert!(all.len() > 1_500 && bench.log.aborted.from() > Offset::ZERO, "memory does not hold them all");
    bench.flush();
    for reopened in [false, true] {
        if reopened {
            bench.reopen();
        }
        let end = bench.log.log_end().0;
        for n in 0..60 {
            let start = n * end / 60;
            for length in [1, 40, 4_000, end] {
                let to = (start + length).min(end);
                let overlaps =
                    |one: &&AbortedTransaction| one.last_offset.0 >= start && one.first_offset.0 < to;
                let expected: Vec<_> = all.iter().filter(overlaps).copied().collect();
                assert_eq!(bench.aborted(start, to), expected, "{start} to {to}");
            }
        }
    }
}

#[test]
fn an_index_that_is_lost_is_written_anew() {
    let mut bench = Bench::new(LogConfig { segment_bytes: 5_000, ..LogConfig::default() });
    let all = many(&mut bench, 400);
    bench.flush();
    bench.reopen();
    let (first, last) = (bench.log.sealed[0], bench.log.sealed[3]);
    let path = |segment: &SealedSegment, kind| segment_file(bench.log.dir(), segment.base, kind);
    let paths = [path(&first, FileKind::TxnIndex), path(&last, FileKind::TxnIndex)];
    let before = paths.each_ref().map(|path| bench.files.read(path, 1 << 20).expect("it is there"));
    assert!(before.iter().all(|bytes| !bytes.is_empty()));
    let end = bench.log.log_end().0;
    bench.files.remove_file(&paths[0]).expect("it is there");
    let mut changed = before[1].clone();
    changed[20] ^= 1;
    bench.files.replace(&paths[1], &changed).expect("the disk works");
    assert_eq!(bench.aborted(0, end), all, "the batches say it, too");
    let after = paths.each_ref().map(|path| bench.files.read(path, 1 << 20).expect("it is there"));
    assert_eq!(after, before);
    // Where nobody knows which transactions were open, what was aborted cannot be told from what was not.
    bench.files.remove_file(&path(&last, FileKind::Snapshot)).expect("it is there");
    bench.files.replace(&paths[1], &changed).expect("the disk works");
    let refused = bench.try_aborted(last.base.0, end).expect_err("it is not known");
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
    // Those before are not concerned.
    assert!(!bench.aborted(0, first.end.0).is_empty());
}

#[test]
fn a_start_mends_the_index_of_the_open_segment() {
    let mut bench = Bench::new(LogConfig::default());
    let all = many(&mut bench, 100);
    bench.flush();
    bench.journal.clear();
    let path = segment_file(bench.log.dir(), Offset::ZERO, FileKind::TxnIndex);
    let whole = bench.files.read(&path, 1 << 20).expect("it is there");
    for spoilt in [Vec::new(), whole[..34].to_vec(), [&[9; 40], &whole[40..]].concat()] {
        bench.files.replace(&path, &spoilt).expect("the disk works");
        bench.open.forget(&path);
        bench.reopen();
        assert_eq!(bench.files.read(&path, 1 << 20).expect("it is there"), whole);
        assert_eq!(bench.aborted(0, bench.log.log_end().0), all);
    }
    // A crash may leave what was never synced.
    bench.files.replace(&path, &[whole.clone(), vec![7; 100]].concat()).expect("the disk works");
    bench.reopen();
    assert_eq!(bench.files.read(&path, 1 << 20).expect("it is there"), whole);
}

#[test]
fn an_open_transaction_holds_compaction_back_but_not_retention() {
    let cleanup_policy = CleanupPolicy { delete: true, compact: true };
    let config = LogConfig {
        segment_bytes: 1_000,
        retention_bytes: Some(2_000),
        cleanup_policy,
        min_cleanable_dirty_ppm: 0,
        ..LogConfig::default()
    };
    let mut bench = Bench::new(config);
    for n in 0..10 {
        bench.append(batch(&[n]));
    }
    let first = bench.append(part(7, 0, 0));
    for n in 0..40 {
        bench.append(batch(&[n]));
    }
    bench.flush();
    let dirty = bench.log.dirtiness(0).expect("what is decided is dirty");
    assert!(dirty.end.0 <= first, "{dirty:?}");
    assert_eq!(bench.log.last_stable_offset(), Offset(first));
    let entry = bench.log.retain(0).expect("it is too much");
    let Body::LogStart { offset } = entry.body else { panic!("{entry:?}") };
    assert!(offset.0 > first, "as in Kafka, an open transaction keeps nothing");
    bench.log.log_start_synced(offset);
    assert_eq!(bench.log.last_stable_offset(), offset, "what is gone is not waited for");
    bench.mark(7, true);
    assert_eq!(bench.log.last_stable_offset(), bench.log.high_watermark());
}
