//! Cuts a byte stream into request frames: a 4-byte length, then as many bytes.
//!
//! Invariants:
//! * Memory grows with what has arrived, not with what a length claims: at most twice the received bytes of an
//!   unfinished frame, and never beyond the largest frame allowed.
//! * A finished frame is a slice of the receive buffer; nothing is copied. What keeps it for longer than the
//!   request copies small parts out.

use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use host::Stream;
use tokio::io::AsyncReadExt;

use super::request_memory::SMALL_BYTES;

/// Read ahead at most this much past the frame in progress: many small requests arrive in one system call.
const READ_AHEAD_BYTES: usize = 16 * 1024;
/// The first allocation for a large frame; from there on the buffer doubles as bytes arrive.
const LARGE_STEP_BYTES: usize = 1024 * 1024;
const PREFIX_BYTES: usize = 4;
/// What a byte of a request can come to when it is decoded and answered: a partition of a few bytes becomes a struct
/// here and another one in the reply. Not so for Produce, whose bulk is records that stay as they are.
const EXPANSION: usize = 16;
/// The key of Produce, as it stands behind the length.
const PRODUCE: [u8; 2] = [0, 0];
/// What a Produce takes besides its bytes while it waits for the disk. Others wait as well, but of these a client has up
/// to 64 at once: 13,000 of them from 200 producers took twice as much as their bytes.
const PRODUCE_BYTES: usize = 4096;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    #[error("a request of {len} bytes is larger than socket.request.max.bytes={max}")]
    TooLarge { len: usize, max: usize },
    #[error("a request of {len} bytes could take more than bourn.memory.max.bytes={max} when it is decoded")]
    TooLargeDecoded { len: usize, max: usize },
    #[error("a request length of {len} is negative")]
    NegativeLength { len: i32 },
}

#[derive(Debug)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
    frame_bytes_max: usize,
    decoded_bytes_max: usize,
}

impl FrameReader {
    pub(crate) fn new(frame_bytes_max: usize, decoded_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max, decoded_bytes_max }
    }

    /// Length of the frame at the front, once its prefix is here. Checked before anything is allocated for it.
    pub(crate) fn frame_len(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let len = i32::from_be_bytes(*prefix);
        let len = usize::try_from(len).map_err(|_| FrameError::NegativeLength { len })?;
        if len > self.frame_bytes_max {
            return Err(FrameError::TooLarge { len, max: self.frame_bytes_max });
        }
        if self.decoded(len) > self.decoded_bytes_max.max(len) {
            return Err(FrameError::TooLargeDecoded { len, max: self.decoded_bytes_max });
        }
        Ok(Some(len))
    }

    /// What the frame at the front, of `len` bytes, may take in memory until it is answered, as far as its beginning tells.
    pub(crate) fn weight(&self, len: usize) -> usize {
        if self.key() == Some(&PRODUCE) { len + PRODUCE_BYTES } else { self.decoded(len) }
    }

    fn decoded(&self, len: usize) -> usize {
        match self.key() {
            Some(key) if *key != PRODUCE && len > SMALL_BYTES => len.saturating_mul(EXPANSION),
            _ => len,
        }
    }

    fn key(&self) -> Option<&[u8; 2]> {
        self.buffer.get(PREFIX_BYTES..)?.first_chunk()
    }

    /// The next whole frame without its prefix, if it is here.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(len) = self.frame_len()? else { return Ok(None) };
        if !self.is_whole(len) {
            return Ok(None);
        }
        self.buffer.advance(PREFIX_BYTES);
        Ok(Some(self.buffer.split_to(len).freeze()))
    }

    /// Whether all `len` bytes of the frame at the front are here.
    pub(crate) fn is_whole(&self, len: usize) -> bool {
        self.buffer.len() >= PREFIX_BYTES + len
    }

    /// Bytes that the buffer will hold after the next read.
    pub(crate) fn bytes_wanted(&self) -> usize {
        self.buffer.len() + self.room_wanted()
    }

    /// True if a frame has begun but is not whole.
    pub(crate) fn in_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Reads once; returns how many bytes came, 0 at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut dyn Stream,
    ) -> Poll<io::Result<usize>> {
        let room = self.room_wanted();
        self.buffer.reserve(room);
        let read = pin!({ stream }.read_buf(&mut self.buffer)).poll(cx);
        if read.is_pending() && self.buffer.is_empty() {
            // An idle connection holds no buffer.
            self.buffer = BytesMut::new();
        }
        read
    }

    fn room_wanted(&self) -> usize {
        let have = self.buffer.len();
        match self.frame_len() {
            Ok(Some(len)) if PREFIX_BYTES + len > have + READ_AHEAD_BYTES => {
                (PREFIX_BYTES + len - have).min(LARGE_STEP_BYTES.max(have))
            }
            _ => READ_AHEAD_BYTES,
        }
    }
}

/// The frames in these pieces of a stream, up to the first error.
#[cfg(feature = "testing")]
pub(crate) fn frames<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    frame_bytes_max: usize,
) -> Result<Vec<Bytes>, (Vec<Bytes>, FrameError)> {
    let (mut reader, mut frames) = (FrameReader::new(frame_bytes_max, frame_bytes_max), Vec::new());
    for piece in pieces {
        let wanted = reader.bytes_wanted();
        assert!(wanted <= 2 * frame_bytes_max + READ_AHEAD_BYTES, "a buffer of {wanted} bytes");
        reader.buffer.extend_from_slice(piece);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return Err((frames, error)),
            }
        }
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader_with(bytes: &[u8]) -> FrameReader {
        let mut reader = FrameReader::new(100, 100);
        reader.buffer.extend_from_slice(bytes);
        reader
    }

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut reader = reader_with(&[0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0, 0, 3, 1]);
        assert_eq!(reader.next_frame(), Ok(Some(Bytes::from_static(&[7, 8]))));
        assert_eq!(reader.next_frame(), Ok(Some(Bytes::new())));
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.in_frame());
        reader.buffer.extend_from_slice(&[2, 3]);
        assert_eq!(reader.next_frame(), Ok(Some(Bytes::from_static(&[1, 2, 3]))));
        assert!(!reader.in_frame());
    }

    #[test]
    fn lengths_are_refused_before_anything_is_allocated() {
        let huge = reader_with(&[0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(huge.frame_len(), Err(FrameError::TooLarge { len: 0x7fff_ffff, max: 100 }));
        let negative = reader_with(&[0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(negative.frame_len(), Err(FrameError::NegativeLength { len: -2 }));
    }

    #[test]
    fn what_is_much_larger_decoded_is_refused_when_its_key_is_here() {
        let mut reader = FrameReader::new(100 << 20, 16 << 20);
        reader.buffer.extend_from_slice(&(2_i32 << 20).to_be_bytes());
        assert_eq!(reader.frame_len(), Ok(Some(2 << 20)));
        reader.buffer.extend_from_slice(&[0]);
        assert_eq!(reader.frame_len(), Ok(Some(2 << 20)));
        let mut produce =
            FrameReader { buffer: reader.buffer.clone(), ..FrameReader::new(100 << 20, 16 << 20) };
        produce.buffer.extend_from_slice(&[0]);
        assert_eq!(produce.frame_len(), Ok(Some(2 << 20)), "records stay as they are");
        reader.buffer.extend_from_slice(&[1]);
        let refused = FrameError::TooLargeDecoded { len: 2 << 20, max: 16 << 20 };
        assert_eq!(reader.frame_len(), Err(refused));
    }

    #[test]
    fn room_grows_with_what_has_arrived() {
        let mut reader = FrameReader::new(100 << 20, 256 << 20);
        reader.buffer.extend_from_slice(&(90_i32 << 20).to_be_bytes());
        assert_eq!(reader.room_wanted(), LARGE_STEP_BYTES);
        reader.buffer.extend_from_slice(&vec![0; 3 << 20]);
        assert_eq!(reader.room_wanted(), reader.buffer.len());
    }
}
