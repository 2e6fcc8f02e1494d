//! The one list of configs.
//!
//! Owns: every config there is ([`definitions`]), what its values may be, where a value comes from ([`Layers`]), the
//! typed views of them ([`BrokerConfig`], [`TopicConfig`]), and the page about them ([`markdown`]).
//!
//! Invariants:
//! - a config is defined once; parsing, describing and the page follow from its definition;
//! - every default is a valid value of its config;
//! - a stored value that is no longer valid is passed over, never a reason to fail.
//!
//! Does not know: files, the environment, or what the broker does with a value.

mod broker;
mod client_metrics;
mod coordination;
mod definition;
mod describe;
mod directories;
mod docs;
mod environment;
mod group;
mod layers;
mod listeners;
mod names;
mod properties;
mod providers;
mod statics;
mod tables;
mod topic;
mod value;

#[cfg(test)]
mod effects;
#[cfg(test)]
mod tests;

pub use broker::{BrokerConfig, CleanerConfig, Limits, ListenerLimits, Sockets};
pub use client_metrics::{ClientFacts, ClientPattern, Subscription};
pub use coordination::{ConsumerGroupsConfig, GroupsConfig, Limited, MigrationPolicy, TransactionsConfig};
pub use definition::{Definition, Importance, Kind, Scope, Update, Valid};
pub use describe::{
    Described, Synonym, describe_all, describe_broker, describe_broker_defaults, describe_topic,
};
pub use directories::LogDirectories;
pub(crate) use directories::check_cordoned;
pub use docs::markdown;
pub use environment::{EnvironmentError, from_environment};
pub use group::{GroupConfig, check_group_configs};
pub use layers::{Candidate, Layers, Resolved, Source};
pub use listeners::{Endpoint, ListenerError, parse_listeners};
pub use names::{Removed, listener_limit, nearest, removed};
pub use properties::{PropertiesError, decode_properties, parse_properties};
pub use providers::{Outside, ProviderError};
pub use statics::{ConfigError, Note, StaticConfig};
pub use tables::{broker_synonyms, definitions, find};
pub use topic::{Cleanup, Compression, Durability, TimestampType, TopicConfig, check_topic_configs};
pub(crate) use value::elements;
pub use value::{InvalidValue, Problem, Value};
