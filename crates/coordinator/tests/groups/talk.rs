//! [`Talk`]: a conversation of clients with one coordinator, on a clock that the test moves.
//!
//! It checks what holds for every conversation: no request is answered twice, and what was written can be replayed.

use std::collections::BTreeMap;

use bytes::Bytes;
use coordinator::{Caller, Groups, Now, Options, Outcome, Record, Reply, Request, Search, Ticket};
use metadata::Image;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::{ErrorCode, Str, Uuid};

pub(crate) const GROUP: &str = "readers";
/// Wall time when the monotonic clock shows zero.
pub(crate) const EPOCH_MS: i64 = 1_700_000_000_000;

pub(crate) struct Talk {
    pub groups: Groups,
    pub now_ms: u64,
    pub records: Vec<Record>,
    /// Searches that were asked for.
    pub searches: Vec<Search>,
    pub image: Image,
    pub versions: i64,
    replies: BTreeMap<Ticket, Reply>,
    asked: u64,
    ids: u128,
}

/// How somebody joins.
#[derive(Clone)]
pub(crate) struct Joining {
    pub version: i16,
    pub member: String,
    pub instance: Option<&'static str>,
    pub client: &'static str,
    pub session_ms: i32,
    pub rebalance_ms: i32,
    pub protocol_type: &'static str,
    pub protocols: Vec<(&'static str, Bytes)>,
}

/// A consumer of version 9 with one protocol.
pub(crate) fn consumer() -> Joining {
    Joining {
        version: 9,
        member: String::new(),
        instance: None,
        client: "app",
        session_ms: 10_000,
        rebalance_ms: 60_000,
        protocol_type: "consumer",
        protocols: vec![("range", subscription(&["orders"]))],
    }
}

impl Joining {
    pub(crate) fn member(self, id: &str) -> Self {
        Self { member: id.to_owned(), ..self }
    }

    pub(crate) fn instance(self, id: &'static str) -> Self {
        Self { instance: Some(id), ..self }
    }

    pub(crate) fn version(self, version: i16) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn protocols(self, names: &[&'static str]) -> Self {
        let protocols = names.iter().map(|name| (*name, subscription(&["orders"]))).collect();
        Self { protocols, ..self }
    }
}

/// Metadata of a consumer: version 0, topics, no user data.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend(u32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(u16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.into()
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut this = Self {
            groups: Groups::new(options),
            now_ms: 0,
            records: Vec::new(),
            searches: Vec::new(),
            image: Image::new(),
            versions: 0,
            replies: BTreeMap::new(),
            asked: 0,
            ids: 0,
        };
        let now = this.now();
        let outcome = this.groups.loaded(now);
        this.take(outcome);
        this
    }

    /// Another coordinator loads what this one wrote.
    pub(crate) fn fail_over(&mut self, options: Options) {
        self.groups = Groups::new(options);
        self.groups.set_image(self.image.clone(), self.versions);
        for record in &self.records {
            self.groups.replay(record).unwrap();
        }
        let now = self.now();
        let outcome = self.groups.loaded(now);
        self.take(outcome);
    }

    fn now(&mut self) -> Now {
        self.ids += 1;
        Now {
            monotonic_ms: self.now_ms,
            wall_ms: EPOCH_MS + i64::try_from(self.now_ms).unwrap(),
            fresh_id: Uuid::from_bytes(self.ids.to_be_bytes()),
        }
    }

    fn take(&mut self, outcome: Outcome) {
        self.records.extend(outcome.records);
        self.searches.extend(outcome.effects);
        for (ticket, reply) in outcome.replies {
            let before = self.replies.insert(ticket, reply);
            assert!(before.is_none(), "{ticket:?} was answered twice: {before:?}");
        }
    }

    pub(crate) fn ask(&mut self, version: i16, client: &str, request: Request) -> Ticket {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        let caller = Caller { version, client_id: client.into(), client_host: "/127.0.0.1".into() };
        let now = self.now();
        let outcome = self.groups.handle(ticket, &caller, request, now);
        self.take(outcome);
        ticket
    }

    /// Lets time pass, and everything happen that comes due.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.groups.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let now = self.now();
            let outcome = self.groups.tick(now);
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }

    pub(crate) fn answer(&self, ticket: Ticket) -> Option<&Reply> {
        self.replies.get(&ticket)
    }

    #[track_caller]
    pub(crate) fn parked(&self, ticket: Ticket) {
        assert_eq!(self.answer(ticket), None);
    }

    #[track_caller]
    pub(crate) fn join_answer(&self, ticket: Ticket) -> &JoinGroupResponse {
        match self.answer(ticket) {
            Some(Reply::JoinGroup(response)) => response,
            other => panic!("no answer to a join: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn sync_answer(&self, ticket: Ticket) -> &SyncGroupResponse {
        match self.answer(ticket) {
            Some(Reply::SyncGroup(response)) => response,
            other => panic!("no answer to a sync: {other:?}"),
        }
    }

    pub(crate) fn join(&mut self, joining: &Joining) -> Ticket {
        let protocols = joining.protocols.iter().map(|(name, metadata)| JoinGroupRequestProtocol {
            name: Str::from(*name),
            metadata: metadata.clone(),
        });
        let request = JoinGroupRequest {
            group_id: GROUP.into(),
            session_timeout_ms: joining.session_ms,
            rebalance_timeout_ms: joining.rebalance_ms,
            member_id: joining.member.as_str().into(),
            group_instance_id: joining.instance.map(Str::from),
            protocol_type: joining.protocol_type.into(),
            protocols: protocols.collect(),
            reason: None,
        };
        self.ask(joining.version, joining.client, Request::JoinGroup(request))
    }

    /// The first join of a dynamic member and the second, with the id that it was told. Returns that id too.
    #[track_caller]
    pub(crate) fn join_new(&mut self, joining: &Joining) -> (String, Ticket) {
        let first = self.join(joining);
        let told = self.join_answer(first).clone();
        assert_eq!(told.error_code, ErrorCode::MemberIdRequired.code());
        let id = told.member_id.to_string();
        let second = self.join(&joining.clone().member(&id));
        (id, second)
    }

    pub(crate) fn sync(&mut self, member: &str, generation: i32, assignments: &[(&str, &str)]) -> Ticket {
        self.sync_as(member, None, generation, assignments)
    }

    pub(crate) fn sync_as(
        &mut self,
        member: &str,
        instance: Option<&str>,
        generation: i32,
        assignments: &[(&str, &str)],
    ) -> Ticket {
        let assignments: Vec<(String, Bytes)> = assignments
            .iter()
            .map(|(member, assignment)| ((*member).to_owned(), Bytes::copy_from_slice(assignment.as_bytes())))
            .collect();
        self.sync_bytes_as(member, instance, generation, &assignments)
    }

    pub(crate) fn sync_bytes(
        &mut self,
        member: &str,
        generation: i32,
        assignments: &[(String, Bytes)],
    ) -> Ticket {
        self.sync_bytes_as(member, None, generation, assignments)
    }

    pub(crate) fn sync_bytes_as(
        &mut self,
        member: &str,
        instance: Option<&str>,
        generation: i32,
        assignments: &[(String, Bytes)],
    ) -> Ticket {
        let assignments = assignments.iter().map(|(member, assignment)| SyncGroupRequestAssignment {
            member_id: member.as_str().into(),
            assignment: assignment.clone(),
        });
        let request = SyncGroupRequest {
            group_id: GROUP.into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: instance.map(Str::from),
            protocol_type: None,
            protocol_name: None,
            assignments: assignments.collect(),
        };
        self.ask(5, "app", Request::SyncGroup(request))
    }

    #[track_caller]
    pub(crate) fn heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        self.heartbeat_as(member, None, generation)
    }

    #[track_caller]
    pub(crate) fn heartbeat_as(
        &mut self,
        member: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: GROUP.into(),
            generation_id: generation,
            member_id: member.into(),
            group_instance_id: instance.map(Str::from),
        };
        let ticket = self.ask(4, "app", Request::Heartbeat(request));
        match self.answer(ticket) {
            Some(Reply::Heartbeat(response)) => ErrorCode::from(response.error_code),
            other => panic!("no answer to a heartbeat: {other:?}"),
        }
    }

    /// Leaves by member id and instance id; returns the errors of the members.
    #[track_caller]
    pub(crate) fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = members.iter().map(|(member, instance)| MemberIdentity {
            member_id: Str::from(*member),
            group_instance_id: instance.map(Str::from),
            reason: None,
        });
        let request =
            LeaveGroupRequest { group_id: GROUP.into(), members: members.collect(), ..Default::default() };
        let ticket = self.ask(5, "app", Request::LeaveGroup(request));
        match self.answer(ticket) {
            Some(Reply::LeaveGroup(response)) => {
                assert_eq!(response.error_code, 0);
                response.members.iter().map(|member| ErrorCode::from(member.error_code)).collect()
            }
            other => panic!("no answer to a leave: {other:?}"),
        }
    }

    /// Commits one offset; returns its error.
    #[track_caller]
    pub(crate) fn commit(&mut self, member: &str, generation: i32, topic: &str, offset: i64) -> ErrorCode {
        let request = commit_request(member, generation, topic, offset);
        self.commit_with(10, request)
    }

    #[track_caller]
    pub(crate) fn commit_with(&mut self, version: i16, request: OffsetCommitRequest) -> ErrorCode {
        let ticket = self.ask(version, "app", Request::OffsetCommit(request));
        match self.answer(ticket) {
            Some(Reply::OffsetCommit(response)) => {
                ErrorCode::from(response.topics[0].partitions[0].error_code)
            }
            other => panic!("no answer to a commit: {other:?}"),
        }
    }

    /// What is committed for partition 0 of a topic.
    #[track_caller]
    pub(crate) fn committed(&mut self, topic: &str) -> i64 {
        let topics = vec![OffsetFetchRequestTopics {
            name: topic.into(),
            partition_indexes: vec![0],
            ..Default::default()
        }];
        let group =
            OffsetFetchRequestGroup { group_id: GROUP.into(), topics: Some(topics), ..Default::default() };
        let ticket = self.ask(10, "app", Request::OffsetFetch { group, require_stable: false });
        match self.answer(ticket) {
            Some(Reply::OffsetFetch(response)) => {
                assert_eq!(response.error_code, 0);
                response.topics[0].partitions[0].committed_offset
            }
            other => panic!("no answer to a fetch: {other:?}"),
        }
    }

    /// A stable group of dynamic members in generation 1; the ids in their order, the leader first.
    #[track_caller]
    pub(crate) fn stable(&mut self, members: usize) -> Vec<String> {
        let joins: Vec<(String, Ticket)> = (0..members).map(|_| self.join_new(&consumer())).collect();
        self.pass(10_000);
        let generation = self.join_answer(joins[0].1).generation_id;
        let leader = self.join_answer(joins[0].1).leader.to_string();
        let mut ids: Vec<String> = joins.into_iter().map(|(id, _)| id).collect();
        ids.sort_by_key(|id| *id != leader);
        let assignments: Vec<(String, String)> =
            ids.iter().enumerate().map(|(n, id)| (id.clone(), format!("share {n}"))).collect();
        let assignments: Vec<(&str, &str)> =
            assignments.iter().map(|(id, share)| (id.as_str(), share.as_str())).collect();
        let syncs: Vec<Ticket> = ids.iter().map(|id| self.sync(id, generation, &assignments)).collect();
        for (n, ticket) in syncs.into_iter().enumerate() {
            assert_eq!(self.sync_answer(ticket).assignment, format!("share {n}"));
        }
        ids
    }
}

pub(crate) fn commit_request(member: &str, generation: i32, topic: &str, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition {
        partition_index: 0,
        committed_offset: offset,
        committed_leader_epoch: 3,
        committed_metadata: Some("note".into()),
    };
    let topic =
        OffsetCommitRequestTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id_or_member_epoch: generation,
        member_id: member.into(),
        topics: vec![topic],
        ..Default::default()
    }
}
