//! The APIs: one file an API key. A file declares the versions that are advertised and what is answered; the
//! route table and the ApiVersions reply come from that.
//!
//! Invariants:
//! * A request that cannot be decoded, has an unknown key or an unsupported version closes the connection, as in
//!   Kafka, with the exception of ApiVersions, which is answered in version 0.
//! * A handler runs up to its first wait before the next request of the connection is looked at.

mod acls;
mod add_offsets_to_txn;
mod add_partitions_to_txn;
mod alter_configs;
mod alter_partition_reassignments;
mod api_versions;
mod config_changes;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_transactions;
mod elect_leaders;
mod end_txn;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod groups;
mod handler;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod list_transactions;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod operations;
mod produce;
mod push_telemetry;
mod route;
mod sasl;
mod sync_group;
mod transactions;
mod txn_offset_commit;
mod update_features;
mod write_txn_markers;

pub(crate) use fetch::FetchSessions;
pub(crate) use handler::{Answer, Call, Client, Handler, Protest};
pub(crate) use route::{routes, start};
