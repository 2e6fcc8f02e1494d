//! Somebody else's clients against the built binary: librdkafka (the `rdkafka` crate) and `krafka`.
//!
//! Each test starts a broker of its own with its data in a directory of its own, on a port that the system chooses. A
//! client's waits are bounded by [`PATIENCE`], which nothing comes near unless it hangs.
//!
//! Does not know: how Bourn works; and our own client has no part in it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../support/node.rs"]
mod node;
mod sample;
mod with_krafka;
mod with_rdkafka;

use std::time::Duration;

/// After so long something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
