//! Replies on their way out of one connection, in order.
//!
//! Invariants:
//! * Bytes in memory leave by vectored writes and file regions by sendfile; neither is copied here.
//! * The memory of a reply is held until its last byte has left.
//! * A file region leaves in pieces of bounded size, so that one slow disk read does not hold up the reactor for long.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use host::{FileRef, Stream};
use protocol::wire::Piece;
use tokio::io::AsyncWrite;

use super::Held;

/// How many pieces one vectored write takes; the rest goes with the next.
const SLICES_MAX: usize = 64;
/// How much of a file one call sends.
const SEND_FILE_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// Bytes sent in all.
    sent: u64,
    /// What replies hold, by where they end.
    held: VecDeque<(u64, Held)>,
}

impl Outbox {
    pub(crate) fn push(&mut self, pieces: impl IntoIterator<Item = Piece>, held: Held) {
        for piece in pieces {
            if !piece.is_empty() {
                self.bytes += piece.len();
                self.pieces.push_back(piece);
            }
        }
        self.held.push_back((self.sent + self.bytes as u64, held));
    }

    /// Bytes not yet handed to the network.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Sends until everything is out or the network takes no more. Returns how many bytes left in this call.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Box<dyn Stream>,
    ) -> Poll<io::Result<()>> {
        while let Some(front) = self.pieces.front() {
            let sent = match front {
                Piece::Bytes(_) => ready!(self.poll_write(cx, stream))?,
                Piece::Extern(region) => {
                    let Some(file) = region.handle.downcast_ref::<FileRef>() else {
                        return Poll::Ready(Err(io::Error::other("a reply refers to something unsendable")));
                    };
                    let len = region.len.min(SEND_FILE_BYTES_MAX);
                    ready!(stream.poll_send_file(cx, file, region.offset, len))?
                }
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.consume(sent);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, stream: &mut Box<dyn Stream>) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let Piece::Bytes(bytes) = piece else { break };
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        let slices = slices.get(..used).unwrap_or_default();
        Pin::new(stream).poll_write_vectored(cx, slices)
    }

    fn consume(&mut self, mut sent: usize) {
        self.bytes = self.bytes.saturating_sub(sent);
        self.sent += sent as u64;
        while self.held.front().is_some_and(|(end, _)| *end <= self.sent) {
            self.held.pop_front();
        }
        while sent > 0 {
            let Some(front) = self.pieces.front_mut() else { return };
            let len = front.len();
            if sent >= len {
                self.pieces.pop_front();
                sent -= len;
                continue;
            }
            match front {
                Piece::Bytes(bytes) => bytes.advance(sent),
                Piece::Extern(region) => {
                    region.offset += sent as u64;
                    region.len -= sent;
                }
            }
            return;
        }
    }
}
