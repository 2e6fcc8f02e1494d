//! [`BatchCheck`]: the CRC of batches that lie one behind the other, while their bytes pass by in pieces of any size.
//!
//! Invariant: what is in front of the position of a [`Damage`] is batches that are as they were when they were appended, as far as
//! their CRC covers them (all but offset, length and epoch), with offsets that grow.

use std::io;

use crc_fast::{CrcAlgorithm, Digest};
use host::File;
use protocol::ids::Offset;
use protocol::records::{BATCH_OVERHEAD, BatchHeader};

/// Where in a batch the part begins that its CRC covers.
const CRC_FROM: usize = 21;

/// Bytes of one read of a file that is checked.
pub const CHECK_BYTES: usize = 128 << 10;

/// A batch that is not what was appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged at byte {position}, behind offset {after}: {what}")]
pub struct Damage {
    /// Where the batch begins.
    pub position: u64,
    /// The last offset in front of it that is whole; one below the first for the first batch.
    pub after: Offset,
    pub what: String,
}

#[derive(Debug)]
pub struct BatchCheck {
    /// Where the batch begins that is passing by.
    position: u64,
    /// Behind the last offset so far.
    end: Offset,
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
    pub fn new(position: u64, offset: Offset) -> Self {
        Self { position, end: offset, header: Vec::with_capacity(BATCH_OVERHEAD), body: None }
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

    fn take_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Damage> {
        let (now, later) = bytes.split_at((BATCH_OVERHEAD - self.header.len()).min(bytes.len()));
        self.header.extend_from_slice(now);
        if self.header.len() < BATCH_OVERHEAD {
            return Ok(later);
        }
        let header = BatchHeader::parse(&self.header).map_err(|error| self.damage(error))?;
        if header.base_offset < self.end {
            return Err(self.damage(format!("offset {} behind offset {}", header.base_offset, self.end - 1)));
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
        self.position += body.header.size() as u64;
        self.end = body.header.next_offset();
        Ok(())
    }

    /// What is wrong with the batch that is passing by.
    #[must_use]
    pub fn damage(&self, what: impl ToString) -> Damage {
        Damage { position: self.position, after: self.end - 1, what: what.to_string() }
    }
}

/// Reads the batches in `from..to` of a file and checks them. Blocking. Afterwards they are in the page cache, unless the
/// file goes past it.
pub fn check_region(file: &dyn File, from: u64, to: u64, offset: Offset) -> io::Result<Result<(), Damage>> {
    let mut check = BatchCheck::new(from, offset);
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
    Ok(if at < to { Err(check.damage("the file ends early")) } else { check.finish() })
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let mut check = BatchCheck::new(0, Offset::ZERO);
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
