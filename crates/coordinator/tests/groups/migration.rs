//! Members of both protocols in one group, and groups that become the other kind while members are there.

use bytes::Bytes;
use coordinator::{Options, Reply, Request, Ticket};
use metadata::config::MigrationPolicy;
use protocol::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use protocol::messages::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as OwnedPartitions,
};
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::wire::{Codec, Frame, Reader, Writer};
use protocol::{ErrorCode, Str};

use crate::steps::{beat, joins};
use crate::talk::{GROUP, Joining, Talk, consumer};

const ORDERS: &[(&str, i32)] = &[("orders", 4)];

/// What a classic consumer says that reads these topics and has these partitions of the first.
fn says(topics: &[&str], owned: &[i32]) -> Bytes {
    let subscription = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| Str::from(*topic)).collect(),
        owned_partitions: vec![OwnedPartitions { topic: topics[0].into(), partitions: owned.to_vec() }],
        ..Default::default()
    };
    let mut w = Writer::new();
    w.i16(1);
    subscription.write(&mut w, 1);
    w.finish().and_then(Frame::into_bytes).unwrap()
}

fn classic(member: &str, owned: &[i32]) -> Joining {
    let protocols = vec![("cooperative-sticky", says(&["orders"], owned))];
    Joining { protocols, ..consumer().member(member) }
}

/// What a classic consumer is given, of the topic that it reads.
fn given(assignment: &Bytes) -> Vec<i32> {
    let mut r = Reader::new(assignment);
    assert_eq!(r.i16().unwrap(), 1, "in the version that the member spoke");
    let assignment = ConsumerProtocolAssignment::read(&mut r, 1).unwrap();
    assignment.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect()
}

/// As a leader gives it.
fn give(partitions: &[i32]) -> Bytes {
    let topic = protocol::messages::consumer_protocol_assignment::TopicPartition {
        topic: "orders".into(),
        partitions: partitions.to_vec(),
    };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![topic], user_data: None };
    let mut w = Writer::new();
    w.i16(1);
    assignment.write(&mut w, 1);
    w.finish().and_then(Frame::into_bytes).unwrap()
}

impl Talk {
    #[track_caller]
    fn joined(&self, ticket: Ticket) -> JoinGroupResponse {
        let answer = self.join_answer(ticket).clone();
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
        assert_eq!(answer.protocol_type.as_deref(), Some("consumer"));
        answer
    }

    /// A classic member joins with what it has: its generation, and what it gets.
    #[track_caller]
    fn rejoins(&mut self, member: &str, owned: &[i32]) -> (i32, Vec<i32>) {
        let join = self.join(&classic(member, owned));
        let generation = self.joined(join).generation_id;
        let sync = self.sync(member, generation, &[]);
        let answer = self.sync_answer(sync);
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::None);
        let partitions = given(&answer.assignment);
        (generation, partitions)
    }

    fn kind(&mut self) -> (String, String) {
        let list = self.ask(5, "app", Request::ListGroups { states: vec![], types: vec![] });
        let Some(Reply::ListGroups(groups)) = self.answer(list) else { panic!() };
        let [group] = groups.as_slice() else { panic!("{groups:?}") };
        assert_eq!(group.protocol_type, "consumer");
        (group.group_type.to_string(), group.group_state.to_string())
    }
}

/// A classic group of two members with two partitions each, in generation 1.
fn two_classic(talk: &mut Talk) -> (String, String) {
    let (a, join_a) = talk.join_new(&classic("", &[]));
    let (b, join_b) = talk.join_new(&classic("", &[]));
    talk.pass(6_000);
    let leader = talk.join_answer(join_a).leader.clone();
    assert_eq!(talk.join_answer(join_b).generation_id, 1);
    let mut shares = [(a.clone(), give(&[0, 1])), (b.clone(), give(&[2, 3]))];
    shares.sort_by_key(|(id, _)| *id != leader);
    let assignments: Vec<(String, Bytes)> = shares.to_vec();
    for (id, share) in &shares {
        let sync = talk.sync_bytes(id, 1, &assignments);
        assert_eq!(talk.sync_answer(sync).assignment, *share);
    }
    (a, b)
}

#[test]
fn a_classic_group_becomes_one_of_the_consumer_protocol() {
    let mut talk = Talk::about(ORDERS);
    let (a, b) = two_classic(&mut talk);
    assert_eq!(talk.commit(&a, 1, "orders", 7), ErrorCode::None);
    assert_eq!(talk.kind(), ("classic".into(), "Stable".into()));

    // The first member of the new protocol.
    talk.hears(&joins("new", &["orders"]), (2, Some("")));
    assert_eq!(talk.kind(), ("consumer".into(), "Reconciling".into()));
    assert_eq!(talk.committed("orders"), 7);
    let described = talk.described();
    let kinds: Vec<(String, i8)> =
        described.members.iter().map(|member| (member.member_id.to_string(), member.member_type)).collect();
    assert!(kinds.contains(&(a.clone(), 0)) && kinds.contains(&("new".into(), 1)));

    // Classic members hear by heartbeat that they are to join again, and go on with what they have until then.
    assert_eq!(talk.heartbeat(&b, 1), ErrorCode::RebalanceInProgress);
    assert_eq!(talk.commit(&b, 1, "orders", 8), ErrorCode::None);
    // By member id, one of them must give something up: it does, and joins again.
    let mut lists = [(a.clone(), vec![0, 1]), (b.clone(), vec![2, 3])];
    lists.sort();
    let mut generations = Vec::new();
    for (id, owned) in lists {
        let (generation, gets) = talk.rejoins(&id, &owned);
        if gets != owned {
            assert_eq!((generation, gets.len()), (1, 1), "it is to give one up first");
            let (generation, now) = talk.rejoins(&id, &gets);
            assert_eq!((generation, &now), (2, &gets));
        }
        generations.push((id, 2, gets));
    }
    talk.hears(&beat("new", 2), (2, Some("orders:3")));
    talk.is("Stable", 2);
    for (id, generation, _) in &generations {
        assert_eq!(talk.heartbeat(id, *generation), ErrorCode::None);
        assert_eq!(talk.heartbeat(id, 1), ErrorCode::IllegalGeneration);
        assert_eq!(talk.commit(id, *generation, "orders", 9), ErrorCode::None);
        assert_eq!(talk.commit(id, 5, "orders", 9), ErrorCode::IllegalGeneration);
    }

    // A classic member that comes anew.
    talk.pass(1_000);
    let first = talk.join(&classic("", &[]));
    let told = talk.join_answer(first).clone();
    assert_eq!(ErrorCode::from(told.error_code), ErrorCode::MemberIdRequired);
    let (generation, gets) = talk.rejoins(&told.member_id, &[]);
    assert_eq!((generation, gets.len()), (3, 0));
    assert_eq!(talk.heartbeat(&told.member_id, 3), ErrorCode::None, "nothing is free for it yet");
    // Everything as before after another coordinator has loaded it.
    talk.fail_over(Options::default());
    for (id, generation, gets) in &generations {
        let mut gets = gets.clone();
        let mut generation = *generation;
        for _ in 0..3 {
            if talk.heartbeat(id, generation) == ErrorCode::RebalanceInProgress {
                (generation, gets) = talk.rejoins(id, &gets);
            }
        }
    }
    for _ in 0..2 {
        talk.beats(&beat("new", 2));
        talk.beats(&beat("new", 2).owning(""));
    }
    talk.beats(&beat("new", 3));
    let (_, gets) = talk.rejoins(&told.member_id, &[]);
    assert_eq!(gets.len(), 1);
    talk.is("Stable", 3);
}

#[test]
fn the_last_member_of_the_consumer_protocol_leaves_a_classic_group() {
    for crashes in [false, true] {
        let mut talk = Talk::about(ORDERS);
        let (a, b) = two_classic(&mut talk);
        talk.hears(&joins("new", &["orders"]), (2, Some("")));
        if crashes {
            for _ in 0..5 {
                talk.pass(9_000);
                talk.heartbeat(&a, 1);
                talk.heartbeat(&b, 1);
            }
        } else {
            talk.hears(&beat("new", -1), (-1, None));
        }
        assert_eq!(talk.kind(), ("classic".into(), "PreparingRebalance".into()));
        // All of them join again, and the leader assigns.
        let joins = [talk.join(&classic(&a, &[0, 1])), talk.join(&classic(&b, &[2, 3]))];
        let answers: Vec<JoinGroupResponse> = joins.iter().map(|join| talk.joined(*join)).collect();
        assert_eq!(answers.iter().filter(|answer| answer.leader == answer.member_id).count(), 1);
        let generation = answers[0].generation_id;
        assert_eq!(generation, 3);
        let leader = answers[0].leader.to_string();
        let shares = [(a.clone(), give(&[0, 1])), (b.clone(), give(&[2, 3]))];
        talk.sync_bytes(&leader, generation, &shares);
        assert_eq!(talk.kind(), ("classic".into(), "Stable".into()));
        talk.fail_over(Options::default());
        assert_eq!(talk.heartbeat(&a, generation), ErrorCode::None);
        assert_eq!(talk.kind(), ("classic".into(), "Stable".into()));
        let ticket = talk.ask(1, "app", Request::ConsumerGroupDescribe { group_id: GROUP.into() });
        let Some(Reply::ConsumerGroupDescribe(group)) = talk.answer(ticket) else { panic!() };
        assert_eq!(ErrorCode::from(group.error_code), ErrorCode::GroupIdNotFound);
    }
}

#[test]
fn a_static_member_changes_its_protocol_there_and_back() {
    let mut talk = Talk::about(ORDERS);
    let fixed = |id: &'static str, owned: &[i32]| classic("", owned).instance(id);
    let join = talk.join(&fixed("one", &[]));
    talk.pass(6_000);
    let one = talk.joined(join).member_id.to_string();
    talk.sync_bytes_as(&one, Some("one"), 1, &[(one.clone(), give(&[0, 1, 2, 3]))]);
    // Its new process speaks the new protocol, and has what the old one had.
    talk.hears(&joins("new", &["orders"]).instance("one"), (1, Some("orders:0,1,2,3")));
    talk.is("Stable", 1);
    assert_eq!(talk.heartbeat_as(&one, Some("one"), 1), ErrorCode::FencedInstanceId);
    // And back again: it is the last one of the new protocol.
    talk.pass(1_000);
    let join = talk.join(&fixed("one", &[0, 1, 2, 3]));
    let joined = talk.joined(join);
    assert_eq!(joined.generation_id, 1);
    assert_eq!(talk.kind(), ("classic".into(), "Stable".into()));
    let sync = talk.sync_as(&joined.member_id, Some("one"), joined.generation_id, &[]);
    assert_eq!(given(&talk.sync_answer(sync).assignment), [0, 1, 2, 3]);
    talk.fail_over(Options::default());
    assert_eq!(talk.heartbeat_as(&joined.member_id, Some("one"), 1), ErrorCode::None);
}

#[test]
fn a_classic_member_that_does_not_do_what_it_hears_loses_its_place() {
    let mut talk = Talk::about(ORDERS);
    let (a, b) = two_classic(&mut talk);
    talk.hears(&joins("new", &["orders"]), (2, Some("")));
    // It goes on heartbeating, and does not join again within its rebalance timeout.
    for _ in 0..12 {
        assert_eq!(talk.heartbeat(&a, 1), ErrorCode::RebalanceInProgress);
        assert_eq!(talk.heartbeat(&b, 1), ErrorCode::RebalanceInProgress);
        talk.pass(5_000);
        talk.beats(&beat("new", 2));
    }
    assert_eq!(talk.heartbeat(&a, 1), ErrorCode::UnknownMemberId);
    assert_eq!(talk.heartbeat(&b, 1), ErrorCode::UnknownMemberId);
    assert_eq!(talk.described().members.len(), 1);

    // Or joins, and does not ask for its assignment.
    let first = talk.join(&classic("", &[]));
    let id = talk.join_answer(first).member_id.to_string();
    let join = talk.join(&classic(&id, &[]));
    let generation = talk.joined(join).generation_id;
    let mut epoch =
        talk.described().members.iter().find(|member| member.member_id == "new").unwrap().member_epoch;
    for _ in 0..12 {
        talk.heartbeat(&id, generation);
        epoch = talk.beats(&beat("new", epoch).owning("")).member_epoch;
        talk.pass(5_000);
    }
    assert_eq!(talk.heartbeat(&id, generation), ErrorCode::UnknownMemberId);
    // Or falls silent.
    let first = talk.join(&classic("", &[]));
    let id = talk.join_answer(first).member_id.to_string();
    let (generation, _) = talk.rejoins(&id, &[]);
    talk.pass(10_000);
    assert_eq!(talk.heartbeat(&id, generation), ErrorCode::UnknownMemberId);
}

#[test]
fn classic_members_that_do_not_fit_are_refused() {
    let mut talk = Talk::with(Options { consumer_group_max_size: 3, ..Options::default() });
    talk.set_image(ORDERS);
    talk.hears(&joins("new", &["orders"]), (2, Some("orders:0,1,2,3")));
    let refused = |talk: &mut Talk, joining: &Joining| {
        let written = talk.records.len();
        let join = talk.join(joining);
        assert_eq!(talk.records.len(), written);
        ErrorCode::from(talk.join_answer(join).error_code)
    };
    let inconsistent = ErrorCode::InconsistentGroupProtocol;
    let other = Joining { protocol_type: "connect", ..classic("", &[]) };
    assert_eq!(refused(&mut talk, &other), inconsistent);
    let none = Joining { protocols: vec![], ..classic("", &[]) };
    assert_eq!(refused(&mut talk, &none), inconsistent);
    let malformed = Joining { protocols: vec![("range", Bytes::from_static(b"\0"))], ..classic("m", &[]) };
    assert_eq!(refused(&mut talk, &malformed), inconsistent);
    assert_eq!(refused(&mut talk, &classic("m", &[]).instance("i")), ErrorCode::UnknownMemberId);
    let first = talk.join(&classic("", &[]));
    let id = talk.join_answer(first).member_id.to_string();
    let (generation, _) = talk.rejoins(&id, &[]);
    assert_eq!(talk.heartbeat(&id, generation), ErrorCode::None);
    // What the others of the classic protocol cannot do.
    let range = Joining { protocols: vec![("range", says(&["orders"], &[]))], ..classic("m", &[]) };
    assert_eq!(refused(&mut talk, &range), inconsistent);
    talk.beats(&joins("another", &["orders"]));
    assert_eq!(refused(&mut talk, &classic("third", &[])), ErrorCode::GroupMaxSizeReached);
    // Requests of the classic protocol in the name of a member of the new one, or of nobody.
    assert_eq!(talk.heartbeat("new", 2), ErrorCode::UnknownMemberId);
    let sync = talk.sync("new", 2, &[]);
    assert_eq!(ErrorCode::from(talk.sync_answer(sync).error_code), ErrorCode::UnknownMemberId);
    let sync = talk.sync("nobody", 2, &[]);
    assert_eq!(ErrorCode::from(talk.sync_answer(sync).error_code), ErrorCode::UnknownMemberId);
    // An administrator takes out whom it names.
    assert_eq!(talk.leave(&[("new", None), ("nobody", None)]), [ErrorCode::None, ErrorCode::UnknownMemberId]);
}

#[test]
fn the_policy_decides_which_way_a_group_may_go() {
    for policy in [
        MigrationPolicy::Disabled,
        MigrationPolicy::Downgrade,
        MigrationPolicy::Upgrade,
        MigrationPolicy::Bidirectional,
    ] {
        let options = Options { consumer_migration: policy, ..Options::default() };
        let mut talk = Talk::with(options.clone());
        talk.set_image(ORDERS);
        two_classic(&mut talk);
        if !policy.upgrades() {
            talk.refuses(&joins("new", &["orders"]), ErrorCode::GroupIdNotFound);
            assert_eq!(talk.kind().0, "classic");
        } else {
            talk.hears(&joins("new", &["orders"]), (2, Some("")));
            talk.hears(&beat("new", -1), (-1, None));
            assert_eq!(talk.kind().0, if policy.downgrades() { "classic" } else { "consumer" });
        }
        // A classic member comes into a group of the new protocol unless that is forbidden.
        let mut talk = Talk::with(options);
        talk.set_image(ORDERS);
        talk.hears(&joins("new", &["orders"]), (2, Some("orders:0,1,2,3")));
        let join = talk.join(&classic("", &[]));
        let expected = match policy {
            MigrationPolicy::Disabled => ErrorCode::InconsistentGroupProtocol,
            _ => ErrorCode::MemberIdRequired,
        };
        assert_eq!(ErrorCode::from(talk.join_answer(join).error_code), expected);
    }
}

#[test]
fn groups_that_cannot_be_converted_stay_as_they_are() {
    // Of another kind.
    let mut talk = Talk::about(ORDERS);
    let connect = Joining { protocol_type: "connect", ..consumer() };
    let (id, _) = talk.join_new(&connect);
    talk.pass(6_000);
    talk.sync_bytes(&id, 1, &[]);
    talk.refuses(&joins("new", &["orders"]), ErrorCode::GroupIdNotFound);

    // With an assignor that tells its members more than partitions.
    let mut talk = Talk::about(ORDERS);
    let (id, _) = talk.join_new(&classic("", &[]));
    talk.pass(6_000);
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: Vec::new(),
        user_data: Some(Bytes::from_static(b"streams")),
    };
    let mut w = Writer::new();
    w.i16(1);
    assignment.write(&mut w, 1);
    let bytes = w.finish().and_then(Frame::into_bytes).unwrap();
    let mut sync = vec![(id.clone(), bytes)];
    talk.sync_bytes(&id, 1, &sync);
    talk.refuses(&joins("new", &["orders"]), ErrorCode::GroupIdNotFound);
    assert_eq!(talk.heartbeat(&id, 1), ErrorCode::None);
    sync.clear();

    // With metadata that nobody understands.
    let mut talk = Talk::about(ORDERS);
    let strange = Joining { protocols: vec![("range", Bytes::from_static(b"?"))], ..consumer() };
    let (id, _) = talk.join_new(&strange);
    talk.pass(6_000);
    talk.sync_bytes(&id, 1, &sync);
    talk.refuses(&joins("new", &["orders"]), ErrorCode::GroupIdNotFound);
}

#[test]
fn who_waits_when_the_group_is_converted_joins_again() {
    let mut talk = Talk::about(ORDERS);
    let (_, join) = talk.join_new(&classic("", &[]));
    talk.parked(join);
    // The first rebalance of the group is still under way.
    talk.beats(&joins("new", &["orders"]));
    assert_eq!(ErrorCode::from(talk.join_answer(join).error_code), ErrorCode::RebalanceInProgress);
    assert_eq!(talk.kind().0, "consumer");

    // A group without members is whatever the next one makes it.
    let mut talk = Talk::about(ORDERS);
    let (a, b) = two_classic(&mut talk);
    talk.leave(&[(&a, None), (&b, None)]);
    talk.hears(&joins("new", &["orders"]), (2, Some("orders:0,1,2,3")));
    assert_eq!(talk.kind(), ("consumer".into(), "Stable".into()));
    talk.hears(&beat("new", -1), (-1, None));
    assert_eq!(talk.kind(), ("consumer".into(), "Empty".into()));
    let unknown = talk.join(&classic(&a, &[]));
    assert_eq!(ErrorCode::from(talk.join_answer(unknown).error_code), ErrorCode::UnknownMemberId);
    assert_eq!(talk.kind().0, "consumer");
    talk.join_new(&classic("", &[]));
    talk.pass(6_000);
    assert_eq!(talk.kind(), ("classic".into(), "CompletingRebalance".into()));
}
