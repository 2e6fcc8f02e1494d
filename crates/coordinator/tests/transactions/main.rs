//! Producers in conversation with a coordinator of transactions.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod admin;
mod ends;
mod epochs;
mod path;
mod talk;
mod time;
