//! What big groups, and many of them, cost one coordinator. Run it alone: `cargo bench -p bourn-coordinator`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails by panicking")]

use std::time::Duration;

use bytes::Bytes;
use coordinator::{Caller, Groups, Now, Options, Outcome, Record, Reply, Request, Ticket};
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::{Str, Uuid};

struct Driver {
    groups: Groups,
    now_ms: u64,
    asked: u64,
    records: Vec<Record>,
    replies: Vec<(Ticket, Reply)>,
}

impl Driver {
    fn new() -> Self {
        let mut this = Self {
            groups: Groups::new(Options::default()),
            now_ms: 0,
            asked: 0,
            records: Vec::new(),
            replies: Vec::new(),
        };
        let outcome = this.groups.loaded(this.now());
        this.take(outcome);
        this
    }

    fn now(&self) -> Now {
        let fresh_id = Uuid::from_bytes(u128::from(self.asked).to_be_bytes());
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.now_ms).unwrap();
        Now { monotonic_ms: self.now_ms, wall_ms, fresh_id }
    }

    fn take(&mut self, outcome: Outcome) {
        self.records.extend(outcome.records);
        self.replies.extend(outcome.replies);
    }

    fn ask(&mut self, request: Request) {
        self.asked += 1;
        let caller = Caller { version: 9, client_id: "app".into(), client_host: "/127.0.0.1".into() };
        let outcome = self.groups.handle(Ticket(self.asked), &caller, request, self.now());
        self.take(outcome);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.groups.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let outcome = self.groups.tick(self.now());
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }
}

fn print(what: &str, count: usize, time: Duration) {
    let each = time.as_nanos() / u128::try_from(count).unwrap();
    println!("{what:48} {count:>8} x {each:>8} ns = {time:>9.3?}");
}

/// The time that this process has had a CPU: others on the machine do not count.
struct Cpu(u64);

impl Cpu {
    fn now() -> Self {
        let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
        Self(schedstat.split(' ').next().unwrap().parse().unwrap())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(Self::now().0 - self.0)
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn join(member: &Str) -> Request {
    let metadata = Bytes::from_static(b"\0\x01\0\0\0\x01\0\x06orders\xff\xff\xff\xff\0\0\0\0");
    Request::JoinGroup(JoinGroupRequest {
        group_id: "big".into(),
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 300_000,
        member_id: member.clone(),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
        ..Default::default()
    })
}

/// The leader is the one who was told so.
fn sync(driver: &mut Driver, members: &[Str], generation_id: i32) {
    let leader = driver.replies.drain(..).find_map(|(_, reply)| match reply {
        Reply::JoinGroup(answer) if answer.leader == answer.member_id => Some(answer.leader),
        _ => None,
    });
    let leader = leader.unwrap();
    let start = Cpu::now();
    for member in members {
        let assigned: &[Str] = if *member == leader { members } else { &[] };
        let assignments = assigned.iter().map(|member_id| SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: Bytes::from_static(
                b"\0\x01\0\0\0\x01\0\x06orders\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff",
            ),
        });
        let assignments = assignments.collect();
        let member_id = member.clone();
        let group_id = "big".into();
        driver.ask(Request::SyncGroup(SyncGroupRequest {
            group_id,
            generation_id,
            member_id,
            assignments,
            ..Default::default()
        }));
    }
    print(&format!("members of {} get their assignments", members.len()), members.len(), start.elapsed());
    driver.replies.clear();
}

fn one_group(size: usize) {
    let mut driver = Driver::new();
    let start = Cpu::now();
    for _ in 0..size {
        driver.ask(join(&Str::EMPTY));
    }
    let told = std::mem::take(&mut driver.replies);
    let members: Vec<Str> = told
        .into_iter()
        .map(|(_, reply)| if let Reply::JoinGroup(answer) = reply { answer.member_id } else { panic!() })
        .collect();
    for member in &members {
        driver.ask(join(member));
    }
    driver.pass(10_000);
    print(&format!("members join a group of {size}"), size, start.elapsed());
    assert_eq!(driver.replies.len(), size);

    sync(&mut driver, &members, 1);

    let start = Cpu::now();
    for _ in 0..10 {
        driver.pass(3_000);
        for member in &members {
            let request = HeartbeatRequest {
                group_id: "big".into(),
                generation_id: 1,
                member_id: member.clone(),
                group_instance_id: None,
            };
            driver.ask(Request::Heartbeat(request));
        }
    }
    print(&format!("heartbeats in a group of {size}"), 10 * size, start.elapsed());
    driver.replies.clear();

    let start = Cpu::now();
    let left = MemberIdentity { member_id: members[0].clone(), ..Default::default() };
    let request = LeaveGroupRequest { group_id: "big".into(), members: vec![left], ..Default::default() };
    driver.ask(Request::LeaveGroup(request));
    for member in &members[1..] {
        driver.ask(join(member));
    }
    print(&format!("members of {size} join again after one left"), size - 1, start.elapsed());
    sync(&mut driver, &members[1..], 2);
}

fn commit(group: &Str, topic: &Str, partition_index: i32, offset: i64) -> Request {
    let partition = OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 1,
        committed_metadata: Some(Str::EMPTY),
    };
    let topic = OffsetCommitRequestTopic {
        name: topic.clone(),
        topic_id: Uuid::from_bytes([7; 16]),
        partitions: vec![partition],
    };
    Request::OffsetCommit(OffsetCommitRequest {
        group_id: group.clone(),
        topics: vec![topic],
        ..Default::default()
    })
}

fn many_groups(count: usize, partitions: i32) {
    let topic: Str = "orders".into();
    let groups: Vec<Str> = (0..count).map(|n| Str::from(format!("a-group-of-somebody-{n:06}"))).collect();
    let offsets = count * usize::try_from(partitions).unwrap();
    let mut driver = Driver::new();
    let start = Cpu::now();
    for partition in 0..partitions {
        for group in &groups {
            driver.ask(commit(group, &topic, partition, 42));
        }
    }
    print(&format!("first commits of {count} groups"), offsets, start.elapsed());
    driver.replies = Vec::new();
    let records = std::mem::take(&mut driver.records);

    let start = Cpu::now();
    for partition in 0..partitions {
        for group in &groups {
            driver.ask(commit(group, &topic, partition, 43));
        }
        driver.replies.clear();
        driver.records.clear();
    }
    print(&format!("further commits of {count} groups"), offsets, start.elapsed());

    let before = resident();
    let mut loaded = Groups::new(Options::default());
    let start = Cpu::now();
    for record in &records {
        loaded.replay(record).unwrap();
    }
    print("records replayed", offsets, start.elapsed());
    let grown = resident().saturating_sub(before);
    println!("{:48} {:>8} bytes a group, {} an offset", "resident", grown / count, grown / offsets);

    driver = Driver { groups: loaded, ..Driver::new() };
    let outcome = driver.groups.loaded(driver.now());
    driver.take(outcome);
    let start = Cpu::now();
    driver.pass(600_000);
    print("groups looked at by retention", count, start.elapsed());
    let topics = vec![topic];
    let start = Cpu::now();
    driver.ask(Request::ForgetTopics { topics });
    driver.pass(0);
    print("offsets of a topic forgotten", offsets, start.elapsed());
}

fn main() {
    for size in [1_000, 10_000] {
        one_group(size);
    }
    for (count, partitions) in [(10_000, 10), (100_000, 1), (100_000, 10)] {
        many_groups(count, partitions);
    }
}
