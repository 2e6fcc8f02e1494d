//! A metadata log on the real machine: a lone voter that starts, commits, stops and comes back.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod restart;
mod support;
