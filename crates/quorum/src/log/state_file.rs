//! `quorum-state`: the raft id of this directory, its vote, what was purged, and how far the log was synced.
//!
//! Four blocks of [`BLOCK_BYTES`]. Blocks 0 and 1 take turns with the vote and the purged log id and are synced
//! before anyone relies on them; blocks 2 and 3 take turns with the committed log id and the synced end and are
//! only synced when the log is about to shrink or to stop.
//!
//! Invariants:
//! * A write never touches the newest good block of its pair, so a torn write leaves the state before it.
//! * The raft id stands in every block: who loses this file loses the identity too, and cannot vote twice.
//! * The synced end never runs ahead of the log on disk.

use std::path::{Path, PathBuf};

use bytes::{BufMut, Bytes, BytesMut};
use host::disk::BLOCK_BYTES;
use host::{FileRef, Files, OpenMode};
use openraft::vote::{RaftLeaderId, RaftVote};

use crate::codec::{Malformed, Reader, crc32c, put_log_id, take_log_id};
use crate::error::{Doing, Error};
use crate::raft::{LogId, Vote};

pub(crate) const NAME: &str = "quorum-state";

const MAGIC: &[u8; 8] = b"bournqst";
const VERSION: u16 = 1;
const KIND_DURABLE: u8 = 1;
const KIND_PROGRESS: u8 = 2;
/// Content of a block is far smaller; this bounds what a damaged length can claim.
const CONTENT_BYTES_MAX: usize = 512;
/// magic, version, kind, reserved, content length, checksum
const BLOCK_HEADER_BYTES: usize = 8 + 2 + 1 + 1 + 2 + 4;
const FILE_BYTES: usize = 4 * BLOCK_BYTES;

/// What must never be forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    pub(crate) vote: Option<Vote>,
    /// Everything up to here is gone from the log and stands in a checkpoint.
    pub(crate) purged: Option<LogId>,
}

/// What helps recovery: where to apply to, and which damage cannot come from a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) committed: Option<LogId>,
    /// Every entry before this index was synced.
    pub(crate) synced_end: u64,
}

/// One write to the file.
#[derive(Debug)]
pub(crate) struct BlockWrite {
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
}

#[derive(Debug)]
pub(crate) struct StateFile {
    pub(crate) file: FileRef,
    pub(crate) raft_id: u64,
    durable_sequence: u64,
    progress_sequence: u64,
}

#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) state_file: StateFile,
    pub(crate) durable: Durable,
    pub(crate) progress: Progress,
}

impl StateFile {
    /// Makes the file with a new raft id, durable with its name.
    pub(crate) fn create(files: &dyn Files, dir: &Path, raft_id: u64) -> Result<Loaded, Error> {
        let durable = Durable::default();
        let mut bytes = BytesMut::from(block(KIND_DURABLE, raft_id, 0, &durable_content(&durable)).as_ref());
        bytes.resize(FILE_BYTES, 0);
        files.replace(&dir.join(NAME), &bytes).doing("create the quorum state")?;
        Self::load(files, dir)
    }

    pub(crate) fn load(files: &dyn Files, dir: &Path) -> Result<Loaded, Error> {
        let path = dir.join(NAME);
        let bytes = files.read(&path, FILE_BYTES as u64).doing("read the quorum state")?;
        let mut newest: Option<(u64, u64, Durable)> = None;
        let mut progress: Option<(u64, Progress)> = None;
        let mut fault = Malformed("it is empty");
        for (number, content) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let read = if number < 2 {
                read_durable(content).map(|found| {
                    if newest.as_ref().is_none_or(|newest| newest.1 < found.1) {
                        newest = Some(found);
                    }
                })
            } else {
                // These blocks may be torn at any time: what cannot be read is not there.
                if let Ok((raft_id, sequence, found)) = read_progress(content)
                    && newest.as_ref().is_some_and(|newest| newest.0 == raft_id)
                    && progress.is_none_or(|(newest, _)| newest < sequence)
                {
                    progress = Some((sequence, found));
                }
                Ok(())
            };
            if let Err(why) = read {
                fault = why;
            }
        }
        let Some((raft_id, durable_sequence, durable)) = newest else {
            return Err(corrupt(path, fault));
        };
        let file = files.open(&path, OpenMode::WRITE).doing("open the quorum state")?;
        // A killed process may have written a vote without syncing it, or its sync has failed: then the kernel may call
        // the block clean, and would not write it unless it is written again.
        let newest = block(KIND_DURABLE, raft_id, durable_sequence, &durable_content(&durable));
        file.write_at(&[newest], durable_place(durable_sequence)).doing("write the quorum state again")?;
        file.sync().doing("sync the quorum state")?;
        let (progress_sequence, progress) = progress.unwrap_or_default();
        let state_file = Self { file, raft_id, durable_sequence, progress_sequence };
        Ok(Loaded { state_file, durable, progress })
    }

    /// The write that replaces the durable state, once it is synced.
    pub(crate) fn next_durable(&mut self, durable: &Durable) -> BlockWrite {
        self.durable_sequence += 1;
        let bytes = block(KIND_DURABLE, self.raft_id, self.durable_sequence, &durable_content(durable));
        BlockWrite { offset: durable_place(self.durable_sequence), bytes }
    }

    pub(crate) fn next_progress(&mut self, progress: &Progress) -> BlockWrite {
        self.progress_sequence += 1;
        let mut content = BytesMut::new();
        put_log_id(&mut content, progress.committed);
        content.put_u64(progress.synced_end);
        let bytes = block(KIND_PROGRESS, self.raft_id, self.progress_sequence, &content);
        BlockWrite { offset: (2 + self.progress_sequence % 2) * BLOCK_BYTES as u64, bytes }
    }
}

fn corrupt(file: PathBuf, Malformed(reason): Malformed) -> Error {
    let reason = format!("neither copy of the vote can be read: {reason}");
    Error::Corrupt { file, position: 0, reason }
}

/// The two blocks take turns.
fn durable_place(sequence: u64) -> u64 {
    (sequence % 2) * BLOCK_BYTES as u64
}

fn durable_content(durable: &Durable) -> BytesMut {
    let mut content = BytesMut::new();
    content.put_u8(u8::from(durable.vote.is_some()));
    if let Some(vote) = &durable.vote {
        content.put_u64(vote.leader_id().term);
        content.put_u64(vote.leader_id().voted_for);
        content.put_u8(u8::from(vote.is_committed()));
    }
    put_log_id(&mut content, durable.purged);
    content
}

/// One whole block.
fn block(kind: u8, raft_id: u64, sequence: u64, content: &[u8]) -> Bytes {
    let (raft_id, sequence) = (raft_id.to_be_bytes(), sequence.to_be_bytes());
    let mut out = BytesMut::with_capacity(BLOCK_BYTES);
    out.put_slice(MAGIC);
    out.put_u16(VERSION);
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u16(u16::try_from(content.len()).expect("content is bounded by its fields"));
    out.put_u32(crc32c(&[&[kind], &raft_id, &sequence, content]));
    out.put_slice(&raft_id);
    out.put_slice(&sequence);
    out.put_slice(content);
    out.resize(BLOCK_BYTES, 0);
    out.freeze()
}

/// Raft id, sequence and content of a block.
fn open_block(bytes: &[u8], kind: u8) -> Result<(u64, u64, Reader<'_>), Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Malformed("a block does not begin as it should"));
    }
    if reader.u16()? != VERSION {
        return Err(Malformed("the file has an unknown version"));
    }
    let (found, _reserved, len, crc) = (reader.u8()?, reader.u8()?, reader.u16()?, reader.u32()?);
    let len = usize::from(len);
    if found != kind || len > CONTENT_BYTES_MAX {
        return Err(Malformed("a block is not of the kind that belongs here"));
    }
    let covered = bytes.get(BLOCK_HEADER_BYTES..BLOCK_HEADER_BYTES + 16 + len);
    let covered = covered.ok_or(Malformed("a block ends too early"))?;
    if crc32c(&[&[kind], covered]) != crc {
        return Err(Malformed("the checksum of a block is wrong"));
    }
    let (raft_id, sequence) = (reader.u64()?, reader.u64()?);
    Ok((raft_id, sequence, Reader::new(reader.take(len)?)))
}

fn read_durable(bytes: &[u8]) -> Result<(u64, u64, Durable), Malformed> {
    let (raft_id, sequence, mut reader) = open_block(bytes, KIND_DURABLE)?;
    let vote = match reader.u8()? {
        0 => None,
        _ => {
            let (term, voted_for) = (reader.u64()?, reader.u64()?);
            let committed = reader.u8()? != 0;
            Some(Vote::from_leader_id(RaftLeaderId::new(term, voted_for), committed))
        }
    };
    let purged = take_log_id(&mut reader)?;
    reader.end()?;
    Ok((raft_id, sequence, Durable { vote, purged }))
}

fn read_progress(bytes: &[u8]) -> Result<(u64, u64, Progress), Malformed> {
    let (raft_id, sequence, mut reader) = open_block(bytes, KIND_PROGRESS)?;
    let committed = take_log_id(&mut reader)?;
    let progress = Progress { committed, synced_end: reader.u64()? };
    reader.end()?;
    Ok((raft_id, sequence, progress))
}
