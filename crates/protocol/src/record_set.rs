//! [`RecordSet`]: the record batches of a Produce request or a Fetch response.
//!
//! Owns: a rope of pieces that stand for a run of batches.
//!
//! Invariants:
//! * What was decoded is one slice of its frame.
//! * No piece is empty; `len` is the sum of their lengths.
//!
//! Does not know: what is inside the batches (see `records`), or how a region of a file is read.

use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::wire::{Error, Extern, Piece};

/// Record batches as bytes in memory, regions of files, or both.
#[derive(Clone, Default)]
pub struct RecordSet {
    /// One piece, the common case, does not allocate.
    pieces: SmallVec<[Piece; 1]>,
    len: usize,
}

impl RecordSet {
    pub fn new() -> RecordSet {
        RecordSet::default()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Appends bytes in memory.
    pub fn push(&mut self, bytes: Bytes) {
        self.push_piece(Piece::Bytes(bytes));
    }

    /// Appends a region of a file.
    pub fn push_extern(&mut self, region: Extern) {
        self.push_piece(Piece::Extern(region));
    }

    fn push_piece(&mut self, piece: Piece) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// All bytes as one buffer: free for a decoded set, a copy for a rope, an error if a part is a file.
    pub fn to_bytes(&self) -> Result<Bytes, Error> {
        if let [Piece::Bytes(bytes)] = self.pieces.as_slice() {
            return Ok(bytes.clone());
        }
        let mut all = BytesMut::with_capacity(self.len);
        for piece in &self.pieces {
            match piece {
                Piece::Bytes(bytes) => all.extend_from_slice(bytes),
                Piece::Extern(_) => return Err(Error::NotInMemory),
            }
        }
        Ok(all.freeze())
    }
}

impl From<Bytes> for RecordSet {
    fn from(bytes: Bytes) -> RecordSet {
        if bytes.is_empty() {
            return RecordSet::default();
        }
        let len = bytes.len();
        RecordSet { pieces: SmallVec::from_buf([Piece::Bytes(bytes)]), len }
    }
}

impl FromIterator<Bytes> for RecordSet {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> RecordSet {
        let mut set = RecordSet::new();
        pieces.into_iter().for_each(|piece| set.push(piece));
        set
    }
}

/// Equal bytes are equal however they are cut; regions of files are equal if they are the same region.
impl PartialEq for RecordSet {
    fn eq(&self, other: &RecordSet) -> bool {
        self.len == other.len
            && match (self.to_bytes(), other.to_bytes()) {
                (Ok(mine), Ok(theirs)) => mine == theirs,
                _ => self.pieces == other.pieces,
            }
    }
}

impl Eq for RecordSet {}

impl fmt::Debug for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordSet({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_rope_equals_the_bytes_it_stands_for() {
        let rope: RecordSet = ["ab", "", "cde"].into_iter().map(Bytes::from).collect();
        assert_eq!((rope.len(), rope.pieces().len()), (5, 2));
        assert_eq!(rope, RecordSet::from(Bytes::from_static(b"abcde")));
        assert_ne!(rope, RecordSet::from(Bytes::from_static(b"abcdf")));
        assert_eq!(rope.to_bytes(), Ok(Bytes::from_static(b"abcde")));
    }

    #[test]
    fn regions_of_files_are_equal_by_identity_and_have_no_bytes() {
        let handle: Arc<dyn std::any::Any + Send + Sync> = Arc::new(7);
        let set = |offset| {
            let mut set = RecordSet::new();
            set.push_extern(Extern { handle: Arc::clone(&handle), offset, len: 10 });
            set
        };
        assert_eq!(set(0), set(0));
        assert_ne!(set(0), set(1));
        assert_eq!(set(0).to_bytes(), Err(Error::NotInMemory));
    }
}
