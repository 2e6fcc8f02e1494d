//! Replicas that somebody chose, and partitions made of replicas.

use protocol::{ErrorCode, NodeId, Uuid};

use super::Refusal;
use crate::Image;
use crate::record::Partition;

fn refuse<T>(message: String) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message))
}

/// Whether `replicas` could be those of `partition`, given how many the others have.
pub(super) fn check(
    image: &Image,
    partition: usize,
    replicas: &[NodeId],
    replication_factor: Option<usize>,
) -> Result<(), Refusal> {
    if replicas.is_empty() {
        return refuse(format!("partition {partition} is assigned to no broker"));
    }
    for (place, replica) in replicas.iter().enumerate() {
        if image.broker(*replica).is_none() {
            return refuse(format!(
                "partition {partition} is assigned to broker {replica}, which is not registered"
            ));
        }
        if replicas.iter().take(place).any(|earlier| earlier == replica) {
            return refuse(format!("partition {partition} is assigned to broker {replica} twice"));
        }
    }
    match replication_factor {
        Some(expected) if expected != replicas.len() => refuse(format!(
            "partition {partition} is assigned to {} broker(s), the others to {expected}",
            replicas.len()
        )),
        _ => Ok(()),
    }
}

/// A new partition on `replicas`, in sync on those that are active; `None` if none is.
pub(super) fn partition(image: &Image, replicas: Vec<NodeId>) -> Option<Partition> {
    let isr: Vec<NodeId> = replicas.iter().copied().filter(|replica| image.is_active(*replica)).collect();
    let directories = replicas.iter().map(|replica| only_directory(image, *replica)).collect();
    (!isr.is_empty()).then(|| Partition::new(replicas, directories, isr))
}

/// A broker with one directory has nothing to choose; one with several says later which it chose.
fn only_directory(image: &Image, node_id: NodeId) -> Uuid {
    match image.broker(node_id).map(|broker| broker.log_directories.as_slice()) {
        Some([only]) => *only,
        _ => Uuid::ZERO,
    }
}

/// The refusal of an assignment to brokers of which none is active.
pub(super) fn nobody_active(partition: usize) -> Refusal {
    Refusal::new(
        ErrorCode::InvalidReplicaAssignment,
        format!("all brokers that partition {partition} is assigned to are fenced or shut down"),
    )
}
