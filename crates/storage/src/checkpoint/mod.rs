//! The checkpoint of a log directory: its partitions as they were at some point of the journal
//! ([`PartitionState`](crate::PartitionState)).
