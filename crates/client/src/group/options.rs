//! [`GroupOptions`]: which group, which topics, and how; defaults are those of Kafka's consumer.

use std::time::Duration;

use protocol::Str;

use super::assignor::Assignor;
use crate::ConsumerOptions;

/// How members and coordinator agree on who reads what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupProtocol {
    /// The consumer protocol where the brokers have it and the group can have it, the classic one elsewhere.
    #[default]
    Auto,
    /// JoinGroup and SyncGroup: a member assigns.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848): the coordinator assigns.
    Consumer,
}

#[derive(Clone, Debug)]
pub struct GroupOptions {
    pub group: Str,
    pub topics: Vec<Str>,
    pub protocol: GroupProtocol,
    /// A name that outlives the process (KIP-345): a member that comes back in time gets what it had.
    pub instance_id: Option<Str>,
    pub rack: Option<Str>,
    /// Of the consumer protocol; the broker's default, if there is none.
    pub server_assignor: Option<Str>,
    /// Of the classic protocol, the preferred one first. Rebalances are cooperative if all of them can be.
    pub assignors: Vec<Assignor>,
    /// Of the classic protocol: who is silent for longer is expelled.
    pub session_timeout: Duration,
    /// Of the classic protocol.
    pub heartbeat_interval: Duration,
    /// Who does not give up partitions in this time is expelled: the longest time between two calls of
    /// [`GroupConsumer::next`](super::GroupConsumer::next).
    pub rebalance_timeout: Duration,
    /// How often what has been handed out is committed; `None`: only by [`GroupConsumer::commit`](super::GroupConsumer::commit).
    pub commit_interval: Option<Duration>,
    /// [`ConsumerOptions::out_of_range`] is also where partitions begin that nothing is committed of.
    pub consumer: ConsumerOptions,
}

impl GroupOptions {
    pub fn new(group: impl Into<Str>, topics: impl IntoIterator<Item = impl Into<Str>>) -> Self {
        Self {
            group: group.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            protocol: GroupProtocol::default(),
            instance_id: None,
            rack: None,
            server_assignor: None,
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            rebalance_timeout: Duration::from_secs(300),
            commit_interval: Some(Duration::from_secs(5)),
            consumer: ConsumerOptions::default(),
        }
    }
}

/// Of a timeout as requests have it.
pub(super) fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
