//! A disk that fails, and load that is too much.

use host::sim::{CrashPolicy, OpKind, Rule};
use quorum::{BATCH_BYTES_MAX, Error, IN_FLIGHT_BYTES_MAX, Options, ProposeError};

use crate::support::{History, batch, open, world};

#[test]
fn a_failed_sync_is_final() {
    for (op, path) in [(OpKind::Sync, ".log"), (OpKind::Write, ".log")] {
        let (sim, host) = world(1);
        let disk = sim.disk("a");
        sim.block_on_node("a", async {
            let history = History::default();
            let log = open(&host, &Options::default(), &history).await.unwrap();
            log.propose(batch(1)).await.unwrap();
            disk.inject(Rule::next(op, path, 1));
            let failed = log.propose(batch(2)).await;
            assert!(matches!(failed, Err(ProposeError::StorageFailed { .. })), "{failed:?}");
            assert!(matches!(log.ended().await, ProposeError::StorageFailed { .. }));
            let mut leadership = log.leadership();
            leadership.wait_for(Option::is_none).await.unwrap();
            // The disk would work again, but nobody knows what it holds.
            let operations = disk.operations();
            let again = log.propose(batch(3)).await;
            assert!(matches!(again, Err(ProposeError::StorageFailed { .. })), "{again:?}");
            assert_eq!(disk.operations(), operations);
            assert_eq!(history.batches(), [batch(1)]);
        });
    }
}

#[test]
fn a_failure_while_opening_is_an_error() {
    for op in [OpKind::Sync, OpKind::Write, OpKind::Open, OpKind::SyncDir, OpKind::Rename, OpKind::CreateDir]
    {
        let (sim, host) = world(1);
        sim.disk("a").inject(Rule::next(op, "", 1));
        sim.block_on_node("a", async {
            let failed = open(&host, &Options::default(), &History::default()).await;
            assert!(matches!(failed, Err(Error::Io { .. } | Error::Start { .. })), "{op:?}: {failed:?}");
        });
    }
}

/// Whoever cannot sync a name ends, and the next start finds it: what was written under it was gone after a power loss, with the
/// identity of the node or all of its log.
#[test]
fn names_that_could_not_be_synced_are_synced_by_the_next_start() {
    let mut failed = 0;
    for skip in 0..6 {
        let (sim, host) = world(1);
        let disk = sim.disk("a");
        disk.faults(|faults| faults.crash = CrashPolicy::LoseAll);
        disk.inject(Rule { skip, ..Rule::next(OpKind::SyncDir, "", 1) });
        failed += usize::from(sim.block_on_node("a", async {
            open(&host, &Options::default(), &History::default()).await.is_err()
        }));
        sim.kill("a");
        disk.clear_rules();
        let host = sim.restart("a");
        sim.block_on_node("a", async {
            let log = open(&host, &Options::default(), &History::default()).await.unwrap();
            log.propose(batch(1)).await.unwrap();
        });
        sim.crash("a");
        let host = sim.restart("a");
        let again = History::default();
        sim.block_on_node("a", async {
            open(&host, &Options::default(), &again).await.unwrap();
            assert_eq!(again.batches(), [batch(1)], "after failure {skip}");
        });
    }
    assert!(failed > 2, "{failed}");
}

#[test]
fn a_thousand_proposals_share_syncs_and_keep_their_order() {
    let (sim, host) = world(1);
    let disk = sim.disk("a");
    sim.block_on_node("a", async {
        let history = History::default();
        let log = open(&host, &Options::default(), &history).await.unwrap();
        let before = disk.operations();
        let proposals: Vec<_> = (0..1000).map(|number| log.propose(batch(number))).collect();
        let mut last = 0;
        for proposal in proposals {
            let committed = proposal.await.unwrap();
            assert!(committed.index > last);
            last = committed.index;
        }
        let operations = disk.operations() - before;
        assert!(operations <= 60, "{operations} disk operations");
        assert_eq!(history.batches(), (0..1000).map(batch).collect::<Vec<_>>());
        log.shutdown().await;
    });
}

#[test]
fn too_much_is_refused() {
    let (sim, host) = world(1);
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &History::default()).await.unwrap();
        let largest = bytes::Bytes::from(vec![7; BATCH_BYTES_MAX]);
        let too_large = bytes::Bytes::from(vec![7; BATCH_BYTES_MAX + 1]);
        let refused = log.propose(too_large).await;
        assert!(matches!(refused, Err(ProposeError::TooLarge { .. })), "{refused:?}");
        let fitting = IN_FLIGHT_BYTES_MAX / BATCH_BYTES_MAX;
        let proposals: Vec<_> = (0..fitting).map(|_| log.propose(largest.clone())).collect();
        let refused = log.propose(batch(1)).await;
        assert!(matches!(refused, Err(ProposeError::Overloaded { .. })), "{refused:?}");
        for proposal in proposals {
            proposal.await.unwrap();
        }
        log.propose(batch(1)).await.unwrap();
        log.shutdown().await;
    });
}
