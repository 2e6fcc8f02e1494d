//! Transactions from their beginning to their end, whatever happens in between.

use protocol::ErrorCode;

use super::producer::{Tx, VERSIONS, committed, find, group_offset};
use crate::support::{Client, ms, run};

/// Markers are written when the answer is there already: until readers of committed records see `count` records.
pub(super) async fn settled(
    client: &mut Client,
    topic: &crate::support::requests::Topic,
    count: usize,
) -> Vec<String> {
    for _ in 0..1_000 {
        let values = committed(client, topic, 0).await;
        if values.len() >= count {
            return values;
        }
        client.pause(ms(10)).await;
    }
    panic!("{count} records are not committed")
}

#[test]
fn a_transaction_is_seen_whole_or_not_at_all() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 2, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            for (number, commit) in [true, false, true, false, true].into_iter().enumerate() {
                for partition in [0, 1] {
                    let values = [format!("{number}a"), format!("{number}b")];
                    let values: Vec<&str> = values.iter().map(String::as_str).collect();
                    assert_eq!(tx.send(&mut client, &topic, partition, &values).await, ErrorCode::None);
                }
                let before = committed(&mut client, &topic, 0).await;
                assert!(!before.iter().any(|value| value.starts_with(&number.to_string())));
                assert_eq!(tx.end(&mut client, commit).await, ErrorCode::None, "version {version}");
            }
            let expected = ["0a", "0b", "2a", "2b", "4a", "4b"];
            assert_eq!(settled(&mut client, &topic, 6).await, expected);
            assert_eq!(committed(&mut client, &topic, 1).await, expected);
            // One epoch a transaction, or one for all.
            assert_eq!(tx.epoch, if version == 2 { 5 } else { 0 });
        });
    }
}

#[test]
fn a_producer_does_not_have_to_wait_between_its_transactions() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            for number in 0..50 {
                let sent = tx.send(&mut client, &topic, 0, &[&number.to_string()]).await;
                assert_eq!(sent, ErrorCode::None, "{number}: the one before has just been decided");
                assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
            }
            assert_eq!(settled(&mut client, &topic, 50).await.len(), 50);
        });
    }
}

/// What the broker does between a decision and its completion is done after a crash, too.
#[test]
fn what_is_decided_stays_decided_and_is_completed() {
    for version in VERSIONS {
        for commit in [true, false] {
            run(&[], async |world| {
                let mut client = world.connect().await;
                let topic = client.create("t", 1, &[]).await;
                let mut tx = Tx::init(&mut client, "tx", version).await;
                tx.send(&mut client, &topic, 0, &["a"]).await;
                assert_eq!(tx.commit_offset(&mut client, &topic, 7).await, ErrorCode::None);
                let before = tx.clone();
                assert_eq!(tx.end(&mut client, commit).await, ErrorCode::None);
                world.crash().await;
                let mut client = world.connect().await;
                client.fill(&topic, &["after"]).await;
                let values = settled(&mut client, &topic, if commit { 2 } else { 1 }).await;
                assert_eq!(values, if commit { vec!["a", "after"] } else { vec!["after"] });
                assert_eq!(find(&mut client, 0, super::producer::GROUP).await, ErrorCode::None);
                let offset = stable_offset(&mut client, &topic).await;
                assert_eq!(offset, if commit { 7 } else { -1 });
                // Whoever did not hear the answer asks again, and is told the same.
                let mut again = before;
                assert_eq!(again.end(&mut client, commit).await, ErrorCode::None);
                assert_eq!((again.producer_id, again.epoch), (tx.producer_id, tx.epoch));
                assert_eq!(again.end(&mut client, !commit).await, {
                    // By version 2 it has nothing to commit, and may abort nothing.
                    if version == 2 && commit { ErrorCode::None } else { ErrorCode::InvalidTxnState }
                });
            });
        }
    }
}

async fn stable_offset(client: &mut Client, topic: &crate::support::requests::Topic) -> i64 {
    for _ in 0..1_000 {
        match group_offset(client, topic, true).await {
            Ok(offset) => return offset,
            Err(code) => assert_eq!(code, ErrorCode::UnstableOffsetCommit),
        }
        client.pause(ms(10)).await;
    }
    panic!("the offset is not decided")
}

#[test]
fn a_transaction_goes_on_after_a_crash() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            assert_eq!(tx.send(&mut client, &topic, 0, &["a"]).await, ErrorCode::None);
            assert_eq!(tx.commit_offset(&mut client, &topic, 7).await, ErrorCode::None);
            world.crash().await;
            let mut client = world.connect().await;
            assert_eq!(find(&mut client, 1, "tx").await, ErrorCode::None);
            assert_eq!(find(&mut client, 0, super::producer::GROUP).await, ErrorCode::None);
            assert_eq!(group_offset(&mut client, &topic, true).await, Err(ErrorCode::UnstableOffsetCommit));
            assert_eq!(group_offset(&mut client, &topic, false).await, Ok(-1));
            assert_eq!(tx.send(&mut client, &topic, 0, &["b"]).await, ErrorCode::None);
            assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
            assert_eq!(settled(&mut client, &topic, 2).await, ["a", "b"]);
            assert_eq!(stable_offset(&mut client, &topic).await, 7);
        });
    }
}

#[test]
fn a_transaction_of_which_a_topic_is_deleted_is_completed() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let other = client.create("u", 1, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            tx.send(&mut client, &topic, 0, &["a"]).await;
            tx.send(&mut client, &other, 0, &["a"]).await;
            client.delete("u").await;
            assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
            assert_eq!(settled(&mut client, &topic, 1).await, ["a"]);
            // The next one can begin.
            assert_eq!(tx.send(&mut client, &topic, 0, &["b"]).await, ErrorCode::None);
            assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
        });
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_told() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut tx = Tx::init_for(&mut client, "tx", version, 5_000).await;
            tx.send(&mut client, &topic, 0, &["late"]).await;
            client.fill(&topic, &["plain"]).await;
            client.pause(ms(20_000)).await;
            assert_eq!(settled(&mut client, &topic, 1).await, ["plain"], "nobody waits for it any more");
            let mut zombie = tx.clone();
            assert_eq!(
                zombie.only_send(&mut client, &topic, 0, &["later"]).await,
                ErrorCode::InvalidProducerEpoch
            );
            assert_eq!(find(&mut client, 0, super::producer::GROUP).await, ErrorCode::None);
            assert_eq!(
                zombie.commit_offset_in(&mut client, 4, &topic, 7).await,
                ErrorCode::InvalidProducerEpoch
            );
            // By version 2 it looks like a commit that is asked for again, of what was aborted.
            let refused = if version == 2 { ErrorCode::InvalidTxnState } else { ErrorCode::ProducerFenced };
            assert_eq!(tx.end(&mut client, true).await, refused);
            assert_eq!(committed(&mut client, &topic, 0).await, ["plain"]);
        });
    }
}

#[test]
fn a_coordinator_that_cannot_write_decides_nothing() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        tx.send(&mut client, &topic, 0, &["a"]).await;
        want_replicas(&mut client, "2").await;
        assert_eq!(tx.end(&mut client, true).await, ErrorCode::CoordinatorNotAvailable);
        assert_eq!(committed(&mut client, &topic, 0).await.len(), 0);
        want_replicas(&mut client, "1").await;
        assert_eq!(tx.end(&mut client, false).await, ErrorCode::None, "it has not been committed");
    });
}

/// The topic of transactions wants so many replicas in sync.
async fn want_replicas(client: &mut Client, replicas: &str) {
    use crate::alter_configs::{TOPIC, set};
    set(client, (TOPIC, "__transaction_state"), "min.insync.replicas", replicas).await;
}

/// The level of transactions goes down and up again while producers of either version go on (KIP-890).
#[test]
fn the_transaction_version_changes_under_producers() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut old = Tx::init(&mut client, "old", 1).await;
        let mut new = Tx::init(&mut client, "new", 2).await;
        let mut expected = 0;
        for (level, upgrade_type) in [(1, 2), (0, 2), (2, 1), (1, 2)] {
            for tx in [&mut old, &mut new] {
                assert_eq!(tx.send(&mut client, &topic, 0, &["a"]).await, ErrorCode::None);
            }
            set_level(&mut client, level, upgrade_type).await;
            world.restart().await;
            client = world.connect().await;
            for tx in [&mut old, &mut new] {
                assert_eq!(find(&mut client, 1, &tx.id).await, ErrorCode::None);
                assert_eq!(tx.send(&mut client, &topic, 0, &["b"]).await, ErrorCode::None, "level {level}");
                assert_eq!(tx.end(&mut client, true).await, ErrorCode::None, "level {level}");
                expected += 2;
            }
            assert_eq!(settled(&mut client, &topic, expected).await.len(), expected);
        }
    });
}

async fn set_level(client: &mut Client, level: i16, upgrade_type: i8) {
    use protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
    let update = FeatureUpdateKey {
        feature: "transaction.version".into(),
        max_version_level: level,
        upgrade_type,
        ..Default::default()
    };
    let request =
        UpdateFeaturesRequest { timeout_ms: 5_000, feature_updates: vec![update], validate_only: false };
    assert_eq!(ErrorCode::from(client.call(2, &request).await.error_code), ErrorCode::None);
}
