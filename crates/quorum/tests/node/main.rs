//! A metadata log as its users see it: a lone voter that starts, commits, stops, crashes and comes back, on the real
//! machine and on the simulated one.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod crashes;
mod failures;
mod full_disk;
mod identity;
mod restart;
mod snapshots;
mod support;
