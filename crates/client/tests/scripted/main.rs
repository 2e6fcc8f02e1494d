//! The client against brokers that follow a script: they refuse, forget, hang up, keep silent, lie. In the simulated
//! world, so that waiting takes no time and the same seed gives the same run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod admin;
mod cluster;
mod connection;
mod consumer;
mod producer;
mod server;
