//! The server: listens, authorises, dispatches, and carries out what the cores decide.

pub mod shard;
