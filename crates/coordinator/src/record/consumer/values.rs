//! Epochs, assignments and what patterns stand for.

use bytes::Bytes;
use protocol::Uuid;
use protocol::wire::{Error, Reader, Writer};

use super::super::{string, version};
use super::VALUE;
use crate::consumer::{Current, GroupEpoch, MemberState, Owned, Partitions, Resolved, TargetEpoch};

const METADATA_HASH_TAG: u32 = 0;
const ASSIGNMENT_TIMESTAMP_TAG: u32 = 0;
const ASSIGNMENT_EPOCHS_TAG: u32 = 0;

pub(super) fn decode_epoch(value: &Bytes) -> Result<GroupEpoch, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupMetadataValue", VALUE)?;
    let mut this = GroupEpoch { epoch: r.i32()?, metadata_hash: 0 };
    r.tags(|tag, r| {
        let known = tag == METADATA_HASH_TAG;
        if known {
            this.metadata_hash = r.i64()?;
        }
        Ok(known)
    })?;
    Ok(this)
}

pub(super) fn encode_epoch(w: &mut Writer, this: &GroupEpoch) {
    w.i32(this.epoch);
    tag_unless_zero(w, METADATA_HASH_TAG, this.metadata_hash);
}

pub(super) fn decode_target_epoch(value: &Bytes) -> Result<TargetEpoch, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupTargetAssignmentMetadataValue", VALUE)?;
    let mut this = TargetEpoch { epoch: r.i32()?, timestamp_ms: 0 };
    r.tags(|tag, r| {
        let known = tag == ASSIGNMENT_TIMESTAMP_TAG;
        if known {
            this.timestamp_ms = r.i64()?;
        }
        Ok(known)
    })?;
    Ok(this)
}

pub(super) fn encode_target_epoch(w: &mut Writer, this: &TargetEpoch) {
    w.i32(this.epoch);
    tag_unless_zero(w, ASSIGNMENT_TIMESTAMP_TAG, this.timestamp_ms);
}

fn tag_unless_zero(w: &mut Writer, tag: u32, value: i64) {
    let mut tags = w.begin_tags();
    if value != 0 {
        w.tag(&mut tags, tag, |w| w.i64(value));
    }
    w.end_tags(tags);
}

pub(super) fn decode_target(value: &Bytes) -> Result<Partitions, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupTargetAssignmentMemberValue", VALUE)?;
    let mut topics: Vec<(Uuid, Vec<i32>)> = Vec::new();
    r.array(true, 18, "topicPartitions", &mut topics, |r, (topic, partitions)| {
        *topic = r.uuid()?;
        read_ints(r, "partitions", partitions)?;
        r.skip_tags()
    })?;
    r.skip_tags()?;
    let pairs = topics.iter().flat_map(|(topic, partitions)| partitions.iter().map(|part| (*topic, *part)));
    Ok(pairs.collect())
}

pub(super) fn encode_target(w: &mut Writer, this: &Partitions) {
    let topics: Vec<_> = this.topics().collect();
    w.array(true, &topics, |w, (topic, partitions)| {
        w.uuid(topic);
        w.array(true, partitions, |w, partition| w.i32(*partition));
        w.no_tags();
    });
    w.no_tags();
}

pub(super) fn decode_current(value: &Bytes) -> Result<Current, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupCurrentMemberAssignmentValue", VALUE)?;
    let epoch = r.i32()?;
    let this = Current {
        epoch,
        previous_epoch: r.i32()?,
        state: MemberState::from_id(r.i8()?),
        assigned: read_owned(&mut r, "assignedPartitions", epoch)?,
        revoking: read_owned(&mut r, "partitionsPendingRevocation", epoch)?,
    };
    r.skip_tags()?;
    Ok(this)
}

/// Epochs are in records since Kafka 4.3; before, every partition counts as given at the member's epoch.
fn read_owned(r: &mut Reader<'_>, what: &'static str, epoch: i32) -> Result<Owned, Error> {
    let mut topics: Vec<(Uuid, Vec<i32>, Vec<i32>)> = Vec::new();
    r.array(true, 18, what, &mut topics, |r, (topic, partitions, epochs)| {
        *topic = r.uuid()?;
        read_ints(r, what, partitions)?;
        r.tags(|tag, r| {
            let known = tag == ASSIGNMENT_EPOCHS_TAG;
            if known {
                let mut read = None;
                r.nullable_array(true, true, 4, "assignmentEpochs", &mut read, |r, epoch| {
                    *epoch = r.i32()?;
                    Ok(())
                })?;
                *epochs = read.unwrap_or_default();
            }
            Ok(known)
        })
    })?;
    let default = epoch.max(0);
    let triples = topics.iter().flat_map(|(topic, partitions, epochs)| {
        let epochs = epochs.iter().copied().filter(|_| epochs.len() == partitions.len());
        let epochs = epochs.chain(std::iter::repeat(default));
        partitions.iter().zip(epochs).map(|(partition, epoch)| (*topic, *partition, epoch))
    });
    Ok(triples.collect())
}

pub(super) fn encode_current(w: &mut Writer, this: &Current) {
    w.i32(this.epoch);
    w.i32(this.previous_epoch);
    w.i8(this.state.id());
    write_owned(w, &this.assigned);
    write_owned(w, &this.revoking);
    w.no_tags();
}

fn write_owned(w: &mut Writer, this: &Owned) {
    let topics: Vec<_> = this.topics().collect();
    w.array(true, &topics, |w, (topic, partitions)| {
        w.uuid(topic);
        w.array(true, partitions, |w, (partition, _)| w.i32(*partition));
        let mut tags = w.begin_tags();
        w.tag(&mut tags, ASSIGNMENT_EPOCHS_TAG, |w| {
            w.array(true, partitions, |w, (_, epoch)| w.i32(*epoch));
        });
        w.end_tags(tags);
    });
}

pub(super) fn decode_resolved(value: &Bytes) -> Result<Resolved, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupRegularExpressionValue", VALUE)?;
    let mut topics = Vec::new();
    r.array(true, 1, "topics", &mut topics, |r, topic| {
        *topic = string(r, true, "topics")?.detached();
        Ok(())
    })?;
    topics.sort_unstable();
    topics.dedup();
    let this = Resolved { topics, version: r.i64()?, timestamp_ms: r.i64()? };
    r.skip_tags()?;
    Ok(this)
}

pub(super) fn encode_resolved(w: &mut Writer, this: &Resolved) {
    w.array(true, &this.topics, |w, topic| w.string(true, "topics", topic));
    w.i64(this.version);
    w.i64(this.timestamp_ms);
    w.no_tags();
}

pub(super) fn encode_nothing(w: &mut Writer) {
    w.array(true, &[(); 0], |_, ()| ());
    w.no_tags();
}

fn read_ints(r: &mut Reader<'_>, what: &'static str, out: &mut Vec<i32>) -> Result<(), Error> {
    r.array(true, 4, what, out, |r, int| {
        *int = r.i32()?;
        Ok(())
    })
}
