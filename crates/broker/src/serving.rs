//! A node's side towards its clients: who accepts connections, and what memory there is for whom.

use std::sync::Arc;

use host::Place;
use metadata::config::BrokerConfig;
use tokio::sync::mpsc;

use crate::broker::Broker;
use crate::listening::Bound;
use crate::server::acceptor::Acceptor;
use crate::server::{ConnectionLimits, RequestMemory};

/// The connections of all listeners.
#[derive(Debug)]
pub(crate) struct Serving {
    /// Yields `None` when the last connection has ended.
    pub(crate) alive: mpsc::Receiver<()>,
    limits: Arc<ConnectionLimits>,
    memory: RequestMemory,
}

/// What clients make a broker hold at the moment, in bytes unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub connections: usize,
    /// Large requests on their way in.
    pub receiving: usize,
    /// Whole requests in work.
    pub requests: usize,
    /// Replies in memory that the network has not taken.
    pub replies: usize,
    /// Record batches in memory.
    pub records: usize,
}

impl Serving {
    pub(crate) fn usage(&self, broker: &Broker) -> Usage {
        Usage {
            connections: self.limits.connections(),
            receiving: self.memory.receiving_bytes(),
            requests: self.memory.whole_bytes(),
            replies: broker.reply_memory.used(),
            records: broker.shards.memory_bytes(),
        }
    }
}

/// Memory that no share knows of: an idle process has it already.
const BASE_BYTES: u64 = 40 << 20;
/// The allocator keeps more than it has given away: shares come to so many eighths of what is left.
const SHARED_EIGHTHS: u64 = 7;

/// What of `bourn.memory.max.bytes` is for whom. All of it is meant to be what the process takes, so not all of it is shared out.
pub(crate) struct Shares {
    /// Recent batches.
    pub(crate) records: usize,
    /// Requests on their way in and in work.
    pub(crate) requests: usize,
    /// Replies that the network has not taken.
    pub(crate) replies: usize,
}

pub(crate) fn shares(config: &BrokerConfig) -> Shares {
    let whole = config.limits.memory_max_bytes;
    let budget = (whole - BASE_BYTES.min(whole / 4)) / 8 * SHARED_EIGHTHS;
    let requests = config.limits.queued_max_request_bytes.map_or(budget / 4, |bytes| bytes.min(budget / 4));
    let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Shares { records: bytes(budget / 2), requests: bytes(requests), replies: bytes(budget / 4) }
}

/// Starts accepting on every listener.
pub(crate) fn serve(broker: &Arc<Broker>, bound: Vec<Bound>, limits: Arc<ConnectionLimits>) -> Serving {
    let memory = RequestMemory::new(shares(&broker.config).requests);
    let (alive, ended) = mpsc::channel(1);
    for Bound { name, listener, .. } in bound {
        let acceptor = Acceptor {
            broker: broker.clone(),
            name: Arc::from(name),
            listener,
            limits: limits.clone(),
            memory: memory.clone(),
            stop: broker.stopping.subscribe(),
            alive: alive.clone(),
        };
        broker.host.spawn(Place::Control, "acceptor", acceptor.run());
    }
    Serving { alive: ended, limits, memory }
}
