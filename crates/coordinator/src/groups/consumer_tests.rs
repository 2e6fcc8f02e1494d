//! Random lives of consumer groups: what holds at every step of every one of them, seen from the members.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use metadata::config::MigrationPolicy;
use metadata::record::{Partition, Record as MetadataRecord};
use proptest::prelude::*;
use protocol::messages::consumer_group_heartbeat_request::{ConsumerGroupHeartbeatRequest, TopicPartitions};
use protocol::messages::consumer_protocol_assignment::ConsumerProtocolAssignment;
use protocol::messages::consumer_protocol_subscription::{
    ConsumerProtocolSubscription, TopicPartition as OwnedPartitions,
};
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::wire::{Codec, Frame, Reader, Writer};
use protocol::{ErrorCode, NodeId, TopicId, Uuid};

use super::*;
use crate::Search;
use crate::consumer::ConsumerGroup;

const GROUP: &str = "g";
const TOPICS: [&str; 3] = ["t0", "t1", "u"];
const MEMBERS: usize = 5;

/// What one of the members, or the world around them, does next.
#[derive(Clone, Debug)]
enum Step {
    /// Joins, or joins anew; the last two are static members.
    Join {
        member: usize,
        topics: usize,
        by_pattern: bool,
        classic: bool,
    },
    /// Heartbeats and does what it hears, or does it later.
    Beat {
        member: usize,
        acts: bool,
    },
    Leave {
        member: usize,
        away: bool,
    },
    /// Its process ends and says nothing.
    Crash {
        member: usize,
    },
    /// A topic gets so many partitions more, or is deleted and made anew.
    Topic {
        topic: usize,
        more: i32,
    },
    Search,
    FailOver,
    Pass {
        ms: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let m = 0..MEMBERS;
    let step = prop_oneof![
        4 => (m.clone(), 1..8_usize, prop::bool::weighted(0.2), prop::bool::weighted(0.3)).prop_map(
            |(member, topics, by_pattern, classic)| Step::Join { member, topics, by_pattern, classic }
        ),
        16 => (m.clone(), prop::bool::weighted(0.8)).prop_map(|(member, acts)| Step::Beat { member, acts }),
        1 => (m.clone(), any::<bool>()).prop_map(|(member, away)| Step::Leave { member, away }),
        1 => m.prop_map(|member| Step::Crash { member }),
        1 => (0..3_usize, prop_oneof![Just(-1), 0..4_i32]).prop_map(|(topic, more)| Step::Topic { topic, more }),
        2 => Just(Step::Search),
        1 => Just(Step::FailOver),
        4 => prop_oneof![8 => 0..2_000_u64, 1 => 20_000..50_000_u64].prop_map(|ms| Step::Pass { ms }),
    ];
    proptest::collection::vec(step, 1..150)
}

type Held = BTreeSet<(Uuid, i32)>;

/// A process that takes part.
#[derive(Clone, Debug, Default)]
struct Process {
    id: Str,
    instance: Option<Str>,
    epoch: i32,
    classic: bool,
    topics: Vec<&'static str>,
    by_pattern: bool,
    /// Partitions that it reads.
    held: Held,
    /// What it was told last and has not done yet.
    told: Option<Held>,
}

#[derive(Debug)]
struct World {
    groups: Groups,
    image: Image,
    version: i64,
    partitions: BTreeMap<&'static str, i32>,
    made: u8,
    now_ms: u64,
    ids: u128,
    records: Vec<Record>,
    searches: Vec<Search>,
    replies: Vec<Reply>,
    processes: Vec<Option<Process>>,
}

impl World {
    fn new() -> Self {
        let options = Options {
            consumer_migration: MigrationPolicy::Upgrade,
            group_initial_rebalance_delay_ms: 0,
            ..Options::default()
        };
        let mut this = Self {
            groups: Groups::new(options),
            image: Image::new(),
            version: 0,
            partitions: [("t0", 3), ("t1", 2), ("u", 1)].into(),
            made: 0,
            now_ms: 0,
            ids: 0,
            records: Vec::new(),
            searches: Vec::new(),
            replies: Vec::new(),
            processes: vec![None; MEMBERS],
        };
        this.set_image();
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
        self.searches.extend(outcome.effects);
        self.replies.extend(outcome.replies.into_iter().map(|(_, reply)| reply));
    }

    /// Topics of the same name have another id when they are made anew.
    fn set_image(&mut self) {
        let mut image = Image::new();
        for (n, (name, partitions)) in self.partitions.iter().enumerate() {
            let mut id = [0; 16];
            id[0] = u8::try_from(n).unwrap() + 1;
            id[1] = if *name == "u" { self.made } else { 0 };
            let topic_id = TopicId(Uuid::from_bytes(id));
            image.apply(&MetadataRecord::Topic { topic_id, name: Str::from_static(name) }).unwrap();
            for partition in 0..*partitions {
                let state = Partition::new(vec![NodeId(1)], vec![Uuid::ZERO], vec![NodeId(1)]);
                image.apply(&MetadataRecord::Partition { topic_id, partition, state }).unwrap();
            }
        }
        self.version += 1;
        self.image = image;
        self.groups.set_image(self.image.clone(), self.version);
    }

    fn ask(&mut self, version: i16, request: Request) -> Reply {
        let caller = Caller { version, client_id: "c".into(), client_host: "/h".into() };
        let now = self.now();
        self.replies.clear();
        let outcome = self.groups.handle(Ticket(0), &caller, request, now);
        self.take(outcome);
        assert_eq!(self.replies.len(), 1);
        self.replies.remove(0)
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.groups.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            assert!(at_ms >= self.now_ms);
            self.now_ms = at_ms;
            let now = self.now();
            let outcome = self.groups.tick(now);
            self.take(outcome);
            self.check();
        }
        self.now_ms = end_ms;
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::Pass { ms } => self.pass(ms),
            Step::Search => self.search(),
            Step::FailOver => self.fail_over(),
            Step::Topic { topic, more } => self.change_topic(topic, more),
            Step::Join { member, topics, by_pattern, classic } => {
                self.join(member, topics, by_pattern, classic);
            }
            Step::Beat { member, acts } => self.beat(member, acts),
            Step::Leave { member, away } => self.leave(member, away),
            Step::Crash { member } => self.processes[member] = None,
        }
        self.check();
    }

    fn search(&mut self) {
        if let Some(search) = self.searches.pop() {
            self.ask(0, Request::Found(search.run()));
        }
    }

    fn fail_over(&mut self) {
        self.groups = self.replayed();
        self.searches.clear();
        self.set_image();
        let now = self.now();
        let outcome = self.groups.loaded(now);
        self.take(outcome);
    }

    fn replayed(&self) -> Groups {
        let mut again = Groups::new(self.groups.options.clone());
        for record in &self.records {
            again.replay(record).unwrap();
        }
        again
    }

    fn change_topic(&mut self, topic: usize, more: i32) {
        let name = TOPICS[topic];
        let are_new = if name == "u" && more < 0 {
            self.made += 1;
            true
        } else {
            *self.partitions.entry(name).or_default() += more.max(0);
            false
        };
        self.set_image();
        self.ask(0, Request::TopicsChanged { topics: vec![name.into()], are_new });
    }

    /// A new process of the member.
    fn join(&mut self, member: usize, topics: usize, by_pattern: bool, classic: bool) {
        self.ids += 1;
        let instance = (member >= 3).then(|| Str::from(format!("i{member}")));
        let topics = TOPICS.iter().enumerate().filter(|(n, _)| topics >> n & 1 == 1).map(|(_, name)| *name);
        let process = Process {
            id: Str::from(format!("m{member}-{}", self.ids)),
            instance,
            classic,
            topics: topics.collect(),
            by_pattern: by_pattern && !classic,
            ..Process::default()
        };
        self.processes[member] = Some(process);
        self.beat(member, true);
    }

    fn beat(&mut self, member: usize, acts: bool) {
        let Some(mut process) = self.processes[member].take() else { return };
        let lives = match process.classic {
            true => self.beat_classic(&mut process, acts),
            false => self.beat_consumer(&mut process, acts),
        };
        if lives {
            self.processes[member] = Some(process);
        }
    }

    /// Whether the process goes on; it begins anew later otherwise.
    fn beat_consumer(&mut self, process: &mut Process, acts: bool) -> bool {
        let joins = process.epoch == 0;
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: process.id.clone(),
            member_epoch: process.epoch,
            instance_id: process.instance.clone(),
            rebalance_timeout_ms: if joins { 30_000 } else { -1 },
            ..Default::default()
        };
        if joins {
            let names = process.topics.iter().filter(|_| !process.by_pattern);
            request.subscribed_topic_names = Some(names.map(|name| Str::from_static(name)).collect());
            request.subscribed_topic_regex = process.by_pattern.then(|| "t.*".into());
        }
        if joins || process.told.is_none() {
            let mut owned: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
            for (topic, partition) in &process.held {
                owned.entry(*topic).or_default().push(*partition);
            }
            let owned =
                owned.into_iter().map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions });
            request.topic_partitions = Some(owned.collect());
        }
        let Reply::ConsumerGroupHeartbeat(heard) = self.ask(1, Request::ConsumerGroupHeartbeat(request))
        else {
            panic!()
        };
        match ErrorCode::from(heard.error_code) {
            ErrorCode::None => {}
            ErrorCode::UnknownMemberId
            | ErrorCode::FencedMemberEpoch
            | ErrorCode::UnreleasedInstanceId
            | ErrorCode::FencedInstanceId
            | ErrorCode::GroupIdNotFound => return false,
            other => panic!("{other:?} {:?}", heard.error_message),
        }
        assert!(heard.member_epoch > 0);
        process.epoch = heard.member_epoch;
        if let Some(assignment) = heard.assignment {
            let pairs = assignment
                .topic_partitions
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|part| (topic.topic_id, *part)));
            process.told = Some(pairs.collect());
        }
        if acts && let Some(told) = process.told.take() {
            process.held = told;
        }
        true
    }

    fn beat_classic(&mut self, process: &mut Process, acts: bool) -> bool {
        if process.epoch > 0 {
            let request = HeartbeatRequest {
                group_id: GROUP.into(),
                generation_id: process.epoch,
                member_id: process.id.clone(),
                group_instance_id: process.instance.clone(),
            };
            let Reply::Heartbeat(heard) = self.ask(4, Request::Heartbeat(request)) else { panic!() };
            match ErrorCode::from(heard.error_code) {
                ErrorCode::None => return true,
                ErrorCode::RebalanceInProgress if acts => {}
                ErrorCode::RebalanceInProgress => return true,
                ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::IllegalGeneration => {
                    return false;
                }
                other => panic!("{other:?}"),
            }
        }
        self.join_classic(process)
    }

    fn join_classic(&mut self, process: &mut Process) -> bool {
        let mut w = Writer::new();
        w.i16(1);
        self.subscription(process).write(&mut w, 1);
        let metadata = w.finish().and_then(Frame::into_bytes).unwrap();
        let joined_before = process.epoch > 0;
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 30_000,
            member_id: if joined_before { process.id.clone() } else { Str::EMPTY },
            group_instance_id: process.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "cooperative".into(), metadata }],
            reason: None,
        };
        if !joined_before && self.groups.logged.consumer_group(GROUP).is_none_or(ConsumerGroup::is_empty) {
            // Classic groups have conversations of their own.
            return false;
        }
        // A version that needs no id to be known.
        let Reply::JoinGroup(joined) = self.ask(3, Request::JoinGroup(request)) else { panic!() };
        if joined.error_code != 0 {
            return false;
        }
        process.id = joined.member_id;
        process.epoch = joined.generation_id;
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: process.epoch,
            member_id: process.id.clone(),
            group_instance_id: process.instance.clone(),
            ..Default::default()
        };
        let Reply::SyncGroup(synced) = self.ask(5, Request::SyncGroup(request)) else { panic!() };
        assert_eq!(ErrorCode::from(synced.error_code), ErrorCode::None);
        process.held = self.given(&synced.assignment);
        true
    }

    fn subscription(&self, process: &Process) -> ConsumerProtocolSubscription {
        let owned = process.held.iter().filter_map(|(topic, partition)| {
            let topic = self.image.topic_by_id((*topic).into())?.name().clone();
            Some(OwnedPartitions { topic, partitions: vec![*partition] })
        });
        ConsumerProtocolSubscription {
            topics: process.topics.iter().map(|name| Str::from_static(name)).collect(),
            owned_partitions: owned.collect(),
            ..Default::default()
        }
    }

    fn given(&self, assignment: &Bytes) -> Held {
        let mut r = Reader::new(assignment);
        assert_eq!(r.i16().unwrap(), 1);
        let assignment = ConsumerProtocolAssignment::read(&mut r, 1).unwrap();
        let topics = assignment.assigned_partitions.into_iter();
        let pairs = topics.flat_map(|topic| {
            let id = self.image.topic_id(&topic.topic).unwrap().0;
            topic.partitions.into_iter().map(move |partition| (id, partition))
        });
        pairs.collect()
    }

    fn leave(&mut self, member: usize, away: bool) {
        let Some(process) = self.processes[member].take() else { return };
        let request = ConsumerGroupHeartbeatRequest {
            group_id: GROUP.into(),
            member_id: process.id,
            member_epoch: if away && process.instance.is_some() { -2 } else { -1 },
            instance_id: process.instance,
            ..Default::default()
        };
        self.ask(1, Request::ConsumerGroupHeartbeat(request));
    }

    /// What the log says that a process has, or has to give up still.
    fn logged(&self, process: &Process) -> Option<Held> {
        let group = self.groups.logged.consumer_group(GROUP)?;
        let current = &group.member(&process.id)?.current;
        let all = current.assigned.iter().chain(current.revoking.iter());
        Some(all.map(|(topic, partition, _)| (topic, partition)).collect())
    }

    fn check(&self) {
        let Some(group) = self.groups.logged.consumer_group(GROUP) else { return };
        let attended = self.groups.soft.attendances.get(GROUP);
        let members: Vec<&Str> = attended.into_iter().flat_map(Attendance::members).collect();
        assert!(members.into_iter().eq(group.members().keys()), "every member has a session");
        let mut owners: BTreeMap<(Uuid, i32), &Str> = BTreeMap::new();
        for (id, member) in group.members() {
            let current = &member.current;
            for (topic, partition, epoch) in current.assigned.iter().chain(current.revoking.iter()) {
                let other = owners.insert((topic, partition), id);
                assert_eq!(other, None, "{topic}-{partition} is {id}'s, too");
                assert!(epoch <= current.epoch.max(0) && group.is_taken(&topic, partition));
            }
            assert!(current.epoch <= group.target_epoch.epoch);
        }
        assert!(group.target_epoch.epoch <= group.epoch.epoch);
        // What a process reads is its own as long as it is a member: so no two of them read one partition.
        for process in self.processes.iter().flatten() {
            if let Some(logged) = self.logged(process) {
                let foreign: Vec<_> = process.held.difference(&logged).collect();
                assert!(foreign.is_empty(), "{} reads {foreign:?} of others", process.id);
            }
        }
    }

    /// Everybody does what it hears for a while.
    fn settle(&mut self) {
        for _ in 0..20 {
            while !self.searches.is_empty() {
                self.search();
            }
            for member in 0..MEMBERS {
                self.beat(member, true);
                self.check();
            }
            self.pass(1_500);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn partitions_have_one_reader_and_everything_is_read_in_the_end(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.go(step);
        }
        let mut again = world.replayed();
        prop_assert_eq!(again.logged.groups(), world.groups.logged.groups());
        for record in &world.records {
            again.replay(record).unwrap();
        }
        prop_assert_eq!(again.logged.groups(), world.groups.logged.groups());

        // Those who are gone are given up, those who are there read all that they want to.
        for _ in 0..3 {
            world.settle();
        }
        if let Some(group) = world.groups.logged.consumer_group(GROUP).filter(|group| !group.is_empty()) {
            prop_assert_eq!(group.state(), "Stable");
            let topics = group.subscriptions().topics().filter_map(|name| world.image.topic(name));
            let wanted: Held = topics
                .flat_map(|topic| (0..topic.partition_count()).map(|partition| (topic.id().0, partition)))
                .collect();
            let held: Held = world.processes.iter().flatten().flat_map(|process| process.held.clone()).collect();
            prop_assert_eq!(held, wanted);
        }

        // When nobody asks any more, nothing is left, and no timer but that of the retention.
        world.pass(3_600_000);
        prop_assert!(world.groups.soft.attendances.is_empty() && world.groups.soft.live.is_empty());
        prop_assert_eq!(world.groups.soft.timers.len(), 1);
        prop_assert!(world.groups.logged.groups().is_empty(), "everything has expired");
    }
}
