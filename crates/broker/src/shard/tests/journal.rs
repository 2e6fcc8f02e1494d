//! A journal that wants its space back, or has failed.

use super::*;

#[test]
fn the_journal_gets_its_space_back() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..6 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        let large = vec![1; 50_000];
        for partition in 0..6 {
            // Half of them are stragglers.
            let value = if partition % 2 == 0 { &large[..] } else { &large[..10] };
            bench.append(Acks::All, partition, batch_of(BatchOptions::default(), 1, value)).await.unwrap();
        }
        let (before, head) = {
            let fake = bench.committer.state.lock().unwrap();
            (fake.entries, Position(fake.position))
        };
        bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: head, full: None });
        bench.sleep(Duration::from_secs(1)).await;
        let fake = bench.committer.state.lock().unwrap();
        assert_eq!(fake.entries, before + 3, "stragglers are submitted again");
        for released in &fake.released[fake.released.len() - 2..] {
            assert!(released.is_none_or(|position| position > head), "{released:?} of {head:?}");
        }
    });
}

/// A full journal asks for everything up to its end while its last rounds are still being synced. What they hold cannot
/// be written out yet; it was forgotten, the journal never got its space back, and all appends stood still.
#[test]
fn what_is_asked_for_before_the_journal_has_synced_it_is_written_out_then() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        bench.committer.hold();
        let waiting: Vec<_> = (0..4).map(|partition| bench.append(Acks::All, partition, batch())).collect();
        bench.sleep(Duration::from_millis(10)).await;
        let head = bench.committer.write();
        bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: head, full: Some(Position(0)) });
        bench.sleep(Duration::from_secs(3)).await;
        bench.committer.state.lock().unwrap().released.clear();
        bench.committer.let_go();
        for appended in waiting {
            appended.await.unwrap();
        }
        bench.sleep(Duration::from_secs(3)).await;
        let fake = bench.committer.state.lock().unwrap();
        let freed = |released: &&Option<Position>| released.is_none_or(|position| position > head);
        let told = fake.released.iter().filter(freed).count();
        assert_eq!(told, bench.host.tasks.shards(), "{:?} of {head:?}", fake.released);
    });
}

/// 1,000 partitions written as fast as they could be stood still for ever: the last round before the journal was full
/// had entries of one shard only, and the other believed that its waiting entries might lie where space was wanted.
#[test]
fn a_shard_without_a_part_in_the_last_round_gives_space_back_too() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..6 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        let written = Position(bench.committer.state.lock().unwrap().position);
        bench.committer.hold();
        let waiting: Vec<_> = (0..6).map(|partition| bench.append(Acks::All, partition, batch())).collect();
        bench.sleep(Duration::from_millis(10)).await;
        bench.committer.state.lock().unwrap().released.clear();
        bench.committer.report(&Report::RingPressure {
            dir: 0,
            free_up_to: written,
            full: Some(Position(0)),
        });
        bench.sleep(Duration::from_secs(1)).await;
        let released = std::mem::take(&mut bench.committer.state.lock().unwrap().released);
        let shards = bench.host.tasks.shards();
        assert!(shards > 1 && released.len() >= shards, "{released:?} of {shards} shards");
        for released in released {
            assert!(released.is_some_and(|position| position > written), "{released:?} of {written:?}");
        }
        bench.committer.let_go();
        for appended in waiting {
            appended.await.unwrap();
        }
    });
}

#[test]
fn a_failed_journal_is_told_to_everybody() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        bench.committer.hold();
        let waiting = bench.append(Acks::All, 0, batch());
        let failed = bench.shards.failed();
        let mut waiting = Box::pin(waiting);
        assert_eq!(futures_now(&mut waiting), None);
        bench.committer.report(&Report::Failed { dir: 0, error: Arc::from("it is broken") });
        assert_eq!(waiting.await, Err(ErrorCode::KafkaStorageError));
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::KafkaStorageError));
        assert_eq!(bench.read(0, 0, 10).await.error, ErrorCode::KafkaStorageError);
        assert!(failed.await.contains("it is broken"));
        assert!(bench.shards.open(spec(1, LogConfig::default())).await.is_err());
    });
}
