//! [`Request`], [`Reply`] and [`Effect`]: what is asked of a coordinator of transactions, and what it asks for.

use protocol::ids::ProducerId;
use protocol::messages::describe_transactions_response::TransactionState;
use protocol::messages::list_transactions_response::ListTransactionsResponse;
use protocol::{ErrorCode, Str};

use crate::Producer;

/// Partitions by topic.
pub type Topics = Vec<(Str, Vec<i32>)>;

/// What is asked of one transactional id, or of all of a partition.
#[derive(Clone, Debug)]
pub enum Request {
    /// A producer begins, or begins anew after an error: `current` is who it believes to be.
    InitProducerId {
        transactional_id: Str,
        timeout_ms: i32,
        current: Option<Producer>,
        /// An id that nobody has, for whom needs one; see [`Reply::ProducerIdWanted`].
        fresh: Option<ProducerId>,
    },
    /// Partitions become part of the transaction, which begins with them.
    AddPartitions {
        transactional_id: Str,
        producer: Producer,
        topics: Topics,
        /// The transaction version that whoever adds them speaks.
        client_version: i16,
    },
    /// Whether partitions are part of the transaction.
    VerifyPartitions {
        transactional_id: Str,
        producer: Producer,
        topics: Topics,
    },
    EndTxn {
        transactional_id: Str,
        producer: Producer,
        commit: bool,
        client_version: i16,
        /// See [`Reply::ProducerIdWanted`].
        fresh: Option<ProducerId>,
    },
    /// These partitions have the markers of [`Effect::SendMarkers`], or are gone.
    Marked {
        transactional_id: Str,
        producer: Producer,
        topics: Topics,
    },
    Describe {
        transactional_id: Str,
    },
    List(Filter),
}

/// Which transactional ids to list; what is empty or `None` lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub states: Vec<Str>,
    pub producer_ids: Vec<i64>,
    /// Those that run for longer than this; below zero: all.
    pub duration_ms: i64,
    /// A regular expression of the syntax of RE2 for the whole id.
    pub pattern: Option<Str>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To InitProducerId and EndTxn: who the producer is from here on.
    Producer(Result<Producer, ErrorCode>),
    /// Nothing was done: the request needs an id that nobody has. Whoever asks gets one and asks again.
    ProducerIdWanted,
    /// To AddPartitions.
    Added(Result<(), ErrorCode>),
    /// To VerifyPartitions: those that are not part of the transaction.
    Verified(Result<Topics, ErrorCode>),
    Noted,
    Described(TransactionState),
    Listed(ListTransactionsResponse),
}

/// What is to happen once the records of an outcome are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The partitions are to hear how the transaction has ended, until all have; then the coordinator is to hear of it by
    /// [`Request::Marked`].
    SendMarkers(Markers),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    pub transactional_id: Str,
    /// As the markers have it.
    pub producer: Producer,
    pub commit: bool,
    /// The transaction version that the transaction has ended with.
    pub version: i16,
    pub topics: Topics,
}
