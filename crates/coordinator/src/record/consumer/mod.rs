//! Records of consumer groups (KIP-848): seven kinds of keys, each with values of one version.

mod member;
#[cfg(test)]
mod tests;
mod values;

use bytes::Bytes;
use protocol::Str;
use protocol::wire::{self, Reader, Writer};

use super::{Change, Error, Record, encoded, malformed, string, written};
use crate::consumer::{Current, GroupEpoch, Metadata, Partitions, Resolved, TargetEpoch};

/// What a record says of a consumer group; without a value it takes something away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ConsumerChange {
    Epoch(Option<GroupEpoch>),
    /// What Kafka kept here before 4.1 is in the epoch's record now, as a hash. Only that there is one matters: it is to go.
    SubscriptionMetadata {
        is_there: bool,
    },
    Member {
        member: Str,
        metadata: Option<Metadata>,
    },
    TargetEpoch(Option<TargetEpoch>),
    Target {
        member: Str,
        partitions: Option<Partitions>,
    },
    Current {
        member: Str,
        current: Option<Current>,
    },
    Pattern {
        pattern: Str,
        resolved: Option<Resolved>,
    },
}

impl ConsumerChange {
    /// It says that something is gone.
    pub(crate) fn is_tombstone(&self) -> bool {
        match self {
            ConsumerChange::Epoch(epoch) => epoch.is_none(),
            ConsumerChange::SubscriptionMetadata { is_there } => !is_there,
            ConsumerChange::Member { metadata, .. } => metadata.is_none(),
            ConsumerChange::TargetEpoch(epoch) => epoch.is_none(),
            ConsumerChange::Target { partitions, .. } => partitions.is_none(),
            ConsumerChange::Current { current, .. } => current.is_none(),
            ConsumerChange::Pattern { resolved, .. } => resolved.is_none(),
        }
    }
}

const EPOCH_KEY: i16 = 3;
const SUBSCRIPTION_METADATA_KEY: i16 = 4;
const MEMBER_KEY: i16 = 5;
const TARGET_EPOCH_KEY: i16 = 6;
const TARGET_KEY: i16 = 7;
const CURRENT_KEY: i16 = 8;
const PATTERN_KEY: i16 = 16;

/// The version of all values.
const VALUE: i16 = 0;

pub(super) fn is_key(version: i16) -> bool {
    matches!(version, EPOCH_KEY..=CURRENT_KEY | PATTERN_KEY)
}

fn name(version: i16) -> &'static str {
    match version {
        EPOCH_KEY => "consumer group epoch",
        SUBSCRIPTION_METADATA_KEY => "consumer group subscription",
        MEMBER_KEY => "consumer group member",
        TARGET_EPOCH_KEY => "consumer group target epoch",
        TARGET_KEY => "consumer group target",
        CURRENT_KEY => "consumer group assignment",
        _ => "consumer group pattern",
    }
}

pub(super) fn decode(version: i16, record: &Record) -> Result<Change, Error> {
    let decoded = decode_change(version, record);
    let (group, change) = decoded.map_err(|error| malformed(name(version), &error))?;
    Ok(Change::Consumer { group, change })
}

fn decode_change(version: i16, record: &Record) -> Result<(Str, ConsumerChange), wire::Error> {
    let mut key = Reader::new(&record.key);
    key.i16()?;
    let group = string(&mut key, false, "group")?;
    // What is kept of a key or a value shares no buffer with it.
    let mut second = |what| string(&mut key, false, what).map(|text| text.detached());
    let value = record.value.as_ref();
    let change = match version {
        EPOCH_KEY => ConsumerChange::Epoch(value.map(values::decode_epoch).transpose()?),
        SUBSCRIPTION_METADATA_KEY => ConsumerChange::SubscriptionMetadata { is_there: value.is_some() },
        MEMBER_KEY => ConsumerChange::Member {
            member: second("memberId")?,
            metadata: value.map(member::decode).transpose()?,
        },
        TARGET_EPOCH_KEY => ConsumerChange::TargetEpoch(value.map(values::decode_target_epoch).transpose()?),
        TARGET_KEY => ConsumerChange::Target {
            member: second("memberId")?,
            partitions: value.map(values::decode_target).transpose()?,
        },
        CURRENT_KEY => ConsumerChange::Current {
            member: second("memberId")?,
            current: value.map(values::decode_current).transpose()?,
        },
        _ => ConsumerChange::Pattern {
            pattern: second("regularExpression")?,
            resolved: value.map(values::decode_resolved).transpose()?,
        },
    };
    Ok((group, change))
}

pub(super) fn encode(group: &Str, change: &ConsumerChange, w: &mut Writer) -> Record {
    match change {
        ConsumerChange::Epoch(epoch) => {
            let key = key(w, EPOCH_KEY, group, None);
            record(w, key, epoch.as_ref(), values::encode_epoch)
        }
        ConsumerChange::SubscriptionMetadata { is_there } => {
            let key = key(w, SUBSCRIPTION_METADATA_KEY, group, None);
            // A list of no topics: ours are never written, but what was read can be.
            record(w, key, is_there.then_some(&()), |w, ()| values::encode_nothing(w))
        }
        ConsumerChange::Member { member, metadata } => {
            let key = key(w, MEMBER_KEY, group, Some(member));
            record(w, key, metadata.as_ref(), member::encode)
        }
        ConsumerChange::TargetEpoch(epoch) => {
            let key = key(w, TARGET_EPOCH_KEY, group, None);
            record(w, key, epoch.as_ref(), values::encode_target_epoch)
        }
        ConsumerChange::Target { member, partitions } => {
            let key = key(w, TARGET_KEY, group, Some(member));
            record(w, key, partitions.as_ref(), values::encode_target)
        }
        ConsumerChange::Current { member, current } => {
            let key = key(w, CURRENT_KEY, group, Some(member));
            record(w, key, current.as_ref(), values::encode_current)
        }
        ConsumerChange::Pattern { pattern, resolved } => {
            let key = key(w, PATTERN_KEY, group, Some(pattern));
            record(w, key, resolved.as_ref(), values::encode_resolved)
        }
    }
}

fn key(w: &mut Writer, version: i16, group: &Str, second: Option<&Str>) -> Bytes {
    w.i16(version);
    w.string(false, "group", group);
    if let Some(second) = second {
        w.string(false, "member", second);
    }
    written(w)
}

fn record<T>(w: &mut Writer, key: Bytes, value: Option<&T>, encode: impl FnOnce(&mut Writer, &T)) -> Record {
    let value = value.map(|value| {
        encoded(w, |w| {
            w.i16(VALUE);
            encode(w, value);
        })
    });
    Record { key, value }
}
