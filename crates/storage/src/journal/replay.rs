//! Reads the ring after a start: from where the checkpoint says to the last round that was written whole.
//!
//! Rounds follow each other by number and position; incarnations never go back. Where the chain breaks, what
//! lies behind decides: if a later round says that the missing one was synced, the journal is damaged; if none
//! does, the tail was torn by a crash and is cut.
//!
//! Invariants:
//! * A round of an older incarnation, or of an earlier time around the ring, is never replayed.
//! * A damaged payload in a synced round takes one partition out, damaged heads the whole directory.
//! * What was replayed is durable before anything is built on it. A round that no later one calls synced is written
//!   again and not just synced again: if its sync has failed, the kernel may call the block clean and drop it.
//!
//! Does not know: what entries mean.

mod evidence;
mod files;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use host::Files;
use host::disk::AlignedBuf;
use protocol::Uuid;
use protocol::ids::Offset;

pub use files::ring_path;
use files::{check_size, find_files};

use super::Entry;
use super::format::{EntryDamage, RoundHeader};
use super::machine::first_entry;
use super::reader::{Found, ReadRound, Reader};
use super::ring::{Live, Mark, Ring};
use crate::{Error, PartitionKey, Position};

/// What a checkpoint knows of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub mark: Mark,
    /// The incarnation that wrote the checkpoint.
    pub incarnation: u64,
    /// Rounds up to this one were synced.
    pub synced_round: u64,
    /// What the ring had at least.
    pub ring: RingSize,
}

/// Files of a ring and the bytes in them: counted in the checkpoint before a file is used, so that one that is missing
/// is missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingSize {
    pub files: u32,
    pub bytes: u64,
}

/// A synced payload that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub key: PartitionKey,
    pub path: PathBuf,
    /// Where the round begins.
    pub offset: u64,
    pub position: Position,
    /// The batch's first offset, if the entry holds one.
    pub base_offset: Option<Offset>,
    /// The entry is the one that creates the partition.
    pub creates: bool,
}

/// Rounds that were not synced and did not survive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub path: PathBuf,
    pub offset: u64,
    pub round: u64,
}

#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) ring: Ring,
    pub(crate) next_round: u64,
    /// The latest one that has left anything behind.
    pub(crate) incarnation: u64,
    pub(crate) rounds: u64,
    pub(crate) bytes: u64,
    pub(crate) damages: Vec<Damage>,
    pub(crate) cut: Option<Cut>,
}

/// Where the next round is expected.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// Index of the file, if any has been reached, and the place in it.
    at: Option<(usize, u64)>,
    position: u64,
    round: u64,
    incarnation: u64,
}

#[derive(Debug)]
pub(crate) struct Replay {
    path: PathBuf,
    readers: Vec<Reader>,
    known: Known,
    window_bytes: u64,
    next: Expected,
    /// Files that hold replayed rounds, oldest first, each with the position of its first byte.
    live: Vec<(usize, u64)>,
    damages: Vec<Damage>,
    /// Replayed rounds that no round has called synced yet: number, index of the file, offset, bytes.
    unproven: VecDeque<(u64, usize, u64, u64)>,
}

impl Replay {
    /// `window_bytes`: how far behind a round lies the first that can say it was synced.
    pub(crate) fn open(
        files: &dyn Files,
        dir: &Path,
        id: Uuid,
        known: Known,
        window_bytes: u64,
    ) -> Result<Self, Error> {
        let readers = find_files(files, dir, id)?;
        check_size(dir, &readers, known.ring)?;
        let mark = known.mark;
        let at = match mark.place {
            None => None,
            Some(place) => {
                let index = readers.iter().position(|reader| reader.found.file.id == place.file_id);
                let because = "the checkpoint says that replay begins in it";
                let missing = || Error::Missing { path: ring_path(dir, place.file_id), because };
                Some((index.ok_or_else(missing)?, place.offset))
            }
        };
        let (position, round, incarnation) = (mark.position.0, mark.round, mark.incarnation);
        if mark.place.is_some_and(|place| place.offset > position) {
            let what = "the checkpoint's place in it lies before the journal's beginning".to_owned();
            return Err(Error::Damaged { path: dir.to_path_buf(), offset: position, what });
        }
        let next = Expected { at, position, round, incarnation };
        let path = dir.to_path_buf();
        Ok(Self {
            path,
            readers,
            known,
            window_bytes,
            next,
            live: Vec::new(),
            damages: Vec::new(),
            unproven: VecDeque::new(),
        })
    }

    /// Hands every entry over, in order, then makes what was replayed durable.
    pub(crate) fn run(mut self, on_entry: &mut dyn FnMut(Position, Entry)) -> Result<Replayed, Error> {
        let (mut rounds, mut bytes) = (0, 0);
        self.reached();
        let cut = loop {
            let Some((index, offset, header)) = self.locate()? else {
                break self.end_of_chain()?;
            };
            let read = self.reader(index).round(offset, header)?;
            if read.entries.iter().any(|(_, entry)| entry.is_err())
                && self.was_synced(header.number, Some((index, offset)))?.is_none()
            {
                let path = self.reader(index).found.path.clone();
                break Some(Cut { path, offset, round: header.number });
            }
            self.hand_over(index, offset, read, on_entry)?;
            self.unproven.push_back((header.number, index, offset, header.round_bytes()));
            let proven = header.synced.max(self.known.synced_round);
            self.unproven.retain(|(number, ..)| *number > proven);
            rounds += 1;
            bytes += header.round_bytes();
            self.next = Expected {
                at: Some((index, offset + header.round_bytes())),
                position: header.start.0 + header.round_bytes(),
                round: header.number + 1,
                incarnation: header.incarnation,
            };
            self.reached();
        };
        self.write_unproven_again()?;
        for (index, _) in &self.live {
            let found = &self.readers.get(*index).expect("a live file was found").found;
            found.file.file.sync().map_err(Error::io(&found.path, "recover the journal"))?;
            found.reader.forget(0, found.file.bytes);
        }
        let firsts = self.readers.iter().filter_map(|reader| Some(reader.found.first?.incarnation));
        let incarnation =
            firsts.chain([self.next.incarnation, self.known.incarnation]).max().unwrap_or_default();
        let (next_round, damages) = (self.next.round, std::mem::take(&mut self.damages));
        Ok(Replayed { ring: self.into_ring(), next_round, incarnation, rounds, bytes, damages, cut })
    }

    fn write_unproven_again(&mut self) -> Result<(), Error> {
        for (_, index, offset, bytes) in std::mem::take(&mut self.unproven) {
            let reader = self.reader(index);
            let Some(round) = reader.bytes(offset, bytes)? else { continue };
            let mut block = AlignedBuf::with_capacity(round.len());
            block.extend_from_slice(round);
            let found = &self.reader(index).found;
            found
                .file
                .file
                .write_at(&[block.freeze()], offset)
                .map_err(Error::io(&found.path, "recover the journal"))?;
        }
        Ok(())
    }

    fn reader(&mut self, index: usize) -> &mut Reader {
        self.readers.get_mut(index).expect("indices are those of found files")
    }

    /// Remembers the file that the chain has come to.
    fn reached(&mut self) {
        let Some((index, offset)) = self.next.at else { return };
        if self.live.last().is_none_or(|(last, _)| *last != index) {
            if let Some((last, _)) = self.live.last().copied() {
                self.reader(last).forget();
            }
            let start = self.next.position - offset;
            self.live.push((index, start));
            self.read_ahead(index, start);
        }
    }

    /// Has the disk read the file that begins at position `start`, and the one behind it, while what was read before is
    /// looked at.
    fn read_ahead(&self, index: usize, start: u64) {
        let Some(here) = self.readers.get(index).map(|reader| &reader.found) else { return };
        let end = start.saturating_add(here.file.bytes);
        let follows = |found: &&Found| found.first.is_some_and(|first| first.start.0 == end);
        let next = self.readers.iter().map(|reader| &reader.found).find(follows);
        for found in next.into_iter().chain((self.live.len() == 1).then_some(here)) {
            found.reader.read_ahead(0, found.file.bytes);
        }
    }

    /// The next round of the chain: behind the last one, or at the beginning of another file. Incarnations that
    /// were cut here may have left theirs in both; the latest one counts.
    fn locate(&mut self) -> Result<Option<(usize, u64, RoundHeader)>, Error> {
        let next = self.next;
        let fits = |header: &RoundHeader, position: u64| {
            header.number == next.round
                && header.start.0 == position
                && header.incarnation >= next.incarnation
        };
        let mut position = next.position;
        let mut candidates = Vec::new();
        if let Some((index, offset)) = next.at {
            let header = self.reader(index).header(offset)?;
            candidates.extend(header.filter(|header| fits(header, position)).map(|at| (index, offset, at)));
            position = (next.position - offset).saturating_add(self.reader(index).found.file.bytes);
        }
        let firsts = self.readers.iter().enumerate();
        let firsts = firsts.filter_map(|(index, reader)| Some((index, 0, reader.found.first?)));
        candidates.extend(firsts.filter(|(_, _, header)| fits(header, position)));
        Ok(candidates.into_iter().max_by_key(|(_, _, header)| header.incarnation))
    }

    fn hand_over(
        &mut self,
        index: usize,
        offset: u64,
        read: ReadRound,
        on_entry: &mut dyn FnMut(Position, Entry),
    ) -> Result<(), Error> {
        let mut position = first_entry(read.header.start);
        let path = self.reader(index).found.path.clone();
        for (bytes, entry) in read.entries {
            position.0 += bytes;
            match entry {
                Ok(entry) => on_entry(position, entry),
                Err((head, EntryDamage::Payload)) => {
                    let (key, base_offset, creates) = (head.key, head.base_offset(), head.creates());
                    self.damages.push(Damage {
                        key,
                        path: path.clone(),
                        offset,
                        position,
                        base_offset,
                        creates,
                    });
                }
                Err((_, EntryDamage::Unknown)) => {
                    let what = "an entry of a kind that this version does not know".to_owned();
                    return Err(Error::Damaged { path, offset, what });
                }
            }
        }
        Ok(())
    }

    fn into_ring(self) -> Ring {
        let mut readers = self.readers.into_iter().map(Some).collect::<Vec<_>>();
        let mut live = Vec::new();
        for (index, start) in self.live {
            if let Some(reader) = readers.get_mut(index).and_then(Option::take) {
                live.push(Live { file: reader.found.file, start });
            }
        }
        let mut free = readers.into_iter().flatten().map(|reader| reader.found).collect::<Vec<_>>();
        // The one used longest ago comes next, as `behind` relies on.
        free.sort_by_key(|found| (found.first.is_none(), found.first.map(|first| first.start)));
        let free = free.into_iter().map(|found| found.file).collect();
        Ring::new(live, free, Position(self.next.position), self.known.mark)
    }
}
