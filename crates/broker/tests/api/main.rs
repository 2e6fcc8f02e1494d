//! What clients see of a broker, in a simulated world: each rule that Kafka's clients count on, by name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod connections;
mod fetch;
mod hostile;
mod metadata;
mod offsets;
mod produce;
mod producers;
mod sessions;
mod support;
mod topics;
mod versions;
mod waiting;
