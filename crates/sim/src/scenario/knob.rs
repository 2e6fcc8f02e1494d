//! [`Knob`]: a config of a topic that is changed while the topic is written and read.

use protocol::Str;

use crate::dice::Dice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knob {
    RetentionMs,
    RetentionBytes,
    SegmentMs,
    SegmentBytes,
    CleanupPolicy,
    MinInsyncReplicas,
    Durability,
    CompressionType,
    TimestampType,
    MaxMessageBytes,
}

impl Knob {
    pub(crate) const ALL: [Self; 10] = [
        Self::RetentionMs,
        Self::RetentionBytes,
        Self::SegmentMs,
        Self::SegmentBytes,
        Self::CleanupPolicy,
        Self::MinInsyncReplicas,
        Self::Durability,
        Self::CompressionType,
        Self::TimestampType,
        Self::MaxMessageBytes,
    ];

    pub(crate) fn name(self) -> Str {
        Str::from(match self {
            Self::RetentionMs => "retention.ms",
            Self::RetentionBytes => "retention.bytes",
            Self::SegmentMs => "segment.ms",
            Self::SegmentBytes => "segment.bytes",
            Self::CleanupPolicy => "cleanup.policy",
            Self::MinInsyncReplicas => "min.insync.replicas",
            Self::Durability => "bourn.durability",
            Self::CompressionType => "compression.type",
            Self::TimestampType => "message.timestamp.type",
            Self::MaxMessageBytes => "max.message.bytes",
        })
    }

    /// Whether some values stop those who write.
    pub(crate) fn may_stop_writers(self) -> bool {
        matches!(self, Self::MinInsyncReplicas | Self::MaxMessageBytes)
    }

    /// Another value, `None` being the default.
    pub(crate) fn turn(self, dice: &Dice) -> Option<Str> {
        if dice.chance(20) {
            return None;
        }
        Some(Str::from(match self {
            Self::RetentionMs => dice.pick(&[-1, 1, 500, 5000]).to_string(),
            Self::RetentionBytes => dice.pick(&[-1, 1000, 50_000, 500_000]).to_string(),
            Self::SegmentMs => dice.pick(&[100, 1000, 600_000]).to_string(),
            // The least that may be configured, and twice that.
            Self::SegmentBytes => dice.pick(&[1_u32 << 20, 2 << 20]).to_string(),
            Self::CleanupPolicy => dice.pick(&["delete", "compact", "compact,delete"]).to_owned(),
            // There is one replica.
            Self::MinInsyncReplicas => dice.pick(&[1, 1, 2]).to_string(),
            Self::Durability => dice.pick(&["synced", "buffered"]).to_owned(),
            Self::CompressionType => {
                dice.pick(&["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"]).to_owned()
            }
            Self::TimestampType => dice.pick(&["CreateTime", "LogAppendTime"]).to_owned(),
            Self::MaxMessageBytes => dice.pick(&[1000, 5000, 1_048_588]).to_string(),
        }))
    }
}
