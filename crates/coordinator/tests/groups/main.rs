//! Conversations with a coordinator of groups.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod admin;
mod consumers;
mod epochs;
mod fixed;
mod joins;
mod members;
mod migration;
mod offsets;
mod path;
mod pending;
mod steps;
mod syncs;
mod talk;
mod tools;
