//! Which broker configs are the defaults of a topic or group config.
//!
//! Invariant: the first one that is set counts; its value times the factor is the value here.

use crate::config::{Definition, Scope};

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Names of broker configs, each with what its unit is in the unit of the config it stands in for.
type Synonyms = &'static [(&'static str, i64)];

const TOPIC: &[(&str, Synonyms)] = &[
    ("bourn.durability", &[("bourn.durability", 1)]),
    ("cleanup.policy", &[("log.cleanup.policy", 1)]),
    ("compression.gzip.level", &[("compression.gzip.level", 1)]),
    ("compression.lz4.level", &[("compression.lz4.level", 1)]),
    ("compression.type", &[("compression.type", 1)]),
    ("compression.zstd.level", &[("compression.zstd.level", 1)]),
    ("delete.retention.ms", &[("log.cleaner.delete.retention.ms", 1)]),
    ("file.delete.delay.ms", &[("log.segment.delete.delay.ms", 1)]),
    ("flush.messages", &[("log.flush.interval.messages", 1)]),
    ("flush.ms", &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    ("index.interval.bytes", &[("log.index.interval.bytes", 1)]),
    ("local.retention.bytes", &[("log.local.retention.bytes", 1)]),
    ("local.retention.ms", &[("log.local.retention.ms", 1)]),
    ("max.compaction.lag.ms", &[("log.cleaner.max.compaction.lag.ms", 1)]),
    ("max.decompressed.message.bytes", &[("max.decompressed.message.bytes", 1)]),
    ("max.message.bytes", &[("message.max.bytes", 1)]),
    ("message.timestamp.after.max.ms", &[("log.message.timestamp.after.max.ms", 1)]),
    ("message.timestamp.before.max.ms", &[("log.message.timestamp.before.max.ms", 1)]),
    ("message.timestamp.type", &[("log.message.timestamp.type", 1)]),
    ("min.cleanable.dirty.ratio", &[("log.cleaner.min.cleanable.ratio", 1)]),
    ("min.compaction.lag.ms", &[("log.cleaner.min.compaction.lag.ms", 1)]),
    ("min.insync.replicas", &[("min.insync.replicas", 1)]),
    ("preallocate", &[("log.preallocate", 1)]),
    ("remote.copy.lag.bytes", &[("log.remote.copy.lag.bytes", 1)]),
    ("remote.copy.lag.ms", &[("log.remote.copy.lag.ms", 1)]),
    ("retention.bytes", &[("log.retention.bytes", 1)]),
    (
        "retention.ms",
        &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)],
    ),
    ("segment.bytes", &[("log.segment.bytes", 1)]),
    ("segment.index.bytes", &[("log.index.size.max.bytes", 1)]),
    ("segment.jitter.ms", &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
    ("segment.ms", &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    ("unclean.leader.election.enable", &[("unclean.leader.election.enable", 1)]),
];

const GROUP: &[(&str, Synonyms)] = &[
    ("consumer.assignment.interval.ms", &[("group.consumer.assignment.interval.ms", 1)]),
    ("consumer.heartbeat.interval.ms", &[("group.consumer.heartbeat.interval.ms", 1)]),
    ("consumer.session.timeout.ms", &[("group.consumer.session.timeout.ms", 1)]),
    ("share.assignment.interval.ms", &[("group.share.assignment.interval.ms", 1)]),
    ("share.delivery.count.limit", &[("group.share.delivery.count.limit", 1)]),
    ("share.heartbeat.interval.ms", &[("group.share.heartbeat.interval.ms", 1)]),
    ("share.partition.max.record.locks", &[("group.share.partition.max.record.locks", 1)]),
    ("share.record.lock.duration.ms", &[("group.share.record.lock.duration.ms", 1)]),
    ("share.session.timeout.ms", &[("group.share.session.timeout.ms", 1)]),
    ("streams.assignment.interval.ms", &[("group.streams.assignment.interval.ms", 1)]),
    ("streams.assignor.name", &[("group.streams.assignors", 1)]),
    ("streams.heartbeat.interval.ms", &[("group.streams.heartbeat.interval.ms", 1)]),
    ("streams.initial.rebalance.delay.ms", &[("group.streams.initial.rebalance.delay.ms", 1)]),
    ("streams.num.standby.replicas", &[("group.streams.num.standby.replicas", 1)]),
    ("streams.rack.aware.assignment.tags", &[("group.streams.rack.aware.assignment.tags", 1)]),
    ("streams.session.timeout.ms", &[("group.streams.session.timeout.ms", 1)]),
];

/// Broker configs that may be set in more than one unit.
const BROKER: &[Synonyms] = &[
    &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)],
    &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)],
    &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)],
    &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)],
];

/// The broker configs that give `definition` its value when it has none of its own, in order. Those of a broker
/// config begin with itself or with what counts before it.
pub fn broker_synonyms(definition: &Definition) -> Synonyms {
    let of = |table: &[(&str, Synonyms)]| {
        table.iter().find(|(name, _)| *name == definition.name).map_or(&[][..], |(_, synonyms)| *synonyms)
    };
    match definition.scope {
        Scope::Topic => of(TOPIC),
        Scope::Group => of(GROUP),
        Scope::ClientMetrics => &[],
        Scope::Broker => BROKER
            .iter()
            .find(|synonyms| synonyms.iter().any(|(name, _)| *name == definition.name))
            .map_or(&[][..], |synonyms| *synonyms),
    }
}
