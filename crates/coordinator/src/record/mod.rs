//! [`Record`]: a key and a value of `__consumer_offsets`, and [`Change`]: what it says.
//!
//! Owns: Kafka's formats, by the version in front of every key and value.
//!
//! Invariants:
//! * Bytes of the log never panic; what is malformed is an [`Error`].
//! * Keys of versions that are not ours (the share and streams protocols) are passed over and stay in the log.
//! * Of what is decoded only the names of groups and topics share the buffer of the record; whoever keeps them gives them
//!   one of their own.

mod consumer;
mod group_metadata;
mod offset_commit;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use protocol::wire::{Reader, VersionRange, Writer};
use protocol::{Str, wire};

pub(crate) use consumer::ConsumerChange;
pub(crate) use group_metadata::{GroupMetadata, MemberMetadata};
pub(crate) use offset_commit::OffsetCommit;

/// One record; without a value it deletes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Why a record of the log cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the key or value of a {what} record is malformed: {why}")]
    Malformed { what: &'static str, why: String },
}

/// What a record says; without a value it takes something away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Offset {
        group: Str,
        topic: Str,
        partition: i32,
        commit: Option<OffsetCommit>,
    },
    Group {
        group: Str,
        metadata: Option<GroupMetadata>,
    },
    /// Of a group of the consumer protocol.
    Consumer {
        group: Str,
        change: ConsumerChange,
    },
}

const OFFSET_COMMIT: &str = "offset commit";
const GROUP_METADATA: &str = "group metadata";

/// Keys of offsets; both versions look the same.
const OFFSET_KEYS: std::ops::RangeInclusive<i16> = 0..=1;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

impl Change {
    /// `None` when the key is of a version that is not ours.
    pub(crate) fn decode(record: &Record) -> Result<Option<Change>, Error> {
        let mut version = Reader::new(&record.key);
        match version.i16().map_err(|error| malformed("key", &error))? {
            version if OFFSET_KEYS.contains(&version) => {
                Self::decode_offset(record).map_err(|error| malformed(OFFSET_COMMIT, &error)).map(Some)
            }
            GROUP_KEY => Self::decode_group(record).map(Some),
            version if consumer::is_key(version) => consumer::decode(version, record).map(Some),
            _ => Ok(None),
        }
    }

    fn decode_offset(record: &Record) -> Result<Change, wire::Error> {
        let mut key = Reader::new(&record.key);
        key.i16()?;
        let group = string(&mut key, false, "group")?;
        let topic = string(&mut key, false, "topic")?;
        let partition = key.i32()?;
        let commit = record.value.as_ref().map(OffsetCommit::decode).transpose()?;
        Ok(Change::Offset { group, topic, partition, commit })
    }

    fn decode_group(record: &Record) -> Result<Change, Error> {
        let fail = |error: wire::Error| malformed(GROUP_METADATA, &error);
        let mut key = Reader::new(&record.key);
        key.i16().map_err(fail)?;
        let group = string(&mut key, false, "group").map_err(fail)?;
        let metadata = record.value.as_ref().map(GroupMetadata::decode).transpose().map_err(fail)?;
        if let Some(metadata) = &metadata
            && metadata.protocol.is_none()
            && !metadata.members.is_empty()
        {
            let why = format!("group {group} has members and no protocol");
            return Err(Error::Malformed { what: GROUP_METADATA, why });
        }
        Ok(Change::Group { group, metadata })
    }

    pub(crate) fn encode(&self, w: &mut Writer) -> Record {
        match self {
            Change::Offset { group, topic, partition, commit } => {
                w.i16(OFFSET_KEY);
                w.string(false, "group", group);
                w.string(false, "topic", topic);
                w.i32(*partition);
                let key = written(w);
                Record { key, value: commit.as_ref().map(|commit| encoded(w, |w| commit.encode(w))) }
            }
            Change::Group { group, metadata } => {
                w.i16(GROUP_KEY);
                w.string(false, "group", group);
                let key = written(w);
                Record { key, value: metadata.as_ref().map(|metadata| encoded(w, |w| metadata.encode(w))) }
            }
            Change::Consumer { group, change } => consumer::encode(group, change, w),
        }
    }
}

fn encoded(w: &mut Writer, write: impl FnOnce(&mut Writer)) -> Bytes {
    write(w);
    written(w)
}

/// Strings come out of decoded requests, which hold none that is too long for a record.
pub(crate) fn written(w: &mut Writer) -> Bytes {
    w.finish().and_then(wire::Frame::into_bytes).expect("what a request can hold fits into a record")
}

fn malformed(what: &'static str, why: &impl ToString) -> Error {
    Error::Malformed { what, why: why.to_string() }
}

/// The version in front of a value, when it is one of those that we know.
pub(crate) fn version(r: &mut Reader<'_>, message: &'static str, newest: i16) -> Result<i16, wire::Error> {
    let version = r.i16()?;
    let versions = VersionRange::new(0, newest);
    if versions.contains(version) {
        return Ok(version);
    }
    Err(wire::Error::UnsupportedVersion { message, version, versions })
}

pub(crate) fn string(r: &mut Reader<'_>, flexible: bool, what: &'static str) -> Result<Str, wire::Error> {
    let mut text = Str::EMPTY;
    r.string(flexible, what, &mut text)?;
    Ok(text)
}

fn nullable_string(
    r: &mut Reader<'_>,
    flexible: bool,
    what: &'static str,
) -> Result<Option<Str>, wire::Error> {
    let mut text = None;
    r.nullable_string(flexible, true, what, &mut text)?;
    Ok(text)
}

fn bytes(r: &mut Reader<'_>, flexible: bool, what: &'static str) -> Result<Bytes, wire::Error> {
    let mut bytes = Bytes::new();
    r.bytes(flexible, what, &mut bytes)?;
    Ok(bytes)
}
