//! What a topic's configs mean on this broker: the broker's own values under those of the topic, as the log and the
//! check of batches want them.

use std::sync::Arc;

use metadata::Image;
use metadata::config::{
    self, BrokerConfig, Compression, Durability, Layers, StaticConfig, TimestampType, TopicConfig,
};
use metadata::image::Topic;
use metadata::record::ConfigResource;
use protocol::NodeId;
use protocol::records::{self, Codec, Rules};
use storage::{CleanupPolicy, LogConfig, TimestampSource};

use crate::metadata_view::TopicSettings;

/// Where settings come from; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct SettingsSource {
    statics: Arc<StaticConfig>,
    node_id: NodeId,
}

impl SettingsSource {
    pub(crate) fn new(statics: Arc<StaticConfig>, node_id: NodeId) -> Self {
        Self { statics, node_id }
    }

    pub(crate) fn statics(&self) -> &StaticConfig {
        &self.statics
    }

    /// What the broker that was started with `started` goes by now.
    pub(crate) fn of_broker(&self, image: &Image, started: &BrokerConfig) -> BrokerConfig {
        started.resolve(&self.statics, image, self.node_id)
    }

    /// What a topic goes by, `defaults` being what one without configs does.
    pub(crate) fn of(defaults: &TopicConfig, image: &Image, topic: &Topic) -> TopicSettings {
        let config = defaults.with_overrides(image.configs_of(&ConfigResource::topic(topic.name().clone())));
        TopicSettings { log: Arc::new(log_config(&config)), rules: rules(&config) }
    }

    pub(crate) fn layers_of_topic<'a>(&'a self, image: &'a Image, name: &protocol::Str) -> Layers<'a> {
        Layers::of_topic(image, &self.statics, self.node_id, name)
    }

    pub(crate) fn layers_of_resource<'a>(
        &'a self,
        image: &'a Image,
        resource: &ConfigResource,
    ) -> Layers<'a> {
        Layers::of_resource(image, &self.statics, self.node_id, resource)
    }

    pub(crate) fn layers_of_broker<'a>(&'a self, image: &'a Image) -> Layers<'a> {
        Layers::of_broker(image, &self.statics, self.node_id)
    }
}

fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: config.cleanup.delete, compact: config.cleanup.compact },
        segment_bytes: narrow(config.segment_bytes),
        segment_ms: positive(config.segment_ms),
        segment_jitter_ms: positive(config.segment_jitter_ms),
        segment_index_bytes: narrow(config.segment_index_bytes),
        preallocate: config.preallocate,
        index_interval_bytes: narrow(config.index_interval_bytes),
        retention_ms: config.retention_ms.map(positive),
        retention_bytes: config.retention_bytes,
        max_message_bytes: narrow(config.max_message_bytes),
        timestamp_source: match config.timestamp_type {
            TimestampType::CreateTime => TimestampSource::CreateTime,
            TimestampType::LogAppendTime => TimestampSource::LogAppendTime,
        },
        timestamp_before_max_ms: positive(config.timestamp_before_max_ms),
        timestamp_after_max_ms: positive(config.timestamp_after_max_ms),
        delete_retention_ms: positive(config.delete_retention_ms),
        min_compaction_lag_ms: positive(config.min_compaction_lag_ms),
        max_compaction_lag_ms: positive(config.max_compaction_lag_ms),
        min_cleanable_dirty_ppm: millionths(config.min_cleanable_dirty_ratio),
        file_delete_delay_ms: positive(config.file_delete_delay_ms),
        flush_messages: positive(config.flush_messages),
        min_insync_replicas: u32::try_from(config.min_insync_replicas).unwrap_or(u32::MAX),
        durability: match config.durability {
            Durability::Synced => storage::Durability::Synced,
            Durability::Buffered => storage::Durability::Buffered,
        },
    }
}

fn rules(config: &TopicConfig) -> Rules {
    // A batch is decompressed as a whole, so the config's default, 2 GiB, would be what one client can take.
    let bound = records::Limits::default();
    let asked = usize::try_from(config.max_decompressed_message_bytes).unwrap_or(usize::MAX);
    let limits = records::Limits { decompressed_bytes_max: asked.min(bound.decompressed_bytes_max), ..bound };
    Rules {
        message_bytes_max: usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX),
        timestamp_type: match config.timestamp_type {
            TimestampType::CreateTime => records::TimestampType::CreateTime,
            TimestampType::LogAppendTime => records::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        compacted: config.cleanup.compact,
        compression: recompression(config),
        limits,
        ..Rules::default()
    }
}

fn recompression(config: &TopicConfig) -> Option<records::Compression> {
    let (codec, level) = match config.compression {
        config::Compression::Producer => return None,
        Compression::Uncompressed => (Codec::None, None),
        Compression::Gzip => (Codec::Gzip, Some(config.compression_gzip_level)),
        Compression::Snappy => (Codec::Snappy, None),
        Compression::Lz4 => (Codec::Lz4, Some(config.compression_lz4_level)),
        Compression::Zstd => (Codec::Zstd, Some(config.compression_zstd_level)),
    };
    Some(records::Compression { codec, level })
}

/// Values above the type's range mean the same as its largest.
fn narrow(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A ratio between 0 and 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn millionths(ratio: f64) -> u32 {
    (ratio.clamp(0.0, 1.0) * 1e6).round() as u32
}

/// Ranges exclude negative values; -1 never gets here.
fn positive(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
