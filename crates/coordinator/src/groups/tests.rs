//! Random conversations: what holds for every one of them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{ErrorCode, Uuid};

use super::*;

/// One step of somebody; members are chosen among the ids that were given out.
#[derive(Clone, Debug)]
enum Step {
    Join { group: usize, member: usize, instance: usize, protocols: usize, version: i16, kind: usize },
    Sync { group: usize, member: usize, instance: usize, generation_back: i32 },
    Heartbeat { group: usize, member: usize, instance: usize },
    Leave { group: usize, member: usize, instance: usize, version: i16 },
    Commit { group: usize, member: usize, topic: usize, partition: i32, with_member: bool, retention_ms: i64 },
    DeleteOffsets { group: usize, topic: usize },
    DeleteGroup { group: usize },
    ForgetTopic { topic: usize },
    Pass { ms: u64 },
}

const GROUPS: [&str; 2] = ["g0", "g1"];
const TOPICS: [&str; 3] = ["t0", "t1", "t2"];
/// The first is the member's own.
const INSTANCES: [Option<&str>; 4] = [None, None, Some("i0"), Some("i1")];
const PROTOCOLS: [&[&str]; 4] = [&["range"], &["range", "sticky"], &["sticky", "range"], &["sticky"]];
/// Instead of a member: somebody new.
const NOBODY: usize = usize::MAX;
const KINDS: [&str; 4] = ["consumer", "consumer", "consumer", "connect"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (g, m, i) = (
        0..2_usize,
        prop_oneof![5 => 0..5_usize, 1 => Just(NOBODY)],
        prop_oneof![6 => Just(0_usize), 1 => 1..4_usize],
    );
    let step = prop_oneof![
        6 => (g.clone(), m.clone(), i.clone(), 0..4_usize, prop_oneof![Just(3_i16), Just(9)], 0..4_usize)
            .prop_map(|(group, member, instance, protocols, version, kind)| Step::Join {
                group, member, instance, protocols, version, kind
            }),
        6 => (g.clone(), m.clone(), i.clone(), 0..8_i32).prop_map(|(group, member, instance, generation_back)| {
            Step::Sync { group, member, instance, generation_back }
        }),
        4 => (g.clone(), m.clone(), i.clone())
            .prop_map(|(group, member, instance)| Step::Heartbeat { group, member, instance }),
        1 => (g.clone(), m.clone(), i, prop_oneof![Just(2_i16), Just(5)])
            .prop_map(|(group, member, instance, version)| Step::Leave { group, member, instance, version }),
        4 => (g.clone(), m, 0..3_usize, 0..3_i32, any::<bool>(), prop_oneof![Just(-1_i64), Just(1_000)])
            .prop_map(|(group, member, topic, partition, with_member, retention_ms)| Step::Commit {
                group, member, topic, partition, with_member, retention_ms
            }),
        1 => (g.clone(), 0..3_usize).prop_map(|(group, topic)| Step::DeleteOffsets { group, topic }),
        1 => g.prop_map(|group| Step::DeleteGroup { group }),
        1 => (0..3_usize).prop_map(|topic| Step::ForgetTopic { topic }),
        4 => prop_oneof![4 => 0..100_u64, 12 => 1_500..3_000_u64, 1 => 10_000..80_000_u64, 1 => Just(700_000)]
            .prop_map(|ms| Step::Pass { ms }),
    ];
    proptest::collection::vec(step, 1..120)
}

#[derive(Debug)]
struct Model {
    groups: Groups,
    now_ms: u64,
    ids: u128,
    tickets: u64,
    waiting: BTreeSet<Ticket>,
    records: Vec<Record>,
    /// Who was given an id: the group, the id, the instance.
    members: Vec<(usize, Str, Option<Str>)>,
    generations: BTreeMap<usize, i32>,
    /// The members that requests were in the name of.
    asked: BTreeMap<Ticket, Str>,
    joins: BTreeMap<Ticket, (usize, Option<Str>)>,
}

impl Model {
    fn new() -> Self {
        let options = Options { group_max_size: 3, offsets_retention_ms: 900_000, ..Options::default() };
        let mut this = Self {
            groups: Groups::new(options),
            now_ms: 0,
            ids: 0,
            tickets: 0,
            waiting: BTreeSet::new(),
            records: Vec::new(),
            members: Vec::new(),
            generations: BTreeMap::new(),
            asked: BTreeMap::new(),
            joins: BTreeMap::new(),
        };
        let now = this.now();
        let outcome = this.groups.loaded(now);
        this.take(outcome);
        this
    }

    fn now(&mut self) -> Now {
        self.ids += 1;
        Now {
            monotonic_ms: self.now_ms,
            wall_ms: 1_700_000_000_000 + i64::try_from(self.now_ms).unwrap(),
            fresh_id: Uuid::from_bytes(self.ids.to_be_bytes()),
        }
    }

    fn take(&mut self, outcome: Outcome) {
        self.records.extend(outcome.records);
        for (ticket, reply) in outcome.replies {
            assert!(self.waiting.remove(&ticket), "{ticket:?} does not wait for {reply:?}");
            let error = match &reply {
                Reply::JoinGroup(joined) => joined.error_code,
                Reply::SyncGroup(synced) => synced.error_code,
                Reply::Heartbeat(heard) => heard.error_code,
                _ => 0,
            };
            if error == ErrorCode::UnknownMemberId.code() {
                let gone = self.asked.remove(&ticket).unwrap_or_default();
                self.members.retain(|(_, id, _)| *id != gone);
            }
            if let Reply::JoinGroup(joined) = reply {
                let (group, instance) = self.joins[&ticket].clone();
                if joined.generation_id >= 0 {
                    self.generations.insert(group, joined.generation_id);
                }
                let member = (group, joined.member_id, instance);
                if !member.1.is_empty() && !self.members.contains(&member) {
                    self.members.push(member);
                }
            }
        }
    }

    fn ask(&mut self, version: i16, request: Request) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let member = match &request {
            Request::JoinGroup(request) => request.member_id.clone(),
            Request::SyncGroup(request) => request.member_id.clone(),
            Request::Heartbeat(request) => request.member_id.clone(),
            _ => Str::EMPTY,
        };
        self.asked.insert(ticket, member);
        self.waiting.insert(ticket);
        let caller = Caller { version, client_id: "c".into(), client_host: "/h".into() };
        let now = self.now();
        let outcome = self.groups.handle(ticket, &caller, request, now);
        self.take(outcome);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.groups.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            assert!(at_ms >= self.now_ms, "{at_ms} was due before {}", self.now_ms);
            self.now_ms = at_ms;
            let now = self.now();
            let outcome = self.groups.tick(now);
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }

    /// The newest first: most others are nobody's any more. One of a few is somebody new.
    fn member(&self, group: usize, at: usize, instance: usize) -> (Str, Option<Str>) {
        let mut members = self.members.iter().rev().filter(|member| member.0 == group);
        let (id, own) = match members.nth(at) {
            Some((_, id, own)) => (id.clone(), own.clone()),
            None => (Str::EMPTY, None),
        };
        (id, if instance == 0 { own } else { INSTANCES[instance].map(Str::from_static) })
    }

    fn generation(&self, group: usize) -> i32 {
        self.generations.get(&group).copied().unwrap_or(1)
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Pass { ms } => self.pass(ms),
            Step::DeleteGroup { group } => {
                self.ask(2, Request::DeleteGroup { group_id: GROUPS[group].into() });
            }
            Step::ForgetTopic { topic } => {
                self.ask(0, Request::ForgetTopics { topics: vec![TOPICS[topic].into()] });
            }
            Step::Commit { .. } | Step::DeleteOffsets { .. } => self.act_on_offsets(step),
            other => self.act_as_member(other),
        }
        self.check();
    }

    fn act_as_member(&mut self, step: Step) {
        match step {
            Step::Join { group, member, instance: at, protocols, version, kind } => {
                let protocols = PROTOCOLS[protocols].iter().map(|name| JoinGroupRequestProtocol {
                    name: Str::from_static(name),
                    metadata: Bytes::from_static(b"\0\0\0\0\0\x01\0\x02t0\xff\xff\xff\xff"),
                });
                let (member_id, group_instance_id) = self.member(group, member, at);
                self.joins.insert(Ticket(self.tickets + 1), (group, group_instance_id.clone()));
                let request = JoinGroupRequest {
                    group_id: GROUPS[group].into(),
                    session_timeout_ms: 10_000,
                    rebalance_timeout_ms: 60_000,
                    member_id,
                    group_instance_id,
                    protocol_type: KINDS[kind].into(),
                    protocols: protocols.collect(),
                    reason: None,
                };
                self.ask(version, Request::JoinGroup(request));
            }
            Step::Sync { group, member, instance: at, generation_back } => {
                let (member_id, group_instance_id) = self.member(group, member, at);
                let assignments = self.members.iter().map(|(_, id, _)| SyncGroupRequestAssignment {
                    member_id: id.clone(),
                    assignment: id.as_bytes().clone(),
                });
                let request = SyncGroupRequest {
                    group_id: GROUPS[group].into(),
                    generation_id: self.generation(group) - i32::from(generation_back == 7),
                    member_id,
                    group_instance_id,
                    assignments: assignments.collect(),
                    ..Default::default()
                };
                self.ask(5, Request::SyncGroup(request));
            }
            Step::Heartbeat { group, member, instance: at } => {
                let (member_id, group_instance_id) = self.member(group, member, at);
                let request = HeartbeatRequest {
                    group_id: GROUPS[group].into(),
                    generation_id: self.generation(group),
                    member_id,
                    group_instance_id,
                };
                self.ask(4, Request::Heartbeat(request));
            }
            Step::Leave { group, member, instance: at, version } => {
                let (member_id, group_instance_id) = self.member(group, member, at);
                let identity =
                    MemberIdentity { member_id: member_id.clone(), group_instance_id, reason: None };
                let request =
                    LeaveGroupRequest { group_id: GROUPS[group].into(), member_id, members: vec![identity] };
                self.ask(version, Request::LeaveGroup(request));
            }
            other => unreachable!("{other:?} is not a member's"),
        }
    }

    fn act_on_offsets(&mut self, step: Step) {
        match step {
            Step::Commit { group, member, topic, partition, with_member, retention_ms } => {
                let partition = OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: i64::from(partition) + 7,
                    committed_leader_epoch: 2,
                    committed_metadata: Some("m".into()),
                };
                let topic = OffsetCommitRequestTopic {
                    name: TOPICS[topic].into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let request = OffsetCommitRequest {
                    group_id: GROUPS[group].into(),
                    generation_id_or_member_epoch: if with_member { self.generation(group) } else { -1 },
                    member_id: if with_member { self.member(group, member, 0).0 } else { Str::EMPTY },
                    group_instance_id: if with_member { self.member(group, member, 0).1 } else { None },
                    topics: vec![topic],
                    retention_time_ms: retention_ms,
                };
                self.ask(9, Request::OffsetCommit(request));
            }
            Step::DeleteOffsets { group, topic } => {
                let partitions =
                    (0..3).map(|partition_index| OffsetDeleteRequestPartition { partition_index });
                let topic =
                    OffsetDeleteRequestTopic { name: TOPICS[topic].into(), partitions: partitions.collect() };
                let request = OffsetDeleteRequest { group_id: GROUPS[group].into(), topics: vec![topic] };
                self.ask(0, Request::OffsetDelete(request));
            }
            other => unreachable!("{other:?} is not about offsets"),
        }
    }

    /// What holds between any two steps.
    fn check(&self) {
        for (id, group) in &self.groups.soft.live {
            assert!(!group.is_idle(), "{id} has nobody");
            let logged = self.groups.logged.group(id);
            assert!(logged.is_some_and(|logged| logged.metadata.is_some()), "{id} has no record");
            group.check();
        }
    }

    fn replayed(&self) -> Groups {
        let mut again = Groups::new(self.groups.options.clone());
        for record in &self.records {
            again.replay(record).unwrap();
        }
        again
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn replay_makes_the_same_state_and_everybody_is_answered(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.go(step);
        }
        let mut again = model.replayed();
        prop_assert_eq!(again.logged.groups(), model.groups.logged.groups());

        // A record more than once, as after a cut of the log, changes nothing.
        for record in &model.records {
            again.replay(record).unwrap();
        }
        prop_assert_eq!(again.logged.groups(), model.groups.logged.groups());

        // Where the log says that there are members, they are there again, stable.
        let now = model.now();
        let _outcome = again.loaded(now);
        for (id, group) in again.logged.groups() {
            prop_assert_eq!(again.soft.live.contains_key(id), group.has_members());
        }

        // When nobody asks any more, everybody has an answer, no member is left, and no timer but the one of retention.
        model.pass(3_600_000);
        prop_assert_eq!(&model.waiting, &BTreeSet::new());
        prop_assert!(model.groups.soft.live.is_empty());
        prop_assert_eq!(model.groups.soft.timers.len(), 1);
        let again = model.replayed();
        prop_assert_eq!(again.logged.groups(), model.groups.logged.groups());
        prop_assert!(model.groups.logged.groups().is_empty(), "everything has expired");
    }
}

#[test]
fn heartbeats_of_a_big_group_leave_one_timer_a_member() {
    const SIZE: usize = 2_000;
    let mut model = Model::new();
    model.groups.set_options(Options::default());
    let join = Step::Join { group: 0, member: NOBODY, instance: 0, protocols: 0, version: 3, kind: 0 };
    for _ in 0..SIZE {
        model.act_as_member(join.clone());
    }
    model.pass(10_000);
    assert_eq!(model.members.len(), SIZE);
    assert_eq!(model.records.len(), 1, "a generation is written when it is complete");
    for member in 0..SIZE {
        model.act_as_member(Step::Sync { group: 0, member, instance: 0, generation_back: 0 });
    }
    assert_eq!(model.records.len(), 2);
    for _ in 0..5 {
        model.pass(3_000);
        for member in 0..SIZE {
            model.act_as_member(Step::Heartbeat { group: 0, member, instance: 0 });
        }
        assert_eq!(model.groups.soft.timers.len(), SIZE + 1);
    }
    assert_eq!(model.groups.soft.live.len(), 1);
    model.pass(20_000);
    assert_eq!(model.groups.soft.timers.len(), 1);
}
