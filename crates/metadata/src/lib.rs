//! What the cluster knows: records, immutable image, delta, and the controller's decisions.
//!
//! Owns:
//! - [`record`]: what the metadata log says, and its bytes;
//! - [`image`]: the state that the records add up to, and what changed between two states;
//! - [`controller`]: decisions, as functions from an image and a request to records and a reply;
//! - [`config`]: the one list of configs, and the typed views of their values.
//!
//! Invariants:
//! - an image is the records applied in order, and nothing else;
//! - an image rebuilt from its own records is equal to it;
//! - nothing here waits, reads a clock or draws a random number: time and ids are arguments.
//!
//! Does not know: how records are agreed on and stored, sockets, requests as they travel, or which node this is.

pub mod config;
pub mod controller;
mod error;
pub mod image;
pub mod record;

pub use config::{BrokerConfig, TopicConfig};
pub use error::Error;
pub use image::{Delta, Image};
pub use record::Record;
