//! Groups of the consumer protocol (KIP-848): the coordinator assigns, members reconcile by heartbeats.
//!
//! Owns: what such a group is ([`ConsumerGroup`], from its records), every decision about it ([`Ruling`]), the assignors, how
//! patterns stand for topics, and members that still use the classic protocol.
//!
//! Invariants:
//! * Whatever changes who reads what, or the topics themselves, is a new epoch of the group; for an epoch the targets are
//!   computed at most once; a member comes to the target's epoch when it has given up what it must.
//! * A partition is given to a member only when nobody else has it or is still to give it up.
//! * Nobody who keeps a partition is interrupted.
//!
//! Does not know: committed offsets, and groups of the classic protocol other than how one becomes the other.

mod assign;
mod embedded;
mod group;
mod hash;
mod member;
mod migrate;
mod partitions;
mod pattern;
mod reconcile;
mod ruling;
mod subscriptions;

pub use assign::Assignor;

pub(crate) use group::{ConsumerGroup, GroupEpoch, Resolved, TargetEpoch};
pub(crate) use member::{AWAY, ClassicMetadata, Current, LEAVING, Metadata, State as MemberState};
pub(crate) use migrate::Upgrade;
pub(crate) use partitions::{Owned, Partitions};
pub(crate) use pattern::resolve;
pub(crate) use ruling::{Admitted, Attendance, Due, Entry, Refusal, Ruling, check_request, owned};
