//! Transactions: what a broker has to do with them that leads partitions they write to, and the way to their coordinators.
//!
//! Invariants:
//! * The first batch of a transaction in a partition is appended only when its coordinator knows that the partition
//!   belongs to it (KIP-890): [`verify`]. So every transaction that a log has open will be ended.
//! * Only [`write_markers`] writes the ends of transactions.
//!
//! Does not know: which transactions there are, and what becomes of them (their coordinators do).

mod markers;
mod verification;

use protocol::{ProducerEpoch, ProducerId, Str};

pub(crate) use markers::{Marker, write_markers};
pub(crate) use verification::{Asker, verify, verify_offsets};

/// What a coordinator is asked before the first batch of a transaction is appended.
#[derive(Clone, Debug)]
pub(crate) struct Verification {
    pub(crate) transactional_id: Str,
    pub(crate) producer_id: ProducerId,
    pub(crate) producer_epoch: ProducerEpoch,
    /// Topic and partition of each.
    pub(crate) partitions: Vec<(Str, i32)>,
    /// Whether the partitions are added to the transaction, by version 2 of transactions; if not, they have to be in it.
    pub(crate) adds: bool,
}
