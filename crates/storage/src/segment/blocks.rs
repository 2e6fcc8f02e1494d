//! Writes to a segment: whole blocks past the page cache, what is left of them at both ends through it.
//!
//! Invariants: no block is written both ways, so that neither way has to wait for the other. A write past the page cache
//! has at most [`WRITE_BYTES_MAX`].

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use host::Files;
use host::disk::BLOCK_BYTES;

use super::OpenFiles;
use crate::log::WRITE_BYTES_MAX;

/// The last border of a block at or before `position`.
pub(crate) fn block_below(position: u64) -> u64 {
    position - position % BLOCK_BYTES as u64
}

/// What goes past the page cache of a write of so many bytes: its whole blocks, if there are `direct_bytes_min` at least. Fewer are
/// cheaper to write through it, where they wait for no disk.
pub(crate) fn direct_part(position: u64, bytes: u64, direct_bytes_min: u64) -> Option<Range<u64>> {
    let (from, to) = (position.next_multiple_of(BLOCK_BYTES as u64), block_below(position + bytes));
    (from < to && to - from >= direct_bytes_min).then_some(from..to)
}

/// Writes `pieces`, one behind the other, to the file at `path` from `position` on.
pub(crate) fn write_blocks(
    files: &dyn Files,
    open: &OpenFiles,
    path: &Path,
    (pieces, position): (&[Bytes], u64),
    direct_bytes_min: u64,
) -> io::Result<()> {
    let bytes = pieces.iter().map(|piece| piece.len() as u64).sum();
    let direct = match direct_part(position, bytes, direct_bytes_min) {
        Some(part) => Some((open.get_direct(files, path)?, part)),
        None => None,
    };
    let Some((direct, Range { start: from, end: to })) = direct.filter(|(file, _)| file.is_direct()) else {
        return open.get(files, path)?.write_at(pieces, position);
    };
    let mut rest = Rest(pieces.iter().cloned().collect());
    let through_cache = |pieces: &[Bytes], at| match pieces {
        [] => Ok(()),
        pieces => open.get(files, path)?.write_at(pieces, at),
    };
    through_cache(&rest.take(from - position), position)?;
    let mut at = from;
    while at < to {
        let len = (to - at).min(WRITE_BYTES_MAX as u64);
        let mut blocks = open.buffer(WRITE_BYTES_MAX);
        rest.take(len).iter().for_each(|piece| blocks.extend_from_slice(piece));
        direct.write_at(&[blocks.freeze()], at)?;
        at += len;
    }
    through_cache(&rest.take(position + bytes - to), to)
}

/// What is still to be written.
struct Rest(VecDeque<Bytes>);

impl Rest {
    /// The next `bytes`.
    fn take(&mut self, bytes: u64) -> Vec<Bytes> {
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut taken = Vec::new();
        while left > 0
            && let Some(mut piece) = self.0.pop_front()
        {
            if piece.len() > left {
                self.0.push_front(piece.split_off(left));
            }
            left -= piece.len();
            taken.push(piece);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::OpenMode;
    use host::sim::SimDisk;

    /// Every combination of whole and broken blocks at both ends.
    #[test]
    fn the_same_bytes_whichever_way_they_take() {
        let content: Vec<u8> = (0..60_000_u32).map(|n| (n % 251) as u8).collect();
        let content = Bytes::from(content);
        for (position, end) in [(0, 8192), (0, 50), (1, 4095), (4095, 4097), (4096, 60_000), (5000, 20_480)] {
            for piece_bytes in [1000, 4096, 9000] {
                let files = SimDisk::new(7).files();
                let (open, path) = (OpenFiles::new(4), Path::new("/segment"));
                let file = files.open(path, OpenMode::CREATE).expect("the disk works");
                file.write_at(&[content.slice(..position)], 0).expect("the disk works");
                let pieces: Vec<_> = (position..end)
                    .step_by(piece_bytes)
                    .map(|at| content.slice(at..end.min(at + piece_bytes)))
                    .collect();
                write_blocks(&*files, &open, path, (&pieces, position as u64), 4096).expect("the disk works");
                let written = files.read(path, 1 << 20).expect("the disk works");
                assert!(written == content[..end], "{position}..{end} in pieces of {piece_bytes}");
            }
        }
    }
}
