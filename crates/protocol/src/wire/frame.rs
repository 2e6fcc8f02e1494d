//! [`Frame`]: an encoded message as the pieces that are to be sent.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::Error;

/// A region of a file that the network layer sends without reading it into memory.
#[derive(Clone)]
pub struct Extern {
    /// The file, as the one who built the message and the one who sends it agree.
    pub handle: Arc<dyn Any + Send + Sync>,
    pub offset: u64,
    pub len: usize,
}

/// A part of a frame or of a record set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Bytes(Bytes),
    Extern(Extern),
}

impl Piece {
    pub fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Extern(region) => region.len,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Extern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extern").field("offset", &self.offset).field("len", &self.len).finish_non_exhaustive()
    }
}

impl PartialEq for Extern {
    fn eq(&self, other: &Extern) -> bool {
        Arc::ptr_eq(&self.handle, &other.handle) && self.offset == other.offset && self.len == other.len
    }
}

impl Eq for Extern {}

/// An encoded message: the pieces in the order in which they are sent. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pieces: SmallVec<[Piece; 3]>,
    len: usize,
}

impl Frame {
    pub(super) fn with_capacity(pieces: usize) -> Frame {
        Frame { pieces: SmallVec::with_capacity(pieces), len: 0 }
    }

    pub(super) fn push(&mut self, piece: Piece) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Bytes of all pieces, the length prefix included.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// None of the pieces is empty.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        self.pieces.into_iter()
    }

    /// The frame as one buffer. Copies unless it is one piece already; regions of files cannot be had this way.
    pub fn into_bytes(mut self) -> Result<Bytes, Error> {
        if let [Piece::Bytes(bytes)] = self.pieces.as_mut_slice() {
            return Ok(std::mem::take(bytes));
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
