//! What a member told of itself.

use bytes::Bytes;
use protocol::Str;
use protocol::wire::{Error, Reader, Writer};

use super::super::{bytes, nullable_string, string, version};
use super::VALUE;
use crate::consumer::{ClassicMetadata, Metadata};

/// Always written: to Kafka its absence means a classic member that says nothing of itself.
const CLASSIC_TAG: u32 = 0;
const ABSENT: u32 = 0;
const PRESENT: u32 = 1;

pub(super) fn decode(value: &Bytes) -> Result<Metadata, Error> {
    let mut r = Reader::new(value);
    version(&mut r, "ConsumerGroupMemberMetadataValue", VALUE)?;
    let mut this = Metadata {
        instance_id: detached(nullable_string(&mut r, true, "instanceId")?),
        rack_id: detached(nullable_string(&mut r, true, "rackId")?),
        client_id: string(&mut r, true, "clientId")?.detached(),
        client_host: string(&mut r, true, "clientHost")?.detached(),
        ..Metadata::default()
    };
    r.array(true, 1, "subscribedTopicNames", &mut this.topics, |r, topic| {
        *topic = string(r, true, "subscribedTopicNames")?.detached();
        Ok(())
    })?;
    this.topics.sort_unstable();
    this.topics.dedup();
    let pattern = detached(nullable_string(&mut r, true, "subscribedTopicRegex")?);
    this.pattern = pattern.filter(|pattern| !pattern.is_empty()).unwrap_or_default();
    this.rebalance_timeout_ms = r.i32()?;
    this.assignor = detached(nullable_string(&mut r, true, "serverAssignor")?);
    r.tags(|tag, r| {
        let known = tag == CLASSIC_TAG;
        if known {
            this.classic = None;
            if r.varint()? != ABSENT {
                read_classic(r, this.classic.insert(Box::default()))?;
            }
        }
        Ok(known)
    })?;
    Ok(this)
}

fn detached(text: Option<Str>) -> Option<Str> {
    text.map(|text| text.detached())
}

fn read_classic(r: &mut Reader<'_>, classic: &mut ClassicMetadata) -> Result<(), Error> {
    classic.session_timeout_ms = r.i32()?;
    r.array(true, 3, "supportedProtocols", &mut classic.protocols, |r, (name, metadata)| {
        *name = string(r, true, "name")?.detached();
        *metadata = Bytes::copy_from_slice(&bytes(r, true, "metadata")?);
        r.skip_tags()
    })?;
    r.skip_tags()
}

pub(super) fn encode(w: &mut Writer, this: &Metadata) {
    w.nullable_string(true, true, "instanceId", this.instance_id.as_ref());
    w.nullable_string(true, true, "rackId", this.rack_id.as_ref());
    w.string(true, "clientId", &this.client_id);
    w.string(true, "clientHost", &this.client_host);
    w.array(true, &this.topics, |w, topic| w.string(true, "subscribedTopicNames", topic));
    w.nullable_string(true, true, "subscribedTopicRegex", Some(&this.pattern));
    w.i32(this.rebalance_timeout_ms);
    w.nullable_string(true, true, "serverAssignor", this.assignor.as_ref());
    let mut tags = w.begin_tags();
    w.tag(&mut tags, CLASSIC_TAG, |w| match &this.classic {
        Some(classic) => {
            w.varint(PRESENT);
            write_classic(w, classic);
        }
        None => w.varint(ABSENT),
    });
    w.end_tags(tags);
}

fn write_classic(w: &mut Writer, classic: &ClassicMetadata) {
    w.i32(classic.session_timeout_ms);
    w.array(true, &classic.protocols, |w, (name, metadata)| {
        w.string(true, "name", name);
        w.bytes(true, metadata);
        w.no_tags();
    });
    w.no_tags();
}
