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

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use host::disk::{AlignedBuf, BLOCK_BYTES};
use host::{Files, OpenMode};
use protocol::Uuid;
use protocol::ids::Offset;

use super::format::{EntryDamage, RoundHeader};
use super::machine::first_entry;
use super::reader::{Found, ReadRound, Reader};
use super::ring::{Live, Mark, Ring};
use super::{Entry, RingFile};
use crate::{Error, PartitionKey, Position};

const SUFFIX: &str = ".ring";
/// Of a file that is being zero-filled.
const UNFINISHED: &str = ".new";

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

/// The path of the ring file `id` in `dir`.
pub fn ring_path(dir: &Path, id: u32) -> PathBuf {
    dir.join(format!("{id:08}{SUFFIX}"))
}

fn ring_id(name: &str) -> Option<u32> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Opens the ring files in `dir` and removes what an unfinished growth has left.
fn find_files(files: &dyn Files, dir: &Path, id: Uuid) -> Result<Vec<Reader>, Error> {
    let mut all = Vec::new();
    let listed = files.read_dir(dir).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => {
            let because = "the log directory has been in use";
            Error::Missing { path: dir.to_path_buf(), because }
        }
        _ => Error::io(dir, "list the journal")(cause),
    });
    for entry in listed? {
        let path = dir.join(&entry.name);
        let Some(file_id) = ring_id(&entry.name) else {
            if entry.name.ends_with(UNFINISHED) {
                files.remove_file(&path).map_err(Error::io(&path, "remove an unfinished journal file"))?;
            }
            continue;
        };
        let file =
            files.open(&path, OpenMode::WRITE.direct()).map_err(Error::io(&path, "open the journal"))?;
        let reader = files.open(&path, OpenMode::READ).map_err(Error::io(&path, "open the journal"))?;
        let len = reader.len().map_err(Error::io(&path, "open the journal"))?;
        // A file that was cut short from outside is used up to its last whole block.
        let bytes = len - len % BLOCK_BYTES as u64;
        let found = Found { path, file: RingFile { id: file_id, file, bytes }, reader, first: None };
        all.push(Reader::new(id, found)?);
    }
    Ok(all)
}

/// Files have the numbers from 0 on and none is ever removed.
fn check_size(dir: &Path, readers: &[Reader], size: RingSize) -> Result<(), Error> {
    let mut lengths = Vec::new();
    for id in 0..size.files {
        let Some(reader) = readers.iter().find(|reader| reader.found.file.id == id) else {
            let because = "the checkpoint counts it among the journal's files";
            return Err(Error::Missing { path: ring_path(dir, id), because });
        };
        lengths.push(reader.found.file.bytes);
    }
    let bytes: u64 = lengths.iter().sum();
    if bytes < size.bytes {
        // A file is never smaller than the one before.
        let cut =
            lengths.windows(2).position(|two| two.first() > two.last()).map_or(lengths.len(), |at| at + 2);
        let path = ring_path(dir, u32::try_from(cut.saturating_sub(1)).unwrap_or(u32::MAX));
        let what = format!("it was cut short: {} bytes of the journal are missing", size.bytes - bytes);
        return Err(Error::Damaged {
            path,
            offset: lengths.get(cut.saturating_sub(1)).copied().unwrap_or(0),
            what,
        });
    }
    Ok(())
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

    /// The index of a file that shows that round `number`, which is damaged or missing at this place, was synced
    /// once; that of no file if the checkpoint says so.
    fn was_synced(&mut self, number: u64, at: Option<(usize, u64)>) -> Result<Option<usize>, Error> {
        let wanted = self.later_than(number);
        let proves = |header: &RoundHeader| wanted(header) && header.synced >= number;
        let first = |reader: &Reader| reader.found.first.as_ref().is_some_and(proves);
        if let Some(index) = self.readers.iter().position(first) {
            return Ok(Some(index));
        }
        let window_bytes = self.window_bytes;
        for (index, from) in self.behind(at, wanted) {
            if self.reader(index).search(from, window_bytes, proves)?.is_some() {
                return Ok(Some(index));
            }
        }
        Ok((number <= self.known.synced_round).then_some(usize::MAX))
    }

    fn later_than(&self, number: u64) -> impl Fn(&RoundHeader) -> bool + Copy + use<> {
        let next = self.next;
        move |header| {
            header.number > number && header.start.0 > next.position && header.incarnation >= next.incarnation
        }
    }

    /// Where rounds behind a damaged one, that `later` tells, may be: in the rest of its file, or in the file that came
    /// next. That begins with a later round, if this one is whole. If not, its beginning may be anything: it was an unused
    /// file, or of those used before the oldest one that was large enough.
    fn behind(&self, at: Option<(usize, u64)>, later: impl Fn(&RoundHeader) -> bool) -> Vec<(usize, u64)> {
        let rest = at.map(|(index, offset)| (index, offset.saturating_add(BLOCK_BYTES as u64)));
        let mut places = rest.into_iter().collect::<Vec<_>>();
        let others = self.readers.iter().enumerate().map(|(index, reader)| (index, &reader.found));
        let others = others.filter(|(other, _)| self.live.iter().all(|(live, _)| live != other));
        let (mut used, mut largest) = (Vec::new(), 0);
        for (index, found) in others {
            match found.first {
                Some(first) if !later(&first) => used.push((first.start, found.file.bytes, index)),
                _ => places.push((index, 0)),
            }
        }
        used.sort_unstable();
        for (_, bytes, index) in used {
            if bytes > largest {
                largest = bytes;
                places.push((index, 0));
            }
        }
        places
    }

    /// There is no intact round where the next one is expected: the end, a torn tail, or damage.
    fn end_of_chain(&mut self) -> Result<Option<Cut>, Error> {
        let next = self.next;
        if let Some(proof) = self.was_synced(next.round, next.at)? {
            let (index, offset) = next.at.unwrap_or((proof, 0));
            let path = self.readers.get(index).map_or_else(|| self.path.clone(), |at| at.found.path.clone());
            let what = format!("round {} was synced and is not there", next.round);
            return Err(Error::Damaged { path, offset, what });
        }
        let Some((index, offset)) = next.at else { return Ok(None) };
        let begun = |header: &RoundHeader| header.number == next.round && header.start.0 == next.position;
        let torn = self.reader(index).looks_like(offset)?.is_some_and(|header| begun(&header));
        let later = self.later_than(next.round);
        let window_bytes = self.window_bytes;
        let cut = torn || self.reader(index).search(offset, window_bytes, later)?.is_some();
        let path = self.reader(index).found.path.clone();
        Ok(cut.then_some(Cut { path, offset, round: next.round }))
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
                    let (key, base_offset) = (head.key, head.base_offset());
                    self.damages.push(Damage { key, path: path.clone(), offset, position, base_offset });
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
