//! Truncation, retention, and what the journal holds.

use super::*;

#[test]
fn truncation_takes_a_suffix_for_good() {
    for flushed in [0, 5, 12, 20] {
        for end in [0, 2, 10, 24, 30, 38] {
            let name = format!("{flushed} flushed, cut at {end}");
            let mut bench = Bench::new(small_segments());
            for n in 0..20 {
                bench.append(batch(&[1000 + n, 1000 + n]));
                if n + 1 == flushed {
                    bench.flush();
                    bench.evict();
                }
            }
            let entry = bench.log.truncate_to(Offset(end), LeaderEpoch(1)).expect("there is something");
            bench.submit(entry);
            assert_eq!(bench.log.log_end(), Offset(end), "{name}");
            let mut crashed = bench.log.state();
            crashed.topic = Arc::from("flights");
            assert_eq!(bench.read_all(), all_pairs(end / 2), "{name}, files not cut");
            assert!(bench.log.next_cut().is_none(), "{name}: not before the journal has it");
            bench.log.truncation_wrote();
            bench.log.truncation_synced();
            if let Some(cut) = bench.log.next_cut() {
                let state = cut.run(&*bench.files, &bench.open).expect("the disk works");
                bench.log.cut_done(state);
            }
            assert_eq!(bench.log.log_end(), Offset(end), "{name}");
            assert_eq!(bench.read_all(), all_pairs(end / 2), "{name}");
            bench.append(batch(&[7, 7]));
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, and one more");
            bench.reopen();
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, reopened");
            bench.flush();
            bench.evict();
            bench.reopen();
            assert_eq!(bench.read_all(), all_pairs(end / 2 + 1), "{name}, flushed");
            assert_eq!(bench.find(7).map(|found| found.0), Some(0), "{name}");
        }
    }
}

#[test]
fn a_crash_between_truncation_and_cut_ends_in_the_same_log() {
    for end in [0, 10, 24, 38] {
        let mut bench = filled(small_segments());
        bench.flush();
        let entry = bench.log.truncate_to(Offset(end), LeaderEpoch(1)).expect("there is something");
        // The checkpoint is made before the files are cut; the entry may be gone from the ring by then.
        let state = bench.log.state();
        for entries in [vec![], vec![(Position(1), entry.body)]] {
            let open = OpenFiles::new(8);
            let found = recover(&*bench.files, &open, Path::new(DIR), state.clone(), entries).expect("whole");
            assert_eq!(found.log_end(), Offset(end));
            bench.log = Log::open(found, bench.config.clone(), 0, 0);
            bench.open = open;
            assert_eq!(bench.read_all(), all_pairs(end / 2), "cut at {end}");
        }
    }
}

/// The segment that was the open one in the last checkpoint is closed, synced and deleted before the next: the partition
/// went offline at the next start, since a file was missing (simulator, family retention, seed 101).
/// A start took the batches that only the journal had once more, and each of them cut the epoch history that the checkpoint
/// had known: of epochs 0, 1 and 2 at 0, 4 and 12, the second was said to begin where the segments end, so a follower would
/// have kept what epoch 0 had written in its place.
#[test]
fn epochs_begin_where_they_began_after_a_start() {
    for (flushed, checkpointed) in (0..=10).flat_map(|flushed| (flushed..=10).map(move |at| (flushed, at))) {
        let mut bench = Bench::new(small_segments());
        let mut checkpoint = bench.log.state();
        for n in 0..10 {
            for (epoch, _) in [(1, 2), (2, 6)].iter().filter(|(_, first)| *first == n) {
                let entry = bench.log.lead(LeaderEpoch(*epoch)).expect("a later epoch");
                bench.submit(entry);
            }
            bench.append(batch(&[1000, 1001]));
            if n + 1 == flushed {
                bench.flush();
            }
            if n + 1 == checkpointed {
                checkpoint = bench.log.state();
            }
        }
        bench.reopen_from(checkpoint);
        let entries: Vec<_> =
            bench.log.epochs().entries().iter().map(|entry| (entry.epoch.0, entry.start.0)).collect();
        assert_eq!(entries, [(0, 0), (1, 4), (2, 12), (3, 20)], "{flushed} flushed, {checkpointed} known");
    }
}

#[test]
fn retention_may_overtake_the_checkpoint() {
    for (retention_bytes, start) in [(1500, 12), (0, 40)] {
        let none = LogConfig { retention_ms: None, ..small_segments() };
        let mut bench = Bench::new(LogConfig { retention_bytes: Some(retention_bytes), ..none });
        bench.append(batch(&[0, 1]));
        bench.flush();
        let checkpoint = bench.log.state();
        for n in 1..20 {
            bench.append(batch(&[n * 100, n * 100 + 1]));
            bench.flush();
        }
        let Some(Entry { body: Body::LogStart { offset }, .. }) = bench.log.retain(0) else {
            panic!("nothing")
        };
        bench.submit(Entry { key: key(), body: Body::LogStart { offset } });
        bench.log.log_start_synced(offset);
        bench.flush();
        let delete = bench.log.next_delete().expect("segments to delete");
        delete
            .run(&*bench.files, &bench.open)
            .and_then(|gone| gone.remove(&*bench.files))
            .expect("the disk works");
        bench.reopen_from(checkpoint);
        assert_eq!((bench.log.log_start(), bench.log.log_end()), (offset, Offset(40)));
        assert_eq!(offset, Offset(start));
        let pairs: Vec<_> = all_pairs(20).into_iter().filter(|(base, _)| *base >= offset.0).collect();
        assert_eq!(bench.read_all(), pairs);
        bench.flush();
        bench.evict();
        assert_eq!(bench.read_all(), pairs, "out of files");
    }
}

#[test]
fn retention_deletes_old_segments() {
    let none = LogConfig { retention_ms: None, ..small_segments() };
    for (name, config, now_ms, start) in [
        ("nothing", none.clone(), i64::MAX, 0),
        ("young", LogConfig { retention_ms: Some(500), ..none.clone() }, 1400, 0),
        ("all", LogConfig { retention_ms: Some(500), ..none.clone() }, 1_000_000, 40),
        ("size", LogConfig { retention_bytes: Some(1500), ..none.clone() }, 0, 12),
        (
            "compacted only",
            LogConfig {
                retention_ms: Some(1),
                cleanup_policy: CleanupPolicy { delete: false, compact: true },
                ..none
            },
            1_000_000,
            0,
        ),
    ] {
        let mut bench = filled(config);
        bench.flush();
        bench.evict();
        let entry = bench.log.retain(now_ms);
        assert!(bench.log.next_delete().is_none(), "{name}: not before the journal has it");
        if let Some(entry) = entry {
            let Body::LogStart { offset } = entry.body else { panic!("{entry:?}") };
            bench.submit(entry);
            bench.log.log_start_synced(offset);
        }
        let started = bench.log.log_start();
        assert_eq!(started, Offset(start), "{name}");
        bench.flush();
        if let Some(delete) = bench.log.next_delete() {
            let deleted = delete.run(&*bench.files, &bench.open).expect("the disk works");
            assert!(!deleted.is_empty(), "{name}");
            deleted.remove(&*bench.files).expect("the disk works");
        }
        let pairs: Vec<_> = all_pairs(20).into_iter().filter(|(base, _)| *base >= started.0).collect();
        assert_eq!(bench.read_all(), pairs, "{name}");
        bench.reopen();
        assert_eq!(bench.log.log_start(), started, "{name}");
        assert_eq!(bench.read_all(), pairs, "{name}, reopened");
        assert!(bench.log.read(started - 1, up_to(started, 1, true)).is_err(), "{name}");
        assert_eq!(bench.append(batch(&[1])), 40, "{name}");
    }
}

#[test]
fn stragglers_are_written_again_at_the_head() {
    let mut bench = filled(LogConfig::default());
    let (entries, end) = bench.log.again().expect("all in memory");
    assert_eq!((entries.len(), end), (20, Offset(40)));
    bench.journal.clear();
    bench.append(batch(&[9, 9]));
    for entry in entries {
        bench.submit(entry);
    }
    bench.log.journal_moved(end, Position(5_000_000));
    assert_eq!(bench.log.oldest_needed(), Some(Position(0)), "the one that was not written again");
    bench.reopen();
    assert_eq!(bench.read_all(), all_pairs(21));
}
