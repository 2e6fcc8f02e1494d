//! Walking over the batches of a `.log` file, header by header, and what can be found out and mended that way.

use std::io;
use std::path::Path;

use host::{File, FileRef, Files};
use protocol::ids::{Offset, ProducerId};
use protocol::records::{BATCH_OVERHEAD, BatchHeader, NO_TIMESTAMP};

use super::OpenFiles;
use super::index::IndexBytes;
use super::names::{FileKind, segment_file};
use super::state::{BatchFacts, SegmentState};
use crate::LogConfig;

/// One read of a walk. Headers of batches that are smaller than this come several at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// Header by header from a position on.
#[derive(Debug)]
pub struct Headers<'a> {
    file: &'a dyn File,
    position: u64,
    end: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
}

impl<'a> Headers<'a> {
    /// Walks from the batch at `position` to `end`.
    #[must_use]
    pub fn new(file: &'a dyn File, position: u64, end: u64) -> Self {
        Self { file, position, end, chunk: Vec::new(), chunk_at: 0 }
    }

    /// Where the next batch begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next batch's position and header; `None` at the end. What is not a whole batch is `InvalidData`.
    pub fn advance(&mut self) -> io::Result<Option<(u64, BatchHeader)>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let at = self.position;
        let bytes = self.bytes()?;
        let header = BatchHeader::parse(bytes).map_err(|error| invalid(format!("at byte {at}: {error}")))?;
        let size = header.size() as u64;
        if size > self.end - at {
            return Err(invalid(format!("at byte {at}: a batch of {size} bytes is cut off")));
        }
        self.position += size;
        Ok(Some((at, header)))
    }

    /// At least a header's bytes at the position, if the file has them.
    fn bytes(&mut self) -> io::Result<&[u8]> {
        let have = |chunk_at: u64, chunk: &[u8], position: u64| {
            let skip = usize::try_from(position.checked_sub(chunk_at)?).ok()?;
            (chunk.len().checked_sub(skip)? >= BATCH_OVERHEAD).then_some(skip)
        };
        let skip = match have(self.chunk_at, &self.chunk, self.position) {
            Some(skip) => skip,
            None => {
                self.chunk.resize(CHUNK_BYTES, 0);
                let got = self.file.read_at(&mut self.chunk, self.position)?;
                self.chunk.truncate(got);
                self.chunk_at = self.position;
                0
            }
        };
        Ok(self.chunk.get(skip..).unwrap_or_default())
    }
}

pub(crate) fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// The facts that logs keep of a batch. One without records has no time.
#[must_use]
pub fn facts(header: &BatchHeader) -> BatchFacts {
    let has_records = header.record_count > 0;
    BatchFacts {
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        leader_epoch: header.partition_leader_epoch,
        max_timestamp_ms: if has_records { header.max_timestamp } else { NO_TIMESTAMP },
        bytes: u32::try_from(header.size()).unwrap_or(u32::MAX),
    }
}

/// What a walk over a segment's front part has found.
#[derive(Debug)]
pub struct Scan {
    pub state: SegmentState,
    pub index: IndexBytes,
    /// Set if the walk ended early: what is wrong behind `state`.
    pub damage: Option<io::Error>,
}

/// Walks over the segment `base` in the first `bytes` of `file`, up to the first batch that does not end below
/// `end`, calling `visit` for each.
pub fn scan(
    file: &dyn File,
    base: Offset,
    bytes: u64,
    end: Offset,
    config: &LogConfig,
    mut visit: impl FnMut(u64, &BatchHeader),
) -> io::Result<Scan> {
    let state = SegmentState::new(base, 0).indexed_by(config);
    let mut scan = Scan { state, index: IndexBytes::default(), damage: None };
    let mut headers = Headers::new(file, 0, bytes);
    loop {
        let (position, header) = match headers.advance() {
            Ok(None) => return Ok(scan),
            Ok(Some(next)) => next,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                scan.damage = Some(error);
                return Ok(scan);
            }
            Err(error) => return Err(error),
        };
        if header.base_offset < scan.state.end {
            let text = format!("at byte {position}: offset {} behind {}", header.base_offset, scan.state.end);
            scan.damage = Some(invalid(text));
            return Ok(scan);
        }
        if header.last_offset() >= end {
            return Ok(scan);
        }
        visit(position, &header);
        let entries = scan.state.advance(&facts(&header));
        scan.index.push(base, entries);
    }
}

/// Writes the indexes of a closed segment anew from its batches, because they are missing or damaged. The batches are known
/// to be whole.
pub fn rebuild(
    files: &dyn Files,
    open: &OpenFiles,
    dir: &Path,
    base: Offset,
    (log, bytes): (&FileRef, u64),
    config: &LogConfig,
) -> io::Result<()> {
    let mut scan = scan(&**log, base, bytes, Offset(i64::MAX), config, |_, _| ())?;
    if let Some(damage) = scan.damage {
        // Indexes that end there would be silence about what lies behind it.
        return Err(damage);
    }
    if let Some(entry) = scan.state.closing_entry() {
        scan.index.push_time(base, entry);
    }
    for (kind, bytes) in [(FileKind::Index, &scan.index.offset), (FileKind::TimeIndex, &scan.index.time)] {
        let path = segment_file(dir, base, kind);
        open.forget(&path);
        files.replace(&path, bytes)?;
    }
    Ok(())
}

/// For walks that look at producers: the id of a batch that an idempotent producer wrote.
#[must_use]
pub fn producer_of(header: &BatchHeader) -> Option<ProducerId> {
    header.producer_id.known()
}
