//! What survives from one start to the next.

use quorum::{Error, MetadataLog, Options, ProposeError};

use crate::support::{History, batch, run};

#[test]
fn a_new_directory_elects_itself_and_commits() {
    let dir = tempfile::tempdir().unwrap();
    run(|host| async move {
        let history = History::default();
        let log = MetadataLog::open(&host, dir.path(), Options::default(), history.clone()).await.unwrap();
        assert_eq!(*log.leadership().borrow(), Some(1));
        let committed = log.propose(batch(1)).await.unwrap();
        assert_eq!((committed.term, history.batches()), (1, vec![batch(1)]));
        assert_eq!(history.indexes(), [committed.index]);
        log.applied(committed.index).await.unwrap();
        let status = log.status();
        assert_eq!(status.term, 1);
        assert_eq!(status.last_index, Some(committed.index));
        assert_eq!(status.applied_index, Some(committed.index));
        assert_eq!(status.voters.len(), 1);
        assert_eq!(status.voters[0].node_id, 1);
        assert_eq!(status.voters[0].raft_id, log.identity().raft_id);
        assert_eq!(status.leader.unwrap().node_id, Some(1));
        log.shutdown().await;
        assert_eq!(log.propose(batch(2)).await, Err(ProposeError::Stopped));
        assert_eq!(log.ended().await, ProposeError::Stopped);
        assert_eq!(log.applied(committed.index + 1).await, Err(ProposeError::Stopped));
    });
}

#[test]
fn every_start_is_a_new_term_and_keeps_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    let mut identity = None;
    for start in 1..=5 {
        let path = dir.path().to_owned();
        let (before, after, this) = run(|host| async move {
            let history = History::default();
            let log = MetadataLog::open(&host, &path, Options::default(), history.clone()).await.unwrap();
            let before = history.batches();
            assert_eq!(*log.leadership().borrow(), Some(start));
            let committed = log.propose(batch(start)).await.unwrap();
            assert_eq!(committed.term, start);
            log.shutdown().await;
            (before, history.batches(), log.identity().clone())
        });
        assert_eq!(before, expected);
        expected.push(batch(start));
        assert_eq!(after, expected);
        assert_eq!(*identity.get_or_insert(this.clone()), this);
    }
}

#[test]
fn a_proposal_for_another_term_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(|host| async move {
        let history = History::default();
        let log = MetadataLog::open(&host, dir.path(), Options::default(), history.clone()).await.unwrap();
        log.propose_in(1, batch(1)).await.unwrap();
        let refused = log.propose_in(2, batch(2)).await;
        assert!(matches!(refused, Err(ProposeError::NotLeader { .. })), "{refused:?}");
        assert_eq!(history.batches(), [batch(1)]);
        log.shutdown().await;
    });
}

#[test]
fn a_directory_serves_one_log_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    run(|host| async move {
        let open = || MetadataLog::open(&host, dir.path(), Options::default(), History::default());
        let log = open().await.unwrap();
        let second = open().await;
        assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
        log.shutdown().await;
        open().await.unwrap().shutdown().await;
    });
}
