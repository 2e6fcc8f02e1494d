//! What each config of a topic does, seen from outside, and that a change of it counts at once.
//!
//! | config | obeyed by | test |
//! |---|---|---|
//! | `cleanup.policy` | `records::validate`, `storage::log` | `segments::a_topic_without_cleanup_keeps_everything`, `keys_are_needed_from_when_a_topic_is_compacted` |
//! | `compression.type` | `records::validate` | `stored_batches_have_the_codec_and_the_level_of_the_topic` |
//! | `compression.gzip.level` | `records::compression` | `stored_batches_have_the_codec_and_the_level_of_the_topic` |
//! | `compression.lz4.level` | nobody: one level | |
//! | `compression.zstd.level` | `records::compression` | `stored_batches_have_the_codec_and_the_level_of_the_topic` |
//! | `delete.retention.ms` | compaction | `compaction::tombstones_stay_for_their_time`, `compaction::a_pass_goes_by_what_the_topic_says_by_then` |
//! | `errors.deadletterqueue.group.enable` | nobody yet | |
//! | `file.delete.delay.ms` | `shard::housekeeping` | `segments::deleted_files_stay_for_their_delay` |
//! | `flush.messages` | `storage::log` | `flush_messages_bounds_what_a_buffered_topic_has_not_synced`, `flush_messages_bounds_what_acks_1_has_not_synced` |
//! | `flush.ms` | nobody: every round is synced | |
//! | `follower.replication.throttled.replicas` | nobody yet | |
//! | `leader.replication.throttled.replicas` | nobody yet | |
//! | `index.interval.bytes` | `storage::segment` | `segments::indexes_are_as_dense_and_as_large_as_the_topic_says`, `segments::a_new_density_of_indexes_counts_from_the_next_segment_on` |
//! | `local.retention.bytes` | nobody yet | |
//! | `local.retention.ms` | nobody yet | |
//! | `max.compaction.lag.ms` | compaction | `compaction::records_are_compacted_neither_too_early_nor_too_late`, `compaction::a_pass_goes_by_what_the_topic_says_by_then` |
//! | `max.decompressed.message.bytes` | `records::compression` | `what_decompresses_to_too_much_is_too_large` |
//! | `max.message.bytes` | `records::validate` | `batches::a_batch_above_max_message_bytes_is_too_large_before_anything_else_is_looked_at` |
//! | `message.timestamp.after.max.ms` | `records::validate` | `the_range_of_timestamps_follows_the_topic` |
//! | `message.timestamp.before.max.ms` | `records::validate` | `the_range_of_timestamps_follows_the_topic` |
//! | `message.timestamp.type` | `records::validate` | `produce::log_append_time_rewrites_timestamps_and_is_told` |
//! | `min.cleanable.dirty.ratio` | compaction | `compaction::records_are_compacted_neither_too_early_nor_too_late`, `compaction::a_pass_goes_by_what_the_topic_says_by_then` |
//! | `min.compaction.lag.ms` | compaction | `compaction::records_are_compacted_neither_too_early_nor_too_late`, `compaction::a_pass_goes_by_what_the_topic_says_by_then` |
//! | `min.insync.replicas` | `shard::append` | `produce::too_few_replicas_are_told_before_the_append` |
//! | `preallocate` | `storage::log` | `segments::space_of_segments_is_reserved_and_set_free`, `segments::reserving_space_begins_and_ends_with_the_next_segment` |
//! | `remote.copy.lag.bytes` | nobody yet | |
//! | `remote.copy.lag.ms` | nobody yet | |
//! | `remote.log.copy.disable` | nobody yet | |
//! | `remote.log.delete.on.disable` | nobody yet | |
//! | `remote.storage.enable` | nobody yet | |
//! | `retention.bytes` | `storage::log` | `segments::retention_by_size_follows_the_topic_and_takes_the_open_segment_too` |
//! | `retention.ms` | `storage::log` | `segments::retention_by_time_follows_the_topic_and_takes_the_open_segment_too` |
//! | `segment.bytes` | `storage::log` | `segments::segments_are_closed_by_size_and_by_time` |
//! | `segment.index.bytes` | `storage::log` | `segments::indexes_are_as_dense_and_as_large_as_the_topic_says`, `segments::a_smaller_index_closes_the_segment_that_has_more` |
//! | `segment.jitter.ms` | `storage::log` | `segments::segments_are_closed_by_size_and_by_time` |
//! | `segment.ms` | `storage::log` | `segments::segments_are_closed_by_size_and_by_time` |
//! | `unclean.leader.election.enable` | nobody yet | |
//! | `bourn.durability` | `storage::log` | `durability_says_what_an_answer_waits_for` |

use metadata::config::{Scope, definitions};
use protocol::ErrorCode;
use protocol::records::{BatchHeader, BatchOptions, Codec, Compression};

use crate::alter_configs::set;
use crate::support::requests::{PRODUCE, Topic, batch, batch_at, batch_with, only_produced, produce, values};
use crate::support::{Client, SERVER, World, ms, run};

const TOPIC: i8 = 2;

#[test]
fn the_table_has_every_config_and_names_tests_that_exist() {
    let rows: Vec<Vec<&str>> = include_str!("topic_configs.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"))
        .map(|row| row.split(" |").collect())
        .collect();
    let of_topics: Vec<_> = definitions().filter(|definition| definition.scope == Scope::Topic).collect();
    for definition in &of_topics {
        let start = format!("{}`", definition.name);
        let row = rows.iter().find(|row| row[0] == start);
        let tested = row.is_some_and(|row| row[2].contains('`'));
        let by_nobody = row.is_some_and(|row| row[1].contains("nobody"));
        assert!(tested || by_nobody, "{}", definition.name);
        assert!(!(tested && definition.no_effect.is_some()), "{} has an effect, or not", definition.name);
    }
    assert_eq!(rows.len(), of_topics.len());
    let source = concat!(
        include_str!("topic_configs.rs"),
        include_str!("segments.rs"),
        include_str!("compaction.rs"),
        include_str!("batches.rs"),
        include_str!("produce.rs")
    );
    for test in rows.iter().flat_map(|row| row[2].split('`')).filter(|name| name.contains('_')) {
        let name = test.rsplit("::").next().unwrap();
        assert!(source.contains(&format!("fn {name}()")), "{test}");
    }
}

/// Many lines that repeat each other in part.
fn text() -> Vec<String> {
    (0..2_000u32).map(|n| format!("line {n} of {}", n.wrapping_mul(2_654_435_761) >> 20)).collect()
}

/// The codec and the size of the newest batch of partition 0.
async fn newest(client: &mut Client, topic: &Topic) -> (Codec, usize) {
    let end = client.offset_at(11, topic, -1).await.offset;
    let stored = client.read(topic, end - 1).await.records.unwrap().to_bytes().unwrap();
    let header = BatchHeader::parse(&stored).unwrap();
    (header.attributes.codec().unwrap(), header.size())
}

#[test]
fn stored_batches_have_the_codec_and_the_level_of_the_topic() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let text = text();
        let lines: Vec<&str> = text.iter().map(String::as_str).collect();
        let sent = |codec: Codec| {
            let options = BatchOptions { compression: codec.into(), ..BatchOptions::default() };
            batch_with(options, &lines)
        };
        let plain = sent(Codec::None);
        for (name, stored) in [
            ("gzip", Codec::Gzip),
            ("uncompressed", Codec::None),
            ("snappy", Codec::Snappy),
            ("lz4", Codec::Lz4),
            ("zstd", Codec::Zstd),
        ] {
            set(&mut client, (TOPIC, "t"), "compression.type", name).await;
            for codec in Codec::ALL {
                assert_eq!(client.append_code(&topic, sent(codec)).await, ErrorCode::None);
                assert_eq!(newest(&mut client, &topic).await.0, stored, "{codec} to {name}");
            }
        }
        for (name, config, codec, levels) in [
            ("gzip", "compression.gzip.level", Codec::Gzip, [1, 9, -1]),
            ("zstd", "compression.zstd.level", Codec::Zstd, [-50, 19, 3]),
        ] {
            set(&mut client, (TOPIC, "t"), "compression.type", name).await;
            let mut sizes = Vec::new();
            for level in levels {
                set(&mut client, (TOPIC, "t"), config, &level.to_string()).await;
                client.append(&topic, plain.clone()).await;
                let compression = Compression { codec, level: Some(level) };
                let expected =
                    batch_with(BatchOptions { compression, ..BatchOptions::default() }, &lines).len();
                let (stored, size) = newest(&mut client, &topic).await;
                assert_eq!((stored, size), (codec, expected), "{level}");
                sizes.push(size);
            }
            assert!(sizes[0] > sizes[2] && sizes[2] >= sizes[1], "{name}: {sizes:?}");
        }
    });
}

#[test]
fn what_decompresses_to_too_much_is_too_large() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("max.decompressed.message.bytes", "10000")]).await;
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let options = BatchOptions { compression: codec.into(), ..BatchOptions::default() };
            let code = |bytes: usize| batch_with(options, &["x".repeat(bytes).as_str()]);
            assert_eq!(client.append_code(&topic, code(9_000)).await, ErrorCode::None, "{codec}");
            assert_eq!(client.append_code(&topic, code(10_000)).await, ErrorCode::MessageTooLarge, "{codec}");
        }
        let options = BatchOptions { compression: Codec::Zstd.into(), ..BatchOptions::default() };
        let large = batch_with(options, &["x".repeat(10_000).as_str()]);
        set(&mut client, (TOPIC, "t"), "max.decompressed.message.bytes", "20000").await;
        assert_eq!(client.append_code(&topic, large).await, ErrorCode::None);
    });
}

#[test]
fn the_range_of_timestamps_follows_the_topic() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        set(&mut client, (TOPIC, "t"), "message.timestamp.type", "LogAppendTime").await;
        let now = client.append(&topic, batch(&["x"])).await.log_append_time_ms;
        set(&mut client, (TOPIC, "t"), "message.timestamp.type", "CreateTime").await;
        for (early, late, before, after) in [
            (true, false, "9223372036854775807", "3600000"),
            (true, true, "9223372036854775807", "9223372036854775807"),
            (false, true, "3600000", "9223372036854775807"),
            (false, false, "3600000", "3600000"),
        ] {
            set(&mut client, (TOPIC, "t"), "message.timestamp.before.max.ms", before).await;
            set(&mut client, (TOPIC, "t"), "message.timestamp.after.max.ms", after).await;
            const DAY_MS: i64 = 86_400_000;
            for (timestamp, taken) in [(now - DAY_MS, early), (now + DAY_MS, late), (now, true)] {
                let answer = client.append(&topic, batch_at(timestamp, "x")).await;
                let code = if taken { ErrorCode::None } else { ErrorCode::InvalidTimestamp };
                assert_eq!(ErrorCode::from(answer.error_code), code, "{timestamp} {before} {after}");
                assert_eq!(answer.record_errors.len(), usize::from(!taken));
            }
        }
    });
}

#[test]
fn keys_are_needed_from_when_a_topic_is_compacted() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for (policy, code) in [
            ("delete", ErrorCode::None),
            ("compact,delete", ErrorCode::InvalidRecord),
            ("compact", ErrorCode::InvalidRecord),
            ("", ErrorCode::None),
        ] {
            set(&mut client, (TOPIC, "t"), "cleanup.policy", policy).await;
            assert_eq!(client.append_code(&topic, batch(&["no key"])).await, code, "{policy}");
        }
    });
}

/// How long an append of one record with acks=all takes when a sync takes two seconds.
async fn seconds_of_an_append(world: &World, client: &mut Client, topic: &Topic) -> u64 {
    world.sim.sleep(ms(10_000)).await;
    let began = world.sim.now();
    assert_eq!(client.append_code(topic, batch(&["x"])).await, ErrorCode::None);
    world.sim.now().since(began).as_secs()
}

#[test]
fn durability_says_what_an_answer_waits_for() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(2_000)..=ms(2_000));
        assert_eq!(seconds_of_an_append(world, &mut client, &topic).await, 2);
        set(&mut client, (TOPIC, "t"), "bourn.durability", "buffered").await;
        assert_eq!(seconds_of_an_append(world, &mut client, &topic).await, 0);
        set(&mut client, (TOPIC, "t"), "bourn.durability", "synced").await;
        assert_eq!(seconds_of_an_append(world, &mut client, &topic).await, 2);
    });
}

#[test]
fn flush_messages_bounds_what_acks_1_has_not_synced() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(2_000)..=ms(2_000));
        for (flush_messages, seconds) in [("9223372036854775807", 0), ("2", 0), ("1", 2)] {
            set(&mut client, (TOPIC, "t"), "flush.messages", flush_messages).await;
            world.sim.sleep(ms(10_000)).await;
            let began = world.sim.now();
            let request = produce(PRODUCE, 1, &topic, &[(0, batch(&["x"]))]);
            assert_eq!(only_produced(&client.call(PRODUCE, &request).await).error_code, 0);
            assert_eq!(world.sim.now().since(began).as_secs(), seconds, "{flush_messages}");
        }
    });
}

#[test]
fn flush_messages_bounds_what_a_buffered_topic_has_not_synced() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let configs = [("bourn.durability", "buffered"), ("flush.messages", "1")];
        let topic = client.create("t", 1, &configs).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(2_000)..=ms(2_000));
        assert_eq!(seconds_of_an_append(world, &mut client, &topic).await, 2);
        set(&mut client, (TOPIC, "t"), "flush.messages", "2").await;
        assert_eq!(seconds_of_an_append(world, &mut client, &topic).await, 0);
        assert_eq!(client.append_code(&topic, batch(&["y"])).await, ErrorCode::None);
        assert_eq!(values(&client.read(&topic, 0).await), ["x", "x", "y"]);
    });
}
