//! Producer, consumer and admin client for Kafka's protocol.
//!
//! Owns: connections to brokers and what is known of the cluster; batching, idempotence, retries; fetching;
//! membership in consumer groups.
//!
//! Invariants:
//! * Everything outside memory goes through `host`, so a client runs in the simulator beside the broker.
//! * Versions are negotiated per connection; nothing is sent that the broker did not advertise.
//! * Memory, requests in flight and waiting times have named bounds.
//!
//! Does not know: how brokers work, or what records mean.

pub mod admin;
mod backoff;
pub mod cluster;
mod connection;
pub mod consumer;
mod driver;
mod error;
pub mod group;
mod handshake;
mod leaders;
mod offsets;
pub mod producer;
mod record;

pub use admin::Admin;
pub use backoff::Backoff;
pub use cluster::{Cluster, ClusterOptions};
pub use connection::{Answer, Connection, ConnectionOptions, Written};
pub use consumer::{Chunk, Consumer, ConsumerOptions, OutOfRange, Start};
pub use error::Error;
pub use group::{Assignor, GroupConsumer, GroupOptions, GroupProtocol};
pub use offsets::{Isolation, ListedOffset, OffsetSpec};
pub use producer::{Acks, Delivery, Producer, ProducerOptions};
pub use protocol::records::{Record, RecordHeader};
pub use record::{Delivered, Header, ProducerRecord, TopicPartition};
