//! The decisions as tables, and together in random histories.

mod brokers;
mod configs;
mod histories;
mod topics;

use protocol::{ErrorCode, NodeId, Uuid};

use super::testing::broker;
use super::*;

fn nodes(numbers: &[i32]) -> Vec<NodeId> {
    numbers.iter().copied().map(NodeId).collect()
}

fn code<T>(result: &Result<T, Refusal>) -> ErrorCode {
    result.as_ref().err().map_or(ErrorCode::None, |refusal| refusal.code)
}

fn start(node_id: i32, incarnation: u8) -> BrokerStart {
    let broker = broker(node_id, 0);
    BrokerStart {
        node_id: broker.node_id,
        incarnation: Uuid::from_bytes([incarnation; 16]),
        cluster_id: None,
        listeners: broker.listeners,
        features: Vec::new(),
        rack: None,
        log_directories: broker.log_directories,
        fenced: false,
    }
}
