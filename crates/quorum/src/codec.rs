//! Bytes of log ids and memberships, as they stand in log files and checkpoints. Big-endian throughout.
//!
//! Invariants:
//! * Every count and length is checked against the bytes that are there before anything is allocated for it.
//! * A reader refuses what it would not have written: unknown versions, bytes left over.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, BytesMut};
use crc_fast::{CrcAlgorithm, Digest};
use protocol::Uuid;

use crate::raft::{Endpoint, LogId, Member, Membership, log_id};

/// First field of an encoded membership.
const MEMBERSHIP_VERSION: u16 = 1;

/// CRC-32C over all of `parts`.
pub(crate) fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    u32::try_from(digest.finalize()).expect("the result of a 32-bit algorithm")
}

/// Why bytes cannot be what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Takes values from the front of a slice.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Malformed> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of items that follow, each of at least `item_bytes_min`.
    fn count(&mut self, item_bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.u32()? as usize;
        if count > self.0.len() / item_bytes_min {
            return Err(Malformed("a count is larger than what follows"));
        }
        Ok(count)
    }

    fn string(&mut self) -> Result<String, Malformed> {
        let len = usize::from(self.u16()?);
        let text = std::str::from_utf8(self.take(len)?).map_err(|_| Malformed("a name is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("there are bytes left over")) }
    }
}

/// Nine or seventeen bytes: whether there is one, its term and index.
pub(crate) fn put_log_id(out: &mut BytesMut, id: Option<LogId>) {
    out.put_u8(u8::from(id.is_some()));
    if let Some(id) = id {
        out.put_u64(id.leader_id.term);
        out.put_u64(id.index);
    }
}

pub(crate) fn take_log_id(reader: &mut Reader<'_>) -> Result<Option<LogId>, Malformed> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some(log_id(reader.u64()?, reader.u64()?))),
        _ => Err(Malformed("a flag is neither 0 nor 1")),
    }
}

/// Text of an endpoint, cut to what its length field can say. Names and hosts are far shorter.
fn put_string(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let bytes = bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes);
    out.put_u16(u16::try_from(bytes.len()).unwrap_or(u16::MAX));
    out.put_slice(bytes);
}

fn put_count(out: &mut BytesMut, count: usize) {
    out.put_u32(u32::try_from(count).expect("fewer than four billion members"));
}

pub(crate) fn put_membership(out: &mut BytesMut, membership: &Membership) {
    out.put_u16(MEMBERSHIP_VERSION);
    let configs = membership.get_joint_config();
    put_count(out, configs.len());
    for config in configs {
        put_count(out, config.len());
        for raft_id in config {
            out.put_u64(*raft_id);
        }
    }
    put_count(out, membership.nodes().count());
    for (raft_id, member) in membership.nodes() {
        out.put_u64(*raft_id);
        out.put_i32(member.node_id);
        out.put_slice(member.directory_id.as_bytes());
        put_count(out, member.endpoints.len());
        for endpoint in &member.endpoints {
            put_string(out, &endpoint.name);
            put_string(out, &endpoint.host);
            out.put_u16(endpoint.port);
        }
    }
}

pub(crate) fn take_membership(reader: &mut Reader<'_>) -> Result<Membership, Malformed> {
    if reader.u16()? != MEMBERSHIP_VERSION {
        return Err(Malformed("the membership has an unknown version"));
    }
    let mut configs = Vec::new();
    for _ in 0..reader.count(4)? {
        let mut config = BTreeSet::new();
        for _ in 0..reader.count(8)? {
            config.insert(reader.u64()?);
        }
        configs.push(config);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..reader.count(8 + 4 + 16 + 4)? {
        let raft_id = reader.u64()?;
        nodes.insert(raft_id, take_member(reader)?);
    }
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes)
        .map_err(|_| Malformed("the membership names a voter it does not describe"))
}

fn take_member(reader: &mut Reader<'_>) -> Result<Member, Malformed> {
    let node_id = reader.i32()?;
    let directory_id = Uuid::from_bytes(reader.array()?);
    let mut endpoints = Vec::new();
    for _ in 0..reader.count(2 + 2 + 2)? {
        let (name, host) = (reader.string()?, reader.string()?);
        endpoints.push(Endpoint { name, host, port: reader.u16()? });
    }
    Ok(Member { node_id, directory_id, endpoints })
}
