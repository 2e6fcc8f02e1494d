//! Offsets that are committed in transactions.

use protocol::ErrorCode;
use protocol::messages::delete_groups_request::DeleteGroupsRequest;

use super::producer::{GROUP, Tx, VERSIONS, find, group_offset};
use crate::support::{Client, ms, run};

async fn decided(client: &mut Client, topic: &crate::support::requests::Topic) -> i64 {
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
fn an_offset_is_invisible_until_its_transaction_is_committed() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            let mut expected = -1;
            for (offset, commit) in [(5, true), (6, false), (7, true)] {
                assert_eq!(tx.commit_offset(&mut client, &topic, offset).await, ErrorCode::None);
                assert_eq!(group_offset(&mut client, &topic, false).await, Ok(expected));
                let unstable = group_offset(&mut client, &topic, true).await;
                assert_eq!(unstable, Err(ErrorCode::UnstableOffsetCommit));
                assert_eq!(tx.end(&mut client, commit).await, ErrorCode::None);
                expected = if commit { offset } else { expected };
                assert_eq!(decided(&mut client, &topic).await, expected, "version {version}");
            }
            world.crash().await;
            let mut client = world.connect().await;
            assert_eq!(find(&mut client, 0, GROUP).await, ErrorCode::None);
            assert_eq!(decided(&mut client, &topic).await, 7);
        });
    }
}

#[test]
fn every_version_commits() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for version in 0..=6 {
            let of_clients = if version >= 5 { 2 } else { 1 };
            let mut tx = Tx::init(&mut client, "tx", of_clients).await;
            if of_clients == 1 {
                assert_eq!(tx.add_group(&mut client).await, ErrorCode::None);
            }
            assert_eq!(find(&mut client, 0, GROUP).await, ErrorCode::None);
            let offset = i64::from(version) + 10;
            let committed = tx.commit_offset_in(&mut client, version, &topic, offset).await;
            assert_eq!(committed, ErrorCode::None, "version {version}");
            assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
            assert_eq!(decided(&mut client, &topic).await, offset, "version {version}");
        }
    });
}

#[test]
fn what_there_is_not_is_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let tx = Tx::init(&mut client, "tx", 2).await;
        assert_eq!(find(&mut client, 0, GROUP).await, ErrorCode::None);
        for version in 0..=6 {
            let mut request = tx.offsets(version, &topic, 3);
            request.topics[0].partitions[0].partition_index = 9;
            let answer = client.call(version, &request).await;
            let code = ErrorCode::from(answer.topics[0].partitions[0].error_code);
            assert_eq!(code, ErrorCode::UnknownTopicOrPartition, "{version}");
            let nowhere = crate::support::requests::Topic {
                name: "nowhere".into(),
                id: protocol::Uuid::from_bytes([7; 16]),
            };
            let code = tx.commit_offset_in(&mut client, version, &nowhere, 3).await;
            let unknown =
                if version >= 6 { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            assert_eq!(code, unknown, "{version}");
        }
        let mut request = tx.offsets(5, &topic, 3);
        request.group_id = "".into();
        let answer = client.call(5, &request).await;
        let code = ErrorCode::from(answer.topics[0].partitions[0].error_code);
        assert_eq!(code, ErrorCode::InvalidGroupId);
        let mut request = tx.offsets(5, &topic, 3);
        request.generation_id_or_member_epoch = 4;
        request.member_id = "who".into();
        let answer = client.call(5, &request).await;
        let code = ErrorCode::from(answer.topics[0].partitions[0].error_code);
        assert_eq!(code, ErrorCode::IllegalGeneration);
        assert_eq!(group_offset(&mut client, &topic, true).await, Ok(-1));
    });
}

#[test]
fn a_group_is_deleted_under_a_transaction() {
    for version in VERSIONS {
        run(&[], async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let mut tx = Tx::init(&mut client, "tx", version).await;
            assert_eq!(tx.commit_offset(&mut client, &topic, 5).await, ErrorCode::None);
            let request = DeleteGroupsRequest { groups_names: vec![GROUP.into()] };
            let answer = client.call(2, &request).await;
            assert_eq!(ErrorCode::from(answer.results[0].error_code), ErrorCode::None);
            assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
            for round in 0..2 {
                assert_eq!(group_offset(&mut client, &topic, true).await, Ok(-1), "round {round}");
                client.pause(ms(500)).await;
            }
            // The transaction is completed nevertheless.
            assert_eq!(tx.commit_offset(&mut client, &topic, 6).await, ErrorCode::None);
        });
    }
}

/// A commit that the partition of the group refuses concerns nobody else.
#[test]
fn a_zombie_does_not_disturb_its_group() {
    run(&[], async |world| {
        let (mut client, mut other) = (world.connect().await, world.connect().await);
        let topic = client.create("t", 1, &[]).await;
        let zombie = Tx::init(&mut client, "tx", 1).await;
        assert_eq!(zombie.commit_offset(&mut client, &topic, 5).await, ErrorCode::None);
        // The markers of the fence are written.
        let mut tx = Tx::init(&mut client, "tx", 1).await;
        let first = crate::groups::join("");
        let first = other.call(9, &first).await;
        assert_eq!(ErrorCode::from(first.error_code), ErrorCode::MemberIdRequired);
        other.send(9, &crate::groups::join(&first.member_id)).await;
        for version in 0..=6 {
            let code = zombie.commit_offset_in(&mut client, version, &topic, 6).await;
            assert_eq!(code, ErrorCode::InvalidProducerEpoch, "{version}");
        }
        use protocol::messages::join_group_request::JoinGroupRequest;
        let joined = other.receive::<JoinGroupRequest>(9).await;
        assert_eq!(ErrorCode::from(joined.error_code), ErrorCode::None, "who waited there is not sent away");
        assert_eq!(decided(&mut client, &topic).await, -1);
        assert_eq!(tx.commit_offset(&mut client, &topic, 7).await, ErrorCode::None);
        assert_eq!(tx.end(&mut client, true).await, ErrorCode::None);
        assert_eq!(decided(&mut client, &topic).await, 7);
    });
}
