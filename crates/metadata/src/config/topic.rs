//! [`TopicConfig`]: what a topic goes by, as values.

use super::{ConfigError, Layers, Scope, Value, definitions, find};
use crate::image::Configs;

/// What happens to old records; neither keeps them for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    pub delete: bool,
    pub compact: bool,
}

/// How stored batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As the producer sent them.
    #[default]
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// What acknowledged means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// On disk.
    #[default]
    Synced,
    /// In the page cache, as in Kafka.
    Buffered,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

/// The configs of a topic: its own over those of the broker over the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    pub cleanup: Cleanup,
    pub compression: Compression,
    pub compression_gzip_level: i32,
    pub compression_lz4_level: i32,
    pub compression_zstd_level: i32,
    pub delete_retention_ms: i64,
    pub durability: Durability,
    pub file_delete_delay_ms: i64,
    pub flush_messages: i64,
    pub index_interval_bytes: u64,
    pub max_compaction_lag_ms: i64,
    pub max_decompressed_message_bytes: u64,
    pub max_message_bytes: u64,
    pub timestamp_after_max_ms: i64,
    pub timestamp_before_max_ms: i64,
    pub timestamp_type: TimestampType,
    pub min_cleanable_dirty_ratio: f64,
    pub min_compaction_lag_ms: i64,
    pub min_insync_replicas: usize,
    pub preallocate: bool,
    /// `None` keeps any number of bytes.
    pub retention_bytes: Option<u64>,
    /// `None` keeps records for ever.
    pub retention_ms: Option<i64>,
    pub segment_bytes: u64,
    pub segment_index_bytes: u64,
    pub segment_jitter_ms: i64,
    pub segment_ms: i64,
    pub unclean_leader_election: bool,
}

impl TopicConfig {
    /// What a topic without configs of its own goes by.
    pub fn defaults(layers: &Layers<'_>) -> TopicConfig {
        let mut config = TopicConfig::empty();
        for definition in definitions().filter(|definition| definition.scope == Scope::Topic) {
            if let Some(resolved) = layers.resolve(definition) {
                config.set(definition.name, &resolved.value);
            }
        }
        config
    }

    /// What a topic with configs of its own goes by, given what one without them does.
    pub fn with_overrides(&self, own: Option<&Configs>) -> TopicConfig {
        let mut config = self.clone();
        for (name, text) in own.into_iter().flatten() {
            let value = find(Scope::Topic, name).and_then(|definition| definition.parse(text).ok());
            if let Some(value) = value {
                config.set(name, &value);
            }
        }
        config
    }

    fn empty() -> TopicConfig {
        TopicConfig {
            cleanup: Cleanup::default(),
            compression: Compression::default(),
            compression_gzip_level: -1,
            compression_lz4_level: 0,
            compression_zstd_level: 0,
            delete_retention_ms: 0,
            durability: Durability::default(),
            file_delete_delay_ms: 0,
            flush_messages: 0,
            index_interval_bytes: 0,
            max_compaction_lag_ms: 0,
            max_decompressed_message_bytes: 0,
            max_message_bytes: 0,
            timestamp_after_max_ms: 0,
            timestamp_before_max_ms: 0,
            timestamp_type: TimestampType::default(),
            min_cleanable_dirty_ratio: 0.0,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: None,
            retention_ms: None,
            segment_bytes: 0,
            segment_index_bytes: 0,
            segment_jitter_ms: 0,
            segment_ms: 0,
            unclean_leader_election: false,
        }
    }

    fn set(&mut self, name: &str, value: &Value) {
        match value {
            Value::Number(number) => self.set_number(name, *number),
            Value::Boolean(value) if name == "preallocate" => self.preallocate = *value,
            Value::Boolean(value) if name == "unclean.leader.election.enable" => {
                self.unclean_leader_election = *value;
            }
            Value::Double(value) if name == "min.cleanable.dirty.ratio" => {
                self.min_cleanable_dirty_ratio = *value;
            }
            Value::List(policies) if name == "cleanup.policy" => {
                let has = |policy: &str| policies.iter().any(|element| element == policy);
                self.cleanup = Cleanup { delete: has("delete"), compact: has("compact") };
            }
            Value::Text(text) => self.set_text(name, text),
            // The rest is listed and described, and nothing goes by it.
            _ => {}
        }
    }

    fn set_number(&mut self, name: &str, number: i64) {
        let unsigned = u64::try_from(number);
        let bytes = unsigned.unwrap_or(0);
        let level = i32::try_from(number).unwrap_or(0);
        match name {
            "compression.gzip.level" => self.compression_gzip_level = level,
            "compression.lz4.level" => self.compression_lz4_level = level,
            "compression.zstd.level" => self.compression_zstd_level = level,
            "delete.retention.ms" => self.delete_retention_ms = number,
            "file.delete.delay.ms" => self.file_delete_delay_ms = number,
            "flush.messages" => self.flush_messages = number,
            "index.interval.bytes" => self.index_interval_bytes = bytes,
            "max.compaction.lag.ms" => self.max_compaction_lag_ms = number,
            "max.decompressed.message.bytes" => self.max_decompressed_message_bytes = bytes,
            "max.message.bytes" => self.max_message_bytes = bytes,
            "message.timestamp.after.max.ms" => self.timestamp_after_max_ms = number,
            "message.timestamp.before.max.ms" => self.timestamp_before_max_ms = number,
            "min.compaction.lag.ms" => self.min_compaction_lag_ms = number,
            "min.insync.replicas" => self.min_insync_replicas = usize::try_from(number).unwrap_or(1),
            "retention.bytes" => self.retention_bytes = unsigned.ok(),
            "retention.ms" => self.retention_ms = unsigned.is_ok().then_some(number),
            "segment.bytes" => self.segment_bytes = bytes,
            "segment.index.bytes" => self.segment_index_bytes = bytes,
            "segment.jitter.ms" => self.segment_jitter_ms = number,
            "segment.ms" => self.segment_ms = number,
            _ => {}
        }
    }

    fn set_text(&mut self, name: &str, text: &str) {
        match (name, text) {
            ("compression.type", text) => {
                self.compression = match text {
                    "uncompressed" => Compression::Uncompressed,
                    "gzip" => Compression::Gzip,
                    "snappy" => Compression::Snappy,
                    "lz4" => Compression::Lz4,
                    "zstd" => Compression::Zstd,
                    _ => Compression::Producer,
                };
            }
            ("bourn.durability", "buffered") => self.durability = Durability::Buffered,
            ("bourn.durability", _) => self.durability = Durability::Synced,
            ("message.timestamp.type", "LogAppendTime") => self.timestamp_type = TimestampType::LogAppendTime,
            ("message.timestamp.type", _) => self.timestamp_type = TimestampType::CreateTime,
            _ => {}
        }
    }
}

/// Whether a topic could have these configs, each by itself and all together.
pub fn check_topic_configs<'a>(
    own: impl IntoIterator<Item = (&'a str, &'a str)>,
    defaults: &TopicConfig,
) -> Result<(), ConfigError> {
    let mut config = defaults.clone();
    for (name, text) in own {
        let definition = find(Scope::Topic, name).ok_or_else(|| ConfigError::unknown(Scope::Topic, name))?;
        let value = definition.parse(text)?;
        if name == "remote.storage.enable" && value == Value::Boolean(true) {
            return Err(ConfigError::Conflict {
                name: "remote.storage.enable",
                other: "remote.log.storage.system.enable",
                why: "tiered storage is not enabled in this cluster".to_owned(),
            });
        }
        config.set(name, &value);
    }
    if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
        let (name, other) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
        let why = format!("{} is more than {}", config.min_compaction_lag_ms, config.max_compaction_lag_ms);
        return Err(ConfigError::Conflict { name, other, why });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::Str;

    use super::super::StaticConfig;
    use super::*;

    fn configs(pairs: &[(&str, &str)]) -> Configs {
        pairs.iter().map(|(name, value)| (Str::from(*name), Str::from(*value))).collect()
    }

    #[test]
    fn defaults_are_those_of_kafka_and_synced() {
        let statics = StaticConfig::new();
        let config = TopicConfig::defaults(&Layers::of_statics(&statics));
        let expected = TopicConfig {
            cleanup: Cleanup { delete: true, compact: false },
            compression: Compression::Producer,
            compression_gzip_level: -1,
            compression_lz4_level: 9,
            compression_zstd_level: 3,
            delete_retention_ms: 86_400_000,
            durability: Durability::Synced,
            file_delete_delay_ms: 60_000,
            flush_messages: i64::MAX,
            index_interval_bytes: 4096,
            max_compaction_lag_ms: i64::MAX,
            max_decompressed_message_bytes: 2_147_483_639,
            max_message_bytes: 1_048_588,
            timestamp_after_max_ms: 3_600_000,
            timestamp_before_max_ms: i64::MAX,
            timestamp_type: TimestampType::CreateTime,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            min_insync_replicas: 1,
            preallocate: false,
            retention_bytes: None,
            retention_ms: Some(604_800_000),
            segment_bytes: 1 << 30,
            segment_index_bytes: 10 << 20,
            segment_jitter_ms: 0,
            segment_ms: 604_800_000,
            unclean_leader_election: false,
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn own_configs_count_over_those_of_the_broker() {
        let mut statics = StaticConfig::new();
        statics.set("log.retention.hours", "1");
        statics.set("message.max.bytes", "2000");
        statics.set("bourn.durability", "buffered");
        let defaults = TopicConfig::defaults(&Layers::of_statics(&statics));
        assert_eq!(defaults.retention_ms, Some(3_600_000));
        assert_eq!(defaults.durability, Durability::Buffered);
        let own = configs(&[
            ("retention.ms", "-1"),
            ("retention.bytes", "5000"),
            ("cleanup.policy", "compact"),
            ("compression.type", "zstd"),
            ("bourn.durability", "synced"),
            ("message.timestamp.type", "LogAppendTime"),
            ("min.insync.replicas", "2"),
            ("segment.bytes", "not valid any more"),
        ]);
        let config = defaults.with_overrides(Some(&own));
        assert_eq!((config.retention_ms, config.retention_bytes), (None, Some(5000)));
        assert_eq!(config.cleanup, Cleanup { delete: false, compact: true });
        assert_eq!(config.compression, Compression::Zstd);
        assert_eq!(config.durability, Durability::Synced);
        assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!((config.min_insync_replicas, config.max_message_bytes), (2, 2000));
        assert_eq!(config.segment_bytes, defaults.segment_bytes);
        assert_eq!(defaults.with_overrides(None), defaults);
    }

    #[test]
    fn configs_that_a_topic_cannot_have_are_named() {
        let statics = StaticConfig::new();
        let defaults = TopicConfig::defaults(&Layers::of_statics(&statics));
        for (own, error) in [
            (&[("retention.ms", "1")][..], ""),
            (
                &[("retention.hours", "1")],
                "retention.hours is not a topic config; did you mean retention.ms?",
            ),
            (
                &[("message.format.version", "2.8")],
                "message.format.version is no longer a config: records are always in the current format",
            ),
            (&[("segment.bytes", "100")], "segment.bytes: 100 is below the minimum 1048576"),
            (
                &[("min.compaction.lag.ms", "9"), ("max.compaction.lag.ms", "5")],
                "min.compaction.lag.ms and max.compaction.lag.ms contradict each other: 9 is more than 5",
            ),
            (
                &[("remote.storage.enable", "true")],
                "remote.storage.enable and remote.log.storage.system.enable contradict each other: tiered storage is \
                 not enabled in this cluster",
            ),
        ] {
            let found = check_topic_configs(own.iter().copied(), &defaults);
            assert_eq!(found.map_err(|error| error.to_string()).err().unwrap_or_default(), error);
        }
    }
}
