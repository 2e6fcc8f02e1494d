//! [`Request`]: what is asked of one group, or of all groups of a partition. Requests that name several groups are taken
//! apart by the driver.

use protocol::Str;
use protocol::messages::consumer_group_describe_response::DescribedGroup as DescribedConsumerGroup;
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::messages::describe_groups_response::DescribedGroup;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::heartbeat_response::HeartbeatResponse;
use protocol::messages::join_group_request::JoinGroupRequest;
use protocol::messages::join_group_response::JoinGroupResponse;
use protocol::messages::leave_group_request::LeaveGroupRequest;
use protocol::messages::leave_group_response::LeaveGroupResponse;
use protocol::messages::list_groups_response::ListedGroup;
use protocol::messages::offset_commit_request::OffsetCommitRequest;
use protocol::messages::offset_commit_response::OffsetCommitResponse;
use protocol::messages::offset_delete_request::OffsetDeleteRequest;
use protocol::messages::offset_delete_response::OffsetDeleteResponse;
use protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use protocol::messages::offset_fetch_response::OffsetFetchResponseGroup;
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::sync_group_response::SyncGroupResponse;
use protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use protocol::messages::txn_offset_commit_response::TxnOffsetCommitResponse;

use crate::search::Found;

/// Who asks, and in which version of the API.
#[derive(Clone, Debug)]
pub struct Caller {
    pub version: i16,
    pub client_id: Str,
    /// As Kafka shows it: `/127.0.0.1`.
    pub client_host: Str,
}

#[derive(Clone, Debug)]
pub enum Request {
    JoinGroup(JoinGroupRequest),
    SyncGroup(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    ConsumerGroupDescribe {
        group_id: Str,
    },
    /// Topics by name and with their ids, as far as they exist; those that do not were refused before.
    OffsetCommit(OffsetCommitRequest),
    /// Topics as in `OffsetCommit`. What is committed counts when the transaction does.
    TxnOffsetCommit(TxnOffsetCommitRequest),
    /// One group of the request; `topics: None` is all of them. Topics by name.
    OffsetFetch {
        group: OffsetFetchRequestGroup,
        require_stable: bool,
    },
    OffsetDelete(OffsetDeleteRequest),
    DescribeGroup {
        group_id: Str,
    },
    DeleteGroup {
        group_id: Str,
    },
    /// Empty filters let everything pass; unknown states and types match nothing.
    ListGroups {
        states: Vec<Str>,
        types: Vec<Str>,
    },
    /// Topics are gone, and what was committed for them with them. Answered when it is done; that may take several
    /// outcomes.
    ForgetTopics {
        topics: Vec<Str>,
    },
    /// Topics are not what they were: whoever reads them may have to be assigned others. The image that says so was set
    /// before.
    TopicsChanged {
        topics: Vec<Str>,
        /// Some of them were not there before.
        are_new: bool,
    },
    /// What became of a [`Search`](crate::Search).
    Found(Found),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(DescribedConsumerGroup),
    OffsetCommit(OffsetCommitResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    DescribeGroup(DescribedGroup),
    DeleteGroup(DeletableGroupResult),
    ListGroups(Vec<ListedGroup>),
    /// Of what nobody waits for.
    Done,
}
