//! Conversations with a coordinator of groups.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod admin;
mod fixed;
mod joins;
mod offsets;
mod path;
mod pending;
mod syncs;
mod talk;
