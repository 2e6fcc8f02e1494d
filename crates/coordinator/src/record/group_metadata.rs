//! [`GroupMetadata`]: a generation of a classic group.

use bytes::Bytes;
use protocol::Str;
use protocol::wire::{Error, Reader, Writer};

use super::{bytes, nullable_string, string, version};

/// What Kafka writes, from 2.3 to 4.4.
const CURRENT: i16 = 3;
const NEWEST: i16 = 4;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupMetadata {
    /// Empty: nobody has joined yet.
    pub protocol_type: Str,
    pub generation: i32,
    pub protocol: Option<Str>,
    pub leader: Option<Str>,
    /// When the group came into the state that it is in; -1 in records of old brokers.
    pub state_timestamp: i64,
    pub members: Vec<MemberMetadata>,
}

#[derive(Default, Clone, Debug, PartialEq)]
pub(crate) struct MemberMetadata {
    pub member_id: Str,
    pub instance_id: Option<Str>,
    pub client_id: Str,
    pub client_host: Str,
    /// -1 in records of old brokers.
    pub rebalance_timeout_ms: i32,
    pub session_timeout_ms: i32,
    pub subscription: Bytes,
    pub assignment: Bytes,
}

impl GroupMetadata {
    pub(super) fn decode(value: &Bytes) -> Result<Self, Error> {
        let value = Bytes::copy_from_slice(value);
        let mut r = Reader::new(&value);
        let version = version(&mut r, "GroupMetadataValue", NEWEST)?;
        let flexible = version >= 4;
        let mut this = Self {
            protocol_type: string(&mut r, flexible, "protocolType")?,
            generation: r.i32()?,
            protocol: nullable_string(&mut r, flexible, "protocol")?,
            leader: nullable_string(&mut r, flexible, "leader")?,
            state_timestamp: if version >= 2 { r.i64()? } else { -1 },
            members: Vec::new(),
        };
        r.array(flexible, 10, "members", &mut this.members, |r, member| {
            *member = MemberMetadata::decode(r, version)?;
            Ok(())
        })?;
        if flexible {
            r.skip_tags()?;
        }
        Ok(this)
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.i16(CURRENT);
        w.string(false, "protocolType", &self.protocol_type);
        w.i32(self.generation);
        w.nullable_string(false, true, "protocol", self.protocol.as_ref());
        w.nullable_string(false, true, "leader", self.leader.as_ref());
        w.i64(self.state_timestamp);
        w.array(false, &self.members, |w, member| member.encode(w));
    }
}

impl MemberMetadata {
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let flexible = version >= 4;
        let this = Self {
            member_id: string(r, flexible, "memberId")?,
            instance_id: if version >= 3 { nullable_string(r, flexible, "groupInstanceId")? } else { None },
            client_id: string(r, flexible, "clientId")?,
            client_host: string(r, flexible, "clientHost")?,
            rebalance_timeout_ms: if version >= 1 { r.i32()? } else { -1 },
            session_timeout_ms: r.i32()?,
            subscription: bytes(r, flexible, "subscription")?,
            assignment: bytes(r, flexible, "assignment")?,
        };
        if flexible {
            r.skip_tags()?;
        }
        Ok(this)
    }

    fn encode(&self, w: &mut Writer) {
        w.string(false, "memberId", &self.member_id);
        w.nullable_string(false, true, "groupInstanceId", self.instance_id.as_ref());
        w.string(false, "clientId", &self.client_id);
        w.string(false, "clientHost", &self.client_host);
        w.i32(self.rebalance_timeout_ms);
        w.i32(self.session_timeout_ms);
        w.bytes(false, &self.subscription);
        w.bytes(false, &self.assignment);
    }
}
