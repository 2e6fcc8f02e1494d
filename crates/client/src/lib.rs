//! Producer, consumer and admin client for Kafka's protocol.
//!
//! Owns: connections to brokers and what is known of the cluster; batching, idempotence, retries; fetching.
//!
//! Invariants:
//! * Everything outside memory goes through `host`, so a client runs in the simulator beside the broker.
//! * Versions are negotiated per connection; nothing is sent that the broker did not advertise.
//! * Memory, requests in flight and waiting times have named bounds.
//!
//! Does not know: how brokers work, or what records mean.

mod connection;
mod driver;
mod error;
mod handshake;

pub use connection::{Connection, ConnectionOptions};
pub use error::Error;
