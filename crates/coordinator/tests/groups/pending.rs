//! TxnOffsetCommit: what a transaction has committed counts when it does, and not before.

use coordinator::{Coordinator, Reply, Request};
use protocol::ErrorCode;
use protocol::ErrorCode::{
    GroupIdNotFound, IllegalGeneration, OffsetMetadataTooLarge, UnknownMemberId, UnstableOffsetCommit,
};
use protocol::ids::ProducerId;
use protocol::messages::list_groups_response::ListedGroup;
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use crate::talk::{GROUP, Talk, consumer};

const WEEK_MS: u64 = 7 * 24 * 3_600_000;

fn request(producer: i64, topic: &str, offset: i64) -> TxnOffsetCommitRequest {
    let partition = TxnOffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: 4,
        committed_metadata: None,
    };
    let topic =
        TxnOffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    TxnOffsetCommitRequest {
        transactional_id: "app".into(),
        group_id: GROUP.into(),
        producer_id: producer,
        producer_epoch: 0,
        topics: vec![topic],
        ..Default::default()
    }
}

fn commit_with(talk: &mut Talk, version: i16, request: TxnOffsetCommitRequest) -> ErrorCode {
    let ticket = talk.ask(version, "app", Request::TxnOffsetCommit(request));
    match talk.answer(ticket) {
        Some(Reply::TxnOffsetCommit(response)) => {
            ErrorCode::from(response.topics[0].partitions[0].error_code)
        }
        other => panic!("no answer to a commit: {other:?}"),
    }
}

fn commit(talk: &mut Talk, producer: i64, topic: &str, offset: i64) {
    assert_eq!(commit_with(talk, 5, request(producer, topic, offset)), ErrorCode::None);
}

/// The marker is in the log.
fn end(talk: &mut Talk, producer: i64, commit: bool) {
    let order = talk.groups.order();
    talk.groups.ended(ProducerId(producer), commit, order);
}

/// For readers of committed records: the error and the offset.
fn stable(talk: &mut Talk, topics: Option<&[&str]>) -> Vec<(String, ErrorCode, i64)> {
    let named = |topic: &&str| OffsetFetchRequestTopics {
        name: (*topic).into(),
        partition_indexes: vec![0],
        ..Default::default()
    };
    let topics = topics.map(|topics| topics.iter().map(named).collect());
    let group = OffsetFetchRequestGroup { group_id: GROUP.into(), topics, ..Default::default() };
    let ticket = talk.ask(9, "app", Request::OffsetFetch { group, require_stable: true });
    let Some(Reply::OffsetFetch(response)) = talk.answer(ticket) else { panic!("no answer") };
    let shown = response.topics.iter().flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(|part| (topic.name.to_string(), ErrorCode::from(part.error_code), part.committed_offset))
    });
    shown.collect()
}

#[test]
fn it_counts_when_the_transaction_commits() {
    let mut talk = Talk::new();
    assert_eq!(talk.commit("", -1, "orders", 3), ErrorCode::None);
    commit(&mut talk, 1, "orders", 5);
    commit(&mut talk, 1, "bills", 7);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (3, -1));
    let unstable = |topic: &str| (topic.to_owned(), UnstableOffsetCommit, -1);
    assert_eq!(stable(&mut talk, Some(&["orders", "bills"])), [unstable("orders"), unstable("bills")]);
    assert_eq!(stable(&mut talk, Some(&["others"])), [("others".to_owned(), ErrorCode::None, -1)]);
    assert_eq!(stable(&mut talk, None), [unstable("orders")]);

    end(&mut talk, 1, true);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (5, 7));
    assert_eq!(stable(&mut talk, Some(&["orders"])), [("orders".to_owned(), ErrorCode::None, 5)]);
}

#[test]
fn it_is_nothing_when_the_transaction_aborts() {
    let mut talk = Talk::new();
    assert_eq!(talk.commit("", -1, "orders", 3), ErrorCode::None);
    commit(&mut talk, 1, "orders", 5);
    commit(&mut talk, 2, "orders", 6);
    end(&mut talk, 1, false);
    assert_eq!(talk.committed("orders"), 3);
    assert_eq!(stable(&mut talk, Some(&["orders"]))[0].1, UnstableOffsetCommit, "of the other");
    end(&mut talk, 2, false);
    assert_eq!(stable(&mut talk, Some(&["orders"])), [("orders".to_owned(), ErrorCode::None, 3)]);
    // Whose transactions nobody knows end without harm.
    end(&mut talk, 3, true);
}

#[test]
fn what_was_committed_last_counts_whenever_transactions_end() {
    let mut talk = Talk::new();
    // After the commit of the transaction, before its end.
    commit(&mut talk, 1, "orders", 5);
    assert_eq!(talk.commit("", -1, "orders", 3), ErrorCode::None);
    end(&mut talk, 1, true);
    assert_eq!(talk.committed("orders"), 3);
    // Transactions end in another order than they have committed in.
    commit(&mut talk, 1, "orders", 10);
    commit(&mut talk, 2, "orders", 11);
    end(&mut talk, 2, true);
    end(&mut talk, 1, true);
    assert_eq!(talk.committed("orders"), 11);
    // Twice in one transaction.
    commit(&mut talk, 1, "orders", 20);
    commit(&mut talk, 1, "orders", 19);
    end(&mut talk, 1, true);
    assert_eq!(talk.committed("orders"), 19);
}

#[test]
fn a_marker_that_is_under_way_ends_what_was_before_it() {
    let mut talk = Talk::new();
    commit(&mut talk, 1, "orders", 5);
    let order = talk.groups.order();
    commit(&mut talk, 1, "orders", 6);
    commit(&mut talk, 1, "bills", 7);
    talk.groups.ended(ProducerId(1), true, order);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (5, -1));
    end(&mut talk, 1, true);
    assert_eq!((talk.committed("orders"), talk.committed("bills")), (6, 7));
}

#[test]
fn what_the_log_has_refused_is_taken_back() {
    let mut talk = Talk::new();
    let before = talk.records.len();
    commit(&mut talk, 1, "orders", 5);
    let producer = coordinator::Producer { id: ProducerId(1), epoch: protocol::ids::ProducerEpoch(0) };
    let records = talk.records.split_off(before);
    talk.groups.refused(producer, &records);
    assert_eq!(stable(&mut talk, Some(&["orders"])), [("orders".to_owned(), ErrorCode::None, -1)]);
    end(&mut talk, 1, true);
    assert_eq!(talk.committed("orders"), -1);
    assert_eq!(listed(&mut talk).len(), 0);
}

fn listed(talk: &mut Talk) -> Vec<ListedGroup> {
    let ticket = talk.ask(5, "app", Request::ListGroups { states: vec![], types: vec![] });
    match talk.answer(ticket) {
        Some(Reply::ListGroups(groups)) => groups.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_may_commit() {
    let mut talk = Talk::new();
    let as_member = |member: &str, generation: i32| TxnOffsetCommitRequest {
        member_id: member.into(),
        generation_id_or_member_epoch: generation,
        ..request(1, "orders", 5)
    };
    let check = |talk: &mut Talk, cases: &[(&str, i32, i16, ErrorCode)]| {
        for (member, generation, version, error) in cases {
            let got = commit_with(talk, *version, as_member(member, *generation));
            assert_eq!(got, *error, "{member} {generation} in version {version}");
        }
    };
    check(
        &mut talk,
        &[
            ("who", 3, 5, IllegalGeneration),
            ("who", 3, 6, GroupIdNotFound),
            ("", -1, 5, ErrorCode::None),
            ("who", 3, 6, UnknownMemberId),
        ],
    );
    let ids = talk.stable(2);
    check(
        &mut talk,
        &[
            (&ids[0], 1, 3, ErrorCode::None),
            (&ids[0], 0, 3, IllegalGeneration),
            (&ids[0], 2, 3, IllegalGeneration),
            (&ids[0], -1, 3, IllegalGeneration),
            ("who", 1, 3, UnknownMemberId),
            // Old clients do not say who they are.
            ("", -1, 2, ErrorCode::None),
        ],
    );
    // Who has joined again may not commit for a reader of groups, and may in a transaction.
    assert_eq!(talk.leave(&[(&ids[1], None)]), [ErrorCode::None]);
    let join = talk.join(&consumer().member(&ids[0]));
    let generation = talk.join_answer(join).generation_id;
    assert_eq!(talk.commit(&ids[0], generation, "orders", 5), ErrorCode::RebalanceInProgress);
    check(&mut talk, &[(&ids[0], generation, 5, ErrorCode::None), (&ids[0], 1, 5, IllegalGeneration)]);
}

#[test]
fn metadata_has_its_limit() {
    let mut talk = Talk::new();
    let mut long = request(1, "orders", 5);
    long.topics[0].partitions[0].committed_metadata = Some("x".repeat(4097).as_str().into());
    assert_eq!(commit_with(&mut talk, 5, long), OffsetMetadataTooLarge);
    assert!(talk.records.is_empty());
}

#[test]
fn a_group_with_an_open_transaction_is_there_and_does_not_expire() {
    let mut talk = Talk::new();
    commit(&mut talk, 1, "orders", 5);
    assert_eq!(listed(&mut talk).len(), 1);
    assert_eq!(talk.commit("", -1, "bills", 3), ErrorCode::None);
    talk.pass(WEEK_MS + 700_000);
    assert_eq!(talk.committed("bills"), -1, "expired");
    assert_eq!(stable(&mut talk, Some(&["orders"]))[0].1, UnstableOffsetCommit);
    end(&mut talk, 1, true);
    // It was committed a week ago, and nobody has used it since.
    assert_eq!(talk.committed("orders"), 5);
    talk.pass(700_000);
    assert_eq!(talk.committed("orders"), -1);
    assert_eq!(listed(&mut talk).len(), 0);
}

#[test]
fn an_offset_that_a_transaction_may_replace_does_not_expire() {
    let mut talk = Talk::new();
    assert_eq!(talk.commit("", -1, "orders", 3), ErrorCode::None);
    talk.pass(WEEK_MS - 10_000);
    commit(&mut talk, 1, "orders", 5);
    talk.pass(700_000);
    assert_eq!(talk.committed("orders"), 3);
    end(&mut talk, 1, false);
    talk.pass(700_000);
    assert_eq!(talk.committed("orders"), -1);
}

#[test]
fn what_is_deleted_does_not_come_back_with_the_marker() {
    for how in 0..3 {
        let mut talk = Talk::new();
        assert_eq!(talk.commit("", -1, "bills", 3), ErrorCode::None);
        commit(&mut talk, 1, "orders", 5);
        commit(&mut talk, 1, "bills", 7);
        let before = talk.records.len();
        match how {
            0 => drop(talk.ask(2, "app", Request::DeleteGroup { group_id: GROUP.into() })),
            1 => {
                for topic in ["orders", "bills"] {
                    let topics = vec![topic.into()];
                    talk.ask(0, "app", Request::ForgetTopics { topics });
                }
            }
            _ => {
                use protocol::messages::offset_delete_request::{
                    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
                };
                let topics = ["orders", "bills"].map(|topic| OffsetDeleteRequestTopic {
                    name: topic.into(),
                    partitions: vec![OffsetDeleteRequestPartition { partition_index: 0 }],
                });
                let request =
                    OffsetDeleteRequest { group_id: GROUP.into(), topics: topics.into_iter().collect() };
                talk.ask(0, "app", Request::OffsetDelete(request));
            }
        }
        let tombstones = talk.records[before..].iter().filter(|record| record.value.is_none()).count();
        assert_eq!(tombstones, 2, "one for each partition");
        end(&mut talk, 1, true);
        assert_eq!((talk.committed("orders"), talk.committed("bills")), (-1, -1), "{how}");
        assert_eq!(listed(&mut talk).len(), 0);
    }
}
