//! [`BatchCheck`]: the CRC of batches that lie one behind the other, while their bytes pass by in pieces of any size.
//!
//! Invariant: what is in front of the position of a [`Damage`] is batches that are as they were when they were appended. Their CRC
//! covers all but offset, length and epoch. A wrong length takes the CRC along; the epoch is that which the log knows for the
//! offset; offsets grow and stay within the segment. What they cannot show is an offset that has moved within a gap that
//! compaction has left: that takes a look at the whole segment, and tells no position.

use std::io;

use crc_fast::{CrcAlgorithm, Digest};
use host::File;
use protocol::ids::Offset;
use protocol::records::{BATCH_OVERHEAD, BatchHeader};

use crate::epochs::Epochs;
use crate::segment::state::heads_crc;

/// Where in a batch the part begins that its CRC covers.
const CRC_FROM: usize = 21;

/// Bytes of one read of a file that is checked.
pub const CHECK_BYTES: usize = 128 << 10;

/// What else than the bytes is known of the batches of a segment.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Where the segment ends.
    pub end: Offset,
    /// Which epoch wrote which offset, as far as that is known.
    pub epochs: Epochs,
    /// Of all batches of the segment, together.
    pub heads_crc: Option<u32>,
}

impl Default for Bounds {
    /// Nothing is known.
    fn default() -> Self {
        Self { end: Offset(i64::MAX), epochs: Epochs::default(), heads_crc: None }
    }
}

impl Bounds {
    /// Whether a batch can be there, behind one that ends at `end`.
    pub fn check(&self, header: &BatchHeader, end: Offset) -> Result<(), String> {
        let (base, epoch) = (header.base_offset, header.partition_leader_epoch);
        if base < end {
            return Err(format!("offset {base} behind offset {}", end - 1));
        }
        if header.next_offset() > self.end {
            let last = header.last_offset();
            return Err(format!("offsets {base} to {last} in a segment that ends at {}", self.end));
        }
        match self.epochs.at(base) {
            Some(known) if known != epoch => {
                Err(format!("offset {base} has epoch {epoch}, and was written in epoch {known}"))
            }
            _ => Ok(()),
        }
    }
}

/// A batch that is not what was appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {position}, behind offset {after}: {what}")]
pub struct Damage {
    /// Where the batch begins.
    pub position: u64,
    /// The last offset in front of it that is whole; one below the first for the first batch.
    pub after: Offset,
    pub what: String,
    /// It may be any batch from there on that says the wrong thing of itself.
    pub unplaced: bool,
}

#[derive(Debug)]
pub struct BatchCheck {
    /// Where the batch begins that is passing by.
    position: u64,
    /// Behind the last offset so far.
    end: Offset,
    bounds: Bounds,
    heads_crc: u32,
    /// The batch in front, and what ended in front of that, if it left offsets out: then it is the one to blame when the next
    /// one does not follow.
    gap: Option<(u64, Offset)>,
    header: Vec<u8>,
    body: Option<Body>,
}

struct Body {
    header: BatchHeader,
    digest: Digest,
    left: usize,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").field("header", &self.header).field("left", &self.left).finish_non_exhaustive()
    }
}

impl BatchCheck {
    /// The first batch begins at `position` of its file and does not begin below `offset`.
    #[must_use]
    pub fn new(position: u64, offset: Offset, bounds: Bounds) -> Self {
        let header = Vec::with_capacity(BATCH_OVERHEAD);
        Self { position, end: offset, bounds, heads_crc: 0, gap: None, header, body: None }
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        while !bytes.is_empty() {
            let Some(body) = &mut self.body else {
                bytes = self.take_header(bytes)?;
                continue;
            };
            let (now, later) = bytes.split_at(body.left.min(bytes.len()));
            body.digest.update(now);
            body.left -= now.len();
            bytes = later;
            if body.left == 0 {
                self.end_batch()?;
            }
        }
        Ok(())
    }

    /// The bytes have come to their end, where a batch must end, too.
    pub fn finish(&self) -> Result<(), Damage> {
        let is_between = self.header.is_empty() && self.body.is_none();
        if is_between { Ok(()) } else { Err(self.damage("the batch is cut off")) }
    }

    /// The same for a check of a segment from its beginning to its end.
    pub fn finish_segment(&self) -> Result<(), Damage> {
        self.finish()?;
        if self.bounds.heads_crc.is_none_or(|known| known == self.heads_crc) {
            return Ok(());
        }
        let what = "offsets or epochs of batches are not those that were appended".to_owned();
        Err(Damage { position: 0, after: Offset::NONE, what, unplaced: true })
    }

    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Damage> {
        let (now, later) = bytes.split_at((BATCH_OVERHEAD - self.header.len()).min(bytes.len()));
        self.header.extend_from_slice(now);
        if self.header.len() < BATCH_OVERHEAD {
            return Ok(later);
        }
        let header = BatchHeader::parse(&self.header).map_err(|error| self.damage(error))?;
        if let Err(what) = self.bounds.check(&header, self.end) {
            return Err(match self.gap.filter(|_| header.base_offset < self.end) {
                Some((position, end)) => Damage { position, after: end - 1, what, unplaced: false },
                None => self.damage(what),
            });
        }
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(self.header.get(CRC_FROM..).unwrap_or_default());
        self.body = Some(Body { header, digest, left: header.size() - BATCH_OVERHEAD });
        if header.size() == BATCH_OVERHEAD {
            self.end_batch()?;
        }
        Ok(later)
    }

    fn end_batch(&mut self) -> Result<(), Damage> {
        let Some(body) = self.body.take() else { return Ok(()) };
        let (stored, computed) = (u64::from(body.header.crc), body.digest.finalize());
        if stored != computed {
            return Err(self.damage(format!("stored crc = {stored}, computed crc = {computed}")));
        }
        self.header.clear();
        self.gap = (body.header.base_offset > self.end).then_some((self.position, self.end));
        self.heads_crc =
            heads_crc(self.heads_crc, body.header.base_offset, body.header.partition_leader_epoch);
        self.position += body.header.size() as u64;
        self.end = body.header.next_offset();
        Ok(())
    }

    /// What is wrong with the batch that is passing by.
    #[must_use]
    pub fn damage(&self, what: impl ToString) -> Damage {
        Damage { position: self.position, after: self.end - 1, what: what.to_string(), unplaced: false }
    }
}

/// Reads the batches in `from..to` of a file that has `bytes`, and checks them; the first one does not begin below `offset`.
/// Blocking. Afterwards they are in the page cache, unless the file goes past it.
pub fn check_region(
    file: &dyn File,
    (from, to, bytes): (u64, u64, u64),
    offset: Offset,
    bounds: Bounds,
) -> io::Result<Result<(), Damage>> {
    let mut check = BatchCheck::new(from, offset, bounds);
    if let Err(damage) = read_through(file, from, to, &mut check)? {
        return Ok(Err(damage));
    }
    // Whether the last one has left offsets out for good, only the next one can tell.
    let mut next = [0; BATCH_OVERHEAD];
    if check.gap.is_some()
        && to + BATCH_OVERHEAD as u64 <= bytes
        && file.read_at(&mut next, to)? == next.len()
    {
        return Ok(check.feed(&next));
    }
    Ok(Ok(()))
}

/// Reads the segment that begins at `base` and has `bytes`, and checks it. Blocking.
pub fn check_segment(
    file: &dyn File,
    base: Offset,
    bytes: u64,
    bounds: Bounds,
) -> io::Result<Result<(), Damage>> {
    let mut check = BatchCheck::new(0, base, bounds);
    let found = read_through(file, 0, bytes, &mut check)?;
    Ok(found.and_then(|()| check.finish_segment()))
}

fn read_through(
    file: &dyn File,
    from: u64,
    to: u64,
    check: &mut BatchCheck,
) -> io::Result<Result<(), Damage>> {
    let mut chunk = vec![0; CHECK_BYTES.min(usize::try_from(to.saturating_sub(from)).unwrap_or(CHECK_BYTES))];
    let mut at = from;
    while at < to {
        let wanted = chunk.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
        let got = file.read_at(chunk.get_mut(..wanted).unwrap_or_default(), at)?;
        if let Err(damage) = check.feed(chunk.get(..got).unwrap_or_default()) {
            return Ok(Err(damage));
        }
        if got < wanted {
            break;
        }
        at += got as u64;
    }
    if at < to {
        return Ok(Err(check.damage("the file ends early")));
    }
    Ok(check.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epochs::EpochEntry;
    use proptest::prelude::*;
    use protocol::ids::LeaderEpoch;
    use protocol::records::{BatchBuilder, BatchOptions, NewRecord};

    fn batches() -> Vec<u8> {
        let mut bytes = Vec::new();
        for (base, records) in [(0, 3), (3, 1), (10, 40)] {
            let options = BatchOptions {
                base_offset: Offset(base),
                leader_epoch: LeaderEpoch(1),
                ..BatchOptions::default()
            };
            let mut builder = BatchBuilder::new(options);
            for index in 0..records {
                let value = format!("value {index} of {base}");
                let record = NewRecord {
                    timestamp: 1_000 + index,
                    value: Some(value.as_bytes()),
                    ..NewRecord::default()
                };
                builder.append(&record).unwrap();
            }
            bytes.extend_from_slice(&builder.build().unwrap());
        }
        bytes
    }

    fn check(bytes: &[u8], piece: usize) -> Result<u64, Damage> {
        let mut check = BatchCheck::new(0, Offset::ZERO, Bounds::default());
        bytes.chunks(piece).try_for_each(|piece| check.feed(piece))?;
        check.finish()?;
        Ok(check.position)
    }

    proptest! {
        #[test]
        fn every_flipped_bit_under_a_crc_is_found(piece in 1_usize..300, at in any::<prop::sample::Index>(), bit in 0_u32..8) {
            let mut bytes = batches();
            prop_assert_eq!(check(&bytes, piece), Ok(bytes.len() as u64));
            let starts = [0, check_end(&bytes, 1), check_end(&bytes, 2)];
            let at = at.index(bytes.len());
            let start = starts.into_iter().filter(|start| *start <= at).max().unwrap_or(0);
            bytes[at] ^= 1_u8 << bit;
            let found = check(&bytes, piece);
            // Offset and epoch are under no CRC: an offset that grew is not seen here, but where it is looked up.
            let is_covered = at - start >= CRC_FROM - 5 || (8..12).contains(&(at - start));
            prop_assert!(!is_covered || found.as_ref().is_err_and(|damage| damage.position == start as u64), "{found:?}");
        }

        /// Offsets and epochs are under no CRC. A gap is where an offset may hide, except from a look at all of them.
        #[test]
        fn what_no_crc_covers_is_found_by_what_the_log_knows(batch in 0_usize..3, at in 0_usize..16, bit in 0_u32..8) {
            prop_assume!(!(8..12).contains(&at));
            let mut bytes = batches();
            let epochs = Epochs::new([EpochEntry { epoch: LeaderEpoch(1), start: Offset::ZERO }]);
            let epoch = LeaderEpoch(1);
            let crc = [0, 3, 10].into_iter().fold(0, |crc, base| heads_crc(crc, Offset(base), epoch));
            let bounds = Bounds { end: Offset(50), epochs, heads_crc: Some(crc) };
            let checked = |bytes: &[u8]| {
                let mut check = BatchCheck::new(0, Offset::ZERO, bounds.clone());
                let region = check.feed(bytes).and_then(|()| check.finish());
                (region, check.finish_segment())
            };
            prop_assert_eq!(checked(&bytes), (Ok(()), Ok(())));
            let start = check_end(&bytes, batch);
            bytes[start + at] ^= 1_u8 << bit;
            let base = i64::from_be_bytes(bytes[start..start + 8].try_into().unwrap());
            let hides = (batch == 1 && (4..10).contains(&base)) || (batch == 2 && (4..10).contains(&base));
            let (found, in_all) = checked(&bytes);
            prop_assert!(in_all.is_err());
            // Of two that overlap, the one behind the gap is to blame.
            let position = found.as_ref().err().map(|damage| damage.position);
            let blames = position.is_some_and(|position| position <= start as u64);
            prop_assert!(if hides { found.is_ok() } else { blames }, "{:?} at {} {}", found, batch, base);
        }

        #[test]
        fn a_cut_is_found(piece in 1_usize..300, keep in any::<prop::sample::Index>()) {
            let bytes = batches();
            let keep = keep.index(bytes.len());
            let whole = [0, check_end(&bytes, 1), check_end(&bytes, 2)].contains(&keep);
            prop_assert_eq!(check(&bytes[..keep], piece).is_ok(), whole);
        }
    }

    /// Where the first `count` batches end.
    fn check_end(bytes: &[u8], count: usize) -> usize {
        (0..count).fold(0, |at, _| at + BatchHeader::parse(&bytes[at..]).unwrap().size())
    }
}
