//! Appends and reads: order, acks, epochs, times, memory.

use super::*;

#[test]
fn appends_are_read_back_over_many_partitions() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..10 {
            bench.shards.open(spec(partition, small_segments())).await.unwrap();
        }
        for round in 0..30 {
            let appends = (0..10).map(|partition| Append::trusted(key(partition), batch())).collect();
            for (n, (of, result)) in (0..).zip(bench.shards.append(Acks::All, appends).await) {
                assert_eq!((of, result.unwrap().base_offset), (key(n), Offset(round * 2)));
            }
        }
        let expected: Vec<_> = (0..30).map(|round| round * 2).collect();
        for partition in 0..10 {
            assert_eq!(bench.read_all(partition).await, expected);
        }
        let reads = (0..10).rev().map(|partition| read(partition, 0, 1)).collect();
        let replies = bench.shards.read(reads, 10_000, true, None).await;
        assert_eq!(
            replies.iter().map(|reply| reply.key.partition).collect::<Vec<_>>(),
            (0..10).rev().collect::<Vec<_>>()
        );
        assert_eq!(replies.iter().filter(|reply| !reply.records.is_empty()).count(), 1, "one batch in all");
    });
}

#[test]
fn acks_wait_for_what_they_mean() {
    for durability in [Durability::Synced, Durability::Buffered] {
        on_bench(&ShardsOptions::default(), async |bench| {
            bench.shards.open(spec(0, LogConfig { durability, ..LogConfig::default() })).await.unwrap();
            bench.committer.hold();
            assert_eq!(bench.append(Acks::None, 0, batch()).await, Ok(0));
            let mut leader = Box::pin(bench.append(Acks::Leader, 0, batch()));
            let mut all = Box::pin(bench.append(Acks::All, 0, batch()));
            bench.sleep(Duration::from_millis(50)).await;
            let early = |future: &mut std::pin::Pin<_>| futures_now(future);
            assert_eq!(early(&mut leader), None);
            // A buffered topic answered at the append once, before anything was written: a kill lost what readers
            // had seen (simulator, seed 20).
            assert_eq!(early(&mut all), None);
            assert_eq!(bench.status(0).await.high_watermark, Offset(0));
            bench.committer.let_go();
            assert_eq!(leader.await, Ok(2));
            assert_eq!(all.await, Ok(4));
            assert_eq!(bench.status(0).await.high_watermark, Offset(6));
        });
    }
}

#[test]
fn a_duplicate_waits_for_its_original() {
    let idempotent = |sequence| {
        let options = BatchOptions {
            producer_id: ProducerId(3),
            producer_epoch: ProducerEpoch(0),
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        batch_of(options, 2, b"v")
    };
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        assert_eq!(bench.append(Acks::All, 0, idempotent(0)).await, Ok(0));
        bench.committer.hold();
        let mut original = Box::pin(bench.append(Acks::All, 0, idempotent(2)));
        let mut duplicate = Box::pin(bench.append(Acks::All, 0, idempotent(2)));
        let old = bench.append(Acks::All, 0, idempotent(0));
        assert_eq!(futures_now(&mut original), None);
        assert_eq!(futures_now(&mut duplicate), None);
        assert_eq!(old.await, Ok(0), "its original is synced");
        assert_eq!(bench.append(Acks::All, 0, idempotent(9)).await, Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(futures_now(&mut duplicate), None);
        bench.committer.let_go();
        assert_eq!((original.await, duplicate.await), (Ok(2), Ok(2)));
        assert_eq!(bench.status(0).await.log_end_offset, Offset(4));
    });
}

#[test]
fn a_waiting_reader_hears_of_an_append() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        let waiter = ReadWaiter::unarmed();
        let replies = bench.shards.read(vec![read(0, 0, 1000)], 1000, true, Some(waiter.clone())).await;
        assert!(replies[0].records.is_empty());
        waiter.arm(2 * batch().size());
        let mut satisfied = Box::pin(async { waiter.satisfied().await });
        for expected in [None, Some(())] {
            bench.append(Acks::All, 0, batch()).await.unwrap();
            assert_eq!(futures_now(&mut satisfied), expected);
        }
    });
}

#[test]
fn leader_epochs_are_checked() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        bench.shards.lead(key(0), LeaderEpoch(2)).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        for (epoch, error) in
            [(1, ErrorCode::FencedLeaderEpoch), (2, ErrorCode::None), (3, ErrorCode::UnknownLeaderEpoch)]
        {
            let read = Read { current_leader_epoch: Some(LeaderEpoch(epoch)), ..read(0, 0, 1000) };
            assert_eq!(bench.shards.read(vec![read], 1000, true, None).await[0].error, error, "{epoch}");
        }
        for (offset, epoch, diverging) in
            [(2, 0, None), (3, 0, Some((0, 2))), (2, 1, Some((0, 2))), (4, 2, None)]
        {
            let read = Read { last_fetched_epoch: Some(LeaderEpoch(epoch)), ..read(0, offset, 1000) };
            let reply = bench.shards.read(vec![read], 1000, true, None).await.remove(0);
            let found = reply.diverging.map(|end| (end.leader_epoch.0, end.end_offset.0));
            assert_eq!(found, diverging, "{offset} in {epoch}");
        }
        let end = bench.shards.epoch_end(key(0), LeaderEpoch(1), None).await.unwrap();
        assert_eq!((end.leader_epoch, end.end_offset), (LeaderEpoch(0), Offset(2)));
        assert_eq!(bench.read(0, 5, 10).await.error, ErrorCode::OffsetOutOfRange);
        assert_eq!(bench.read(1, 0, 10).await.error, ErrorCode::NotLeaderOrFollower);
    });
}

#[test]
fn offsets_are_found_by_time() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, small_segments())).await.unwrap();
        for _ in 0..20 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(1)).await;
        for (query, offset, timestamp_ms) in [
            (OffsetQuery::Earliest, 0, -1),
            (OffsetQuery::Latest { committed_only: false }, 40, -1),
            (OffsetQuery::MaxTimestamp { committed_only: false }, 1, 1001),
            (OffsetQuery::AtTimestamp { timestamp_ms: 5, committed_only: false }, 0, 1000),
            (OffsetQuery::AtTimestamp { timestamp_ms: 1002, committed_only: true }, -1, -1),
        ] {
            let found = bench.shards.offset(key(0), query, None).await.unwrap();
            assert_eq!((found.offset.0, found.timestamp_ms), (offset, timestamp_ms), "{query:?}");
        }
    });
}

#[test]
fn little_memory_slows_appends_down_and_loses_none() {
    let options = ShardsOptions { memory_bytes_max: 200_000, ..ShardsOptions::default() };
    on_bench(&options, async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        let value = vec![5; 10_000];
        let appends: Vec<_> = (0..400)
            .map(|n| bench.append(Acks::All, n % 4, batch_of(BatchOptions::default(), 1, &value)))
            .collect();
        for append in appends {
            append.await.unwrap();
        }
        for partition in 0..4 {
            assert_eq!(bench.read_all(partition).await, (0..100).collect::<Vec<_>>());
        }
        assert!(bench.shards.common.budget.used() < 200_000, "{}", bench.shards.common.budget.used());
    });
}

/// Memory that is nearly full, as it always is after a while, was taken for a lack of it: every record was written to its
/// segment by itself.
#[test]
fn memory_full_of_what_could_be_dropped_is_no_reason_to_write_tails_out() {
    let options = ShardsOptions { memory_bytes_max: 1 << 20, ..ShardsOptions::default() };
    on_bench(&options, async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        let large = || batch_of(BatchOptions::default(), 1, &vec![5; 300_000]);
        for _ in 0..10 {
            bench.append(Acks::All, 0, large()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(10)).await;
        let used = bench.shards.common.budget.used();
        assert!(used >= (1 << 20) / 2, "{used}");
        let log = Path::new("/data/flights-0/00000000000000000000.log");
        let log = bench.host.disk.files().open(log, OpenMode::READ).unwrap();
        let before = log.len().unwrap();
        for _ in 0..20 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
            bench.sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(log.len().unwrap(), before);
        assert_eq!(bench.read_all(0).await.len(), 30);
    });
}
