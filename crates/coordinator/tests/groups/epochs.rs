//! Who may go on and who is fenced, what may be committed, and requests that make no sense.

use coordinator::{Options, Reply, Request};
use protocol::ErrorCode;
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};

use crate::consumers::two;
use crate::steps::{Beat, beat, joins, topic_id};
use crate::talk::{GROUP, Talk, commit_request};

const ORDERS: &[(&str, i32)] = &[("orders", 4)];

#[test]
fn an_epoch_is_the_members_own_or_it_is_fenced() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    for epoch in [1, 2, 4, i32::MAX] {
        talk.refuses(&beat("a", epoch), ErrorCode::FencedMemberEpoch);
    }
    // The answer was lost: it says the epoch before, and has no more than it should.
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("a", 2).owning("orders:0"), (3, None));
    talk.refuses(&beat("a", 2).owning("orders:0,1,2"), ErrorCode::FencedMemberEpoch);
    talk.refuses(&beat("a", 1).owning("orders:0,1"), ErrorCode::FencedMemberEpoch);
    // Whoever is fenced begins anew under its id, and has what it had.
    talk.hears(&joins("a", &["orders"]), (3, Some("orders:0,1")));
    talk.is("Stable", 3);
    talk.refuses(&beat("nobody", 3), ErrorCode::UnknownMemberId);
    let mut other = beat("a", 3);
    other.request.group_id = "other".into();
    talk.refuses(&other, ErrorCode::GroupIdNotFound);
    other.request.member_epoch = -1;
    talk.refuses(&other, ErrorCode::GroupIdNotFound);
}

#[test]
fn requests_without_sense_are_refused_and_change_nothing() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let invalid = ErrorCode::InvalidRequest;
    let changed = |change: fn(&mut Beat)| {
        let mut joining = joins("c", &["orders"]);
        change(&mut joining);
        joining
    };
    for (beat, error) in [
        (changed(|beat| beat.request.member_id = "".into()), invalid),
        (changed(|beat| beat.request.group_id = "".into()), invalid),
        (changed(|beat| beat.request.instance_id = Some("".into())), invalid),
        (changed(|beat| beat.request.rack_id = Some(" ".into())), invalid),
        (changed(|beat| beat.request.rebalance_timeout_ms = -1), invalid),
        (changed(|beat| beat.request.topic_partitions = None), invalid),
        (joins("c", &["orders"]).owning("orders:0"), invalid),
        (changed(|beat| beat.request.subscribed_topic_names = None), invalid),
        (beat("c", -2), invalid),
        (beat("c", -3), invalid),
        (beat("c", i32::MIN), invalid),
        (beat("", 3).version(0), invalid),
        (beat("", -1).version(0), invalid),
        (joins("c", &["orders"]).assignor("sticky"), ErrorCode::UnsupportedAssignor),
        (joins("c", &[]).matching("("), ErrorCode::InvalidRegularExpression),
        (beat("a", 3).matching("a**"), ErrorCode::InvalidRegularExpression),
        (beat("c", -2).instance("i"), ErrorCode::UnknownMemberId),
    ] {
        talk.refuses(&beat, error);
    }
    talk.hears(&beat("a", 3), (3, None));
    talk.hears(&beat("b", 3), (3, None));
}

#[test]
fn the_coordinator_gives_ids_to_clients_of_version_0() {
    let mut talk = Talk::about(ORDERS);
    let heard = talk.beats(&joins("", &["orders"]).version(0));
    let id = heard.member_id.unwrap();
    assert_eq!((heard.error_code, heard.member_epoch, id.len()), (0, 2, 22));
    talk.hears(&beat(&id, 2).version(0), (2, None));
}

#[test]
fn a_full_group_takes_nobody_in() {
    let mut talk = Talk::with(Options { consumer_group_max_size: 2, ..Options::default() });
    talk.set_image(ORDERS);
    two(&mut talk);
    talk.refuses(&joins("c", &["orders"]), ErrorCode::GroupMaxSizeReached);
    talk.hears(&joins("a", &["orders"]), (3, Some("orders:0,1")));
    talk.hears(&beat("b", -1), (-1, None));
    talk.hears(&joins("c", &["orders"]), (5, Some("orders:2,3")));
}

#[test]
fn members_commit_at_their_epoch() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let with = |member: &str, epoch: i32, partition: i32| {
        let mut request = commit_request(member, epoch, "orders", 7);
        request.topics[0].topic_id = topic_id("orders");
        request.topics[0].partitions[0].partition_index = partition;
        request
    };
    for (member, epoch, partition, version, error) in [
        ("a", 3, 0, 9, ErrorCode::None),
        ("a", 3, 0, 10, ErrorCode::None),
        // It may commit for what it has no longer: that is what it does before it gives it up.
        ("a", 3, 3, 9, ErrorCode::None),
        ("a", 4, 0, 9, ErrorCode::StaleMemberEpoch),
        // It has not heard of epoch 3 yet, and has had the partition since epoch 2.
        ("a", 2, 0, 9, ErrorCode::None),
        ("a", 2, 3, 9, ErrorCode::StaleMemberEpoch),
        ("a", 1, 0, 9, ErrorCode::StaleMemberEpoch),
        ("b", 2, 2, 9, ErrorCode::StaleMemberEpoch),
        ("a", 3, 0, 8, ErrorCode::UnsupportedVersion),
        ("nobody", 3, 0, 9, ErrorCode::UnknownMemberId),
        ("", -1, 0, 9, ErrorCode::UnknownMemberId),
    ] {
        let written = talk.records.len();
        let case = format!("{member} {epoch} {partition} {version}");
        assert_eq!(talk.commit_with(version, with(member, epoch, partition)), error, "{case}");
        assert_eq!(talk.records.len(), written + usize::from(error == ErrorCode::None), "{case}");
    }
    // One partition that is not its own any more, and nothing is committed.
    let mut both = with("a", 2, 0);
    both.topics[0].partitions.push(with("a", 2, 3).topics[0].partitions[0].clone());
    let written = talk.records.len();
    assert_eq!(talk.commit_with(9, both), ErrorCode::StaleMemberEpoch);
    assert_eq!(talk.records.len(), written);
    // When everybody is gone, tools may.
    talk.hears(&beat("a", -1), (-1, None));
    talk.hears(&beat("b", -1), (-1, None));
    assert_eq!(talk.commit_with(9, with("", -1, 0)), ErrorCode::None);
    assert_eq!(talk.commit_with(9, with("a", 3, 0)), ErrorCode::UnknownMemberId);
    assert_eq!(talk.committed("orders"), 7);
}

#[test]
fn members_fetch_at_their_epoch() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let mut fetch = |member: Option<&str>, epoch: i32, all: bool| {
        let topic = OffsetFetchRequestTopics {
            name: "orders".into(),
            partition_indexes: vec![0],
            ..Default::default()
        };
        let group = OffsetFetchRequestGroup {
            group_id: GROUP.into(),
            member_id: member.map(Into::into),
            member_epoch: epoch,
            topics: (!all).then(|| vec![topic]),
        };
        let ticket = talk.ask(9, "app", Request::OffsetFetch { group, require_stable: true });
        match talk.answer(ticket) {
            Some(Reply::OffsetFetch(response)) => {
                let each = response.topics.iter().flat_map(|topic| &topic.partitions);
                let each: Vec<i16> = each.map(|part| part.error_code).collect();
                let expected = if all { vec![] } else { vec![response.error_code] };
                assert_eq!(each, expected);
                ErrorCode::from(response.error_code)
            }
            other => panic!("{other:?}"),
        }
    };
    for all in [true, false] {
        assert_eq!(fetch(None, -1, all), ErrorCode::None);
        assert_eq!(fetch(Some("a"), 3, all), ErrorCode::None);
        assert_eq!(fetch(Some("a"), 2, all), ErrorCode::StaleMemberEpoch);
        assert_eq!(fetch(Some("a"), 4, all), ErrorCode::StaleMemberEpoch);
        assert_eq!(fetch(Some("nobody"), 3, all), ErrorCode::UnknownMemberId);
        assert_eq!(fetch(None, 3, all), ErrorCode::UnknownMemberId);
    }
}
