//! [`OffsetCommit`]: what was committed for one partition.

use bytes::Bytes;
use protocol::wire::{Error, Reader, Writer};
use protocol::{Str, Uuid};

use super::{string, version};

/// `expireTimestamp` is in this version only.
const WITH_EXPIRY: i16 = 1;
/// What Kafka writes since 4.1: the first with tagged fields, and with the topic's id in one.
const CURRENT: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OffsetCommit {
    pub offset: i64,
    /// -1: unknown.
    pub leader_epoch: i32,
    pub metadata: Str,
    pub commit_timestamp: i64,
    /// What old clients asked for with a retention time of their own; -1: nothing.
    pub expire_timestamp: i64,
    /// Zero: unknown.
    pub topic_id: Uuid,
}

impl OffsetCommit {
    pub(super) fn decode(value: &Bytes) -> Result<Self, Error> {
        let mut r = Reader::new(value);
        let version = version(&mut r, "OffsetCommitValue", CURRENT)?;
        let flexible = version >= 4;
        let mut this = Self {
            offset: r.i64()?,
            leader_epoch: if version >= 3 { r.i32()? } else { -1 },
            metadata: detached(&string(&mut r, flexible, "metadata")?),
            commit_timestamp: r.i64()?,
            expire_timestamp: if version == WITH_EXPIRY { r.i64()? } else { -1 },
            topic_id: Uuid::ZERO,
        };
        if flexible {
            r.tags(|tag, r| {
                let known = tag == TOPIC_ID_TAG;
                if known {
                    this.topic_id = r.uuid()?;
                }
                Ok(known)
            })?;
        }
        Ok(this)
    }

    /// As Kafka: the old version where only that can say when the commit expires.
    pub(super) fn encode(&self, w: &mut Writer) {
        let expires = self.expire_timestamp != -1;
        let version = if expires { WITH_EXPIRY } else { CURRENT };
        w.i16(version);
        w.i64(self.offset);
        if !expires {
            w.i32(self.leader_epoch);
        }
        w.string(!expires, "metadata", &self.metadata);
        w.i64(self.commit_timestamp);
        if expires {
            w.i64(self.expire_timestamp);
            return;
        }
        let mut tags = w.begin_tags();
        if !self.topic_id.is_zero() {
            w.tag(&mut tags, TOPIC_ID_TAG, |w| w.uuid(&self.topic_id));
        }
        w.end_tags(tags);
    }
}

/// Most metadata is empty, and empty text needs no buffer.
fn detached(text: &Str) -> Str {
    if text.is_empty() { Str::EMPTY } else { text.detached() }
}
