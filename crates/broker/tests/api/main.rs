//! What clients see of a broker, in a simulated world under virtual time (and in `real` on the real machine): each rule
//! that Kafka's clients count on, as one test named after it.
//!
//! | rule: versions | test |
//! |---|---|
//! | the ranges of 4.4; InitProducerId up to 5 | `versions::the_advertised_ranges_are_those_of_kafka_4_4` |
//! | Produce advertised from 0, refused below 3 (KAFKA-18659) | `versions::produce_is_advertised_from_0_and_refused_below_3` |
//! | ApiVersions of any version; unknown ones: v0 and 35 | `versions::an_unknown_version_of_api_versions_is_answered_in_version_0` |
//! | another cluster or node expected: 129 | `versions::api_versions_tells_who_meant_another_cluster_or_node` |
//! | SaslHandshake has no flexible version | `versions::a_listener_without_sasl_says_that_it_comes_at_the_wrong_moment` |
//! | topic ids from Fetch 13, Produce 13, Metadata 10 and 12 | `fetch::every_version_reads`, `produce::every_version_appends`, `metadata::topics_are_found_by_id_too` |
//! | every version of every API is answered, no other | `versions::every_version_of_every_api_is_answered`, `versions::versions_and_keys_that_are_not_served_end_the_connection` |
//! | arrays of a million, 10,000 tagged fields | `hostile::counts_beyond_the_limits_end_the_connection` |
//!
//! | rule: Fetch | test |
//! |---|---|
//! | between high watermark and log end: empty | `fetch::between_high_watermark_and_log_end_there_is_nothing_and_no_error` |
//! | first batch whatever its size (KIP-74) | `fetch::the_first_batch_comes_however_small_the_limits` |
//! | limits over all partitions, shards and files | `fetch_limits::partitions_on_several_shards_share_the_limits_in_the_order_of_the_request` |
//! | what does not fit takes the rest of its limit | `fetch_limits::what_does_not_fit_leaves_nothing_to_those_behind_and_nothing_to_wait_for` |
//! | turns, so that none starves | `sessions::partitions_take_turns_so_that_none_starves` |
//! | session errors and eviction | `sessions::sessions_that_are_not_there_and_epochs_out_of_turn_are_refused`, `sessions::a_full_cache_gives_no_session_until_an_old_one_can_go` |
//! | FENCED against UNKNOWN epoch, the leader named (KIP-951) | `fetch::a_leader_epoch_is_fenced_or_unknown` |
//! | diverging epoch | `fetch::a_reader_whose_epoch_ended_earlier_is_told_where` |
//! | preferred replica, log start, high watermark | `fetch::every_version_reads`, `fetch::what_retention_has_removed_is_out_of_range` |
//! | min bytes over all partitions | `waiting::min_bytes_are_counted_over_all_partitions` |
//! | a re-created topic is another | `metadata::a_topic_that_was_deleted_and_created_again_is_another` |
//!
//! | rule: Produce | test |
//! |---|---|
//! | INVALID_REQUIRED_ACKS | `produce::acks_are_minus_1_or_0_or_1` |
//! | one bad partition fails no other | `produce::one_bad_partition_does_not_fail_the_others` |
//! | LogAppendTime; max timestamp of compressed batches | `produce::log_append_time_rewrites_timestamps_and_is_told`, `produce::the_largest_timestamp_comes_from_the_records_compressed_or_not` |
//! | topic configs, one by one | the table of `topic_configs` |
//! | record errors; null keys on compacted topics (KIP-467) | `batches::record_errors_name_the_records_of_a_compacted_topic_without_a_key` |
//! | one batch a partition; no control batches | `batches::a_partition_takes_exactly_one_batch`, `batches::control_batches_of_clients_are_refused` |
//! | NOT_ENOUGH_REPLICAS before the append | `produce::too_few_replicas_are_told_before_the_append` |
//! | a failed acks=0 write closes | `produce::a_failed_write_with_acks_0_closes_the_connection` |
//! | sizes: MESSAGE_TOO_LARGE first, RECORD_LIST_TOO_LARGE | `batches::a_batch_above_max_message_bytes_is_too_large_before_anything_else_is_looked_at` |
//! | sequences wrap; any after expiry (KIP-360); duplicates wait | `producers::sequences_wrap_at_the_largest_int32`, `producers::a_producer_that_is_not_known_begins_with_any_sequence`, `producers::a_duplicate_waits_for_the_same_high_watermark_as_its_original` |
//! | large batches keep their place (checked beside the shards) | `large_batches::a_large_batch_keeps_its_place_among_those_of_its_connection`, `large_batches::large_batches_stand_beside_small_and_bad_ones_in_one_request` |
//! | internal topics | `produce::internal_topics_are_flagged_and_not_for_clients_to_write_to` |
//!
//! | rule: transactions | test |
//! |---|---|
//! | seen whole or not at all | `coordinated::ends::a_transaction_is_seen_whole_or_not_at_all` |
//! | what is decided is completed, after a crash too; retries hear the same | `coordinated::ends::what_is_decided_stays_decided_and_is_completed` |
//! | who comes while a transaction is completed waits (CONCURRENT_TRANSACTIONS in the end) | `coordinated::ends::a_producer_does_not_have_to_wait_between_its_transactions`, and in `coordinator` |
//! | PRODUCER_FENCED against INVALID_PRODUCER_EPOCH by version | `coordinated::fences::producers_that_are_fenced_are_told_so_in_terms_that_they_know` |
//! | zombies; ids of others; partitions that were not added | `coordinated::fences::a_new_producer_fences_the_old_one_and_aborts_what_it_has_begun`, `coordinated::fences::a_transactional_id_of_another_is_refused`, `coordinated::fences::a_partition_that_was_not_added_is_not_written_to` |
//! | offsets are invisible until the marker; UNSTABLE_OFFSET_COMMIT (KIP-447) | `coordinated::offsets::an_offset_is_invisible_until_its_transaction_is_committed` |
//! | timeouts; a commit after one | `coordinated::ends::a_transaction_that_takes_too_long_is_aborted_and_its_producer_told` |
//! | markers: of deleted topics; late ones and by force in `coordinated/tools.rs` (KIP-664) | `coordinated::ends::a_transaction_of_which_a_topic_is_deleted_is_completed` |
//! | last stable offset, aborted transactions, segment borders | `transactions` |
//!
//! | rule: compaction | test |
//! |---|---|
//! | the newest record of each key, at its offset; gaps are passed over | `compaction::of_each_key_the_newest_record_survives` |
//! | tombstones for delete.retention.ms (KIP-534) | `compaction::tombstones_stay_for_their_time` |
//! | sequences of producers whose records are gone | `compaction::a_producer_goes_on_though_its_records_are_gone` |
//! | a pass meets: deletion, another policy, retention, a stop, DeleteRecords, a full disk | `cleaning::a_topic_is_deleted_under_a_pass`, `cleaning::a_pass_ends_when_compaction_is_turned_off`, `cleaning::retention_takes_segments_that_a_pass_reads`, `cleaning::a_clean_stop_does_not_wait_for_a_pass`, `cleaning::records_are_deleted_under_a_pass`, `cleaning::a_full_disk_ends_a_pass_and_nothing_else` |
//! | min and max lag | `compaction::records_are_compacted_neither_too_early_nor_too_late` |
//!
//! | rule: metadata, offsets, configs | test |
//! |---|---|
//! | the advertised address is that of the listener | `listeners::clients_are_told_the_address_that_is_advertised_for_their_listener` |
//! | a created topic is known | `metadata::a_created_topic_is_known_when_its_creation_is_answered` |
//! | automatic creation when asked for, LEADER_NOT_AVAILABLE first | `metadata::topics_are_created_when_asked_for_and_allowed_only` |
//! | unknown ids; nameless topics | `metadata::topics_are_found_by_id_too`, `metadata::names_that_are_missing_and_ids_that_come_too_early_are_refused` |
//! | authorised operations on request | `metadata::what_a_caller_may_do_is_told_when_it_asks` |
//! | the controller is a live broker | `metadata::every_version_describes_topics_and_brokers` |
//! | ListOffsets -1 to -6, leader epochs, isolation | `offsets::latest_earliest_and_times_in_every_version`, `offsets::special_times_need_their_version` |
//! | OffsetForLeaderEpoch at its edges | `offsets::the_end_of_an_epoch_at_its_edges` |
//! | configs: source, synonyms, type, read-only, secrets, documentation | `configs::configs_tell_their_sources_synonyms_and_types`, `configs::configs_of_a_broker_hide_what_is_secret`, `configs::documentation_and_synonyms_are_told_on_request` |
//! | SET, DELETE, APPEND, SUBTRACT | `alter_configs::configs_of_a_topic_are_set_added_to_taken_from_and_deleted` |
//! | changes count with the next request, and survive | `alter_configs::a_change_of_a_topic_counts_with_the_next_request`, `alter_configs::configs_of_brokers_count_at_once_one_broker_before_all`, `alter_configs::limits_of_connections_follow_while_the_broker_runs` |
//! | refusals of changes: code, key and value | `alter_configs::what_cannot_be_changed_is_refused_by_itself_with_key_and_value`, `alter_configs::validate_only_changes_nothing_and_refuses_all_the_same` |
//! | AlterConfigs replaces | `alter_configs::a_replacement_takes_away_what_it_does_not_name` |
//! | ListConfigResources: version 0 is metrics | `alter_configs::resources_with_configs_are_listed_by_kind` |
//! | DeleteRecords: -1, out of range, compacted, durable | `records::records_are_deleted_up_to_an_offset_or_the_high_watermark`, `records::records_that_cannot_be_deleted_are_refused_by_themselves`, `records::a_deletion_of_records_that_was_answered_survives_a_crash` |
//! | producers that a partition remembers | `records::producers_that_a_partition_remembers_are_told`, `repeats::producers_asked_for_many_times_are_told_once` |
//! | answers about configs have a bound | `configs::an_answer_about_configs_has_its_bound` |
//! | DescribeLogDirs: sizes, room, offline ones | `log_dirs::directories_tell_what_they_hold_and_how_much_room_there_is`, `log_dirs::a_directory_that_is_offline_says_so_and_no_more` |
//! | cordoned directories get nothing new (KIP-1066) | `log_dirs::new_partitions_go_past_directories_that_are_cordoned` |
//! | groups and metrics subscriptions are described | `configs::groups_and_subscriptions_of_metrics_have_configs_too` |
//! | metrics of clients: offered when subscribed to, throttled, refused (KIP-714) | `telemetry::metrics_are_asked_for_while_somebody_has_subscribed`, `telemetry::pushes_are_taken_packed_in_any_way_once_an_interval`, `telemetry::pushes_that_are_no_good_are_refused` |
//! | levels of loggers (KIP-412) | `alter_configs::levels_of_loggers_are_described_and_changed_until_the_restart` |
//! | an offline directory: no leader, offline replicas, KAFKA_STORAGE_ERROR | `disks::partitions_on_a_directory_that_is_offline_are_told_to_have_no_leader` |
//! | elections are needed where nobody leads | `placement::elections_are_needed_only_where_nobody_leads` |
//! | replicas of a cluster of one stay where they are | `placement::replicas_are_reassigned_to_where_they_are_and_nowhere_else` |
//! | the quorum is told by its leader | `placement::the_only_voter_leads_the_quorum_and_has_everything` |
//! | without security: SECURITY_DISABLED, no tokens | `security::without_an_authorizer_there_are_no_acls`, `security::delegation_tokens_are_not_given_out_over_plaintext` |
//! | features: only what works | `features::features_that_do_not_work_here_are_neither_told_nor_finalized` |
//! | validate_only; configs from CreateTopics 5 | `topics::validate_only_creates_nothing`, `topics::every_version_creates_and_newer_ones_tell_what` |
//!
//! | rule: groups | test |
//! |---|---|
//! | __consumer_offsets on first use | `groups::the_topic_of_groups_is_made_when_a_coordinator_is_looked_for` |
//! | joins, generations, heartbeats, leaving | `groups::a_member_joins_takes_part_and_leaves`, `groups::a_second_member_has_the_first_one_join_again`, `groups::a_silent_member_is_taken_out_when_its_session_ends` |
//! | groups and offsets are durable | `groups::groups_members_and_offsets_survive_restarts_and_crashes` |
//! | offsets by name and id; topics that are gone | `groups::offsets_of_topics_in_every_version_and_of_topics_that_are_not_there`, `groups::what_was_committed_for_a_deleted_topic_means_nothing_for_a_new_one` |
//! | each offset once; a commit has a bound | `repeats::an_offset_asked_for_many_times_is_told_once`, `repeats::a_commit_comes_to_no_more_records_than_its_bound` |
//! | NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND | `groups::groups_are_listed_and_deleted_once_nobody_is_in_them` |
//! | a refused write is no commit | `groups::a_commit_that_cannot_be_written_is_refused_and_forgotten` |
//!
//! | rule: connections | test |
//! |---|---|
//! | one reply a request, in order, even when some fail | `connections::answers_to_good_requests_leave_before_a_bad_one_ends_the_connection`, `waiting::requests_behind_a_waiting_one_are_started_and_answered_in_order` |
//! | idle close | `connections::silent_connections_are_closed_half_a_request_or_not` |
//! | advertised against bound, port 0, IPv6 | `listeners::a_port_of_0_is_told_as_the_port_that_was_found`, `real::each_family_is_told_its_own_address` |
//! | limits by number, rate and address | `connections::the_listeners_of_a_broker_share_max_connections`, `connections::connections_above_the_creation_rate_wait`, `connections::an_address_may_have_a_limit_of_its_own`, `connections::a_listener_may_have_limits_of_its_own` |
//! | what clients can make a broker hold | `memory::readers_that_never_read_hold_no_more_than_there_is_for_replies`, `memory::half_a_large_request_and_then_silence_holds_what_has_come_and_goes_when_others_want_it` |
//! | disks that are full or broken | `disks::with_a_full_disk_writes_are_refused_and_everything_else_goes_on`, `disks::a_directory_that_is_bad_at_the_start_is_left_out_and_comes_back_with_its_records` |
//! | nothing is made anew for what a missing directory has (KIP-858) | `missing_disks::what_is_on_a_directory_that_was_left_out_is_not_made_anew` |
//!
//! Not to be seen with one broker: forwarding, NOT_ENOUGH_REPLICAS_AFTER_APPEND, the leader's name in answers to Produce
//! (KIP-951), OFFSET_NOT_AVAILABLE. Not there yet: quotas.
// Tests are futures in futures, and the compiler counts how deep.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod alter_configs;
mod batches;
mod cleaning;
mod compaction;
mod configs;
mod connections;
mod coordinated;
mod disks;
mod features;
mod fetch;
mod fetch_limits;
mod groups;
mod hostile;
mod large_batches;
mod listeners;
mod log_dirs;
mod memory;
mod metadata;
mod missing_disks;
mod offsets;
mod ownership;
mod placement;
mod produce;
mod producers;
mod real;
mod records;
mod repeats;
mod samples;
mod security;
mod segments;
mod sessions;
mod support;
mod telemetry;
mod topic_configs;
mod topics;
mod transactions;
mod versions;
mod waiting;

/// A table that names what is not there misleads.
#[test]
fn the_table_above_names_tests_that_exist() {
    let sources = [
        ("alter_configs", include_str!("alter_configs.rs")),
        ("batches", include_str!("batches.rs")),
        ("cleaning", include_str!("cleaning.rs")),
        ("compaction", include_str!("compaction.rs")),
        ("configs", include_str!("configs.rs")),
        ("connections", include_str!("connections.rs")),
        ("coordinated::ends", include_str!("coordinated/ends.rs")),
        ("coordinated::fences", include_str!("coordinated/fences.rs")),
        ("coordinated::offsets", include_str!("coordinated/offsets.rs")),
        ("disks", include_str!("disks.rs")),
        ("features", include_str!("features.rs")),
        ("fetch", include_str!("fetch.rs")),
        ("fetch_limits", include_str!("fetch_limits.rs")),
        ("groups", include_str!("groups.rs")),
        ("hostile", include_str!("hostile.rs")),
        ("large_batches", include_str!("large_batches.rs")),
        ("listeners", include_str!("listeners.rs")),
        ("log_dirs", include_str!("log_dirs.rs")),
        ("memory", include_str!("memory.rs")),
        ("metadata", include_str!("metadata.rs")),
        ("missing_disks", include_str!("missing_disks.rs")),
        ("offsets", include_str!("offsets.rs")),
        ("placement", include_str!("placement.rs")),
        ("produce", include_str!("produce.rs")),
        ("producers", include_str!("producers.rs")),
        ("real", include_str!("real.rs")),
        ("records", include_str!("records.rs")),
        ("repeats", include_str!("repeats.rs")),
        ("security", include_str!("security.rs")),
        ("segments", include_str!("segments.rs")),
        ("sessions", include_str!("sessions.rs")),
        ("telemetry", include_str!("telemetry.rs")),
        ("topic_configs", include_str!("topic_configs.rs")),
        ("topics", include_str!("topics.rs")),
        ("versions", include_str!("versions.rs")),
        ("waiting", include_str!("waiting.rs")),
    ];
    let table = include_str!("main.rs").lines().filter(|line| line.starts_with("//! |"));
    let named: Vec<(&str, &str)> =
        table.flat_map(|line| line.split('`')).filter_map(|name| name.rsplit_once("::")).collect();
    assert!(named.len() > 50, "{named:?}");
    for (module, test) in named {
        let source = sources.iter().find(|(name, _)| *name == module).map(|(_, source)| *source);
        assert!(source.is_some_and(|source| source.contains(&format!("fn {test}()"))), "{module}::{test}");
    }
}
