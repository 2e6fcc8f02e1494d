//! The task that owns a connection's stream: writes what is handed in, reads answers, hands them out.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use host::Stream;
use protocol::Frame;
use protocol::wire::Piece;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::{mpsc, oneshot};

use crate::Error;

const READ_BYTES: usize = 64 << 10;
const PREFIX_BYTES: usize = 4;
/// Above this many unsent bytes no further request is taken from the queue.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Pieces of one vectored write.
const SLICES_MAX: usize = 32;

/// A request on its way out.
pub(crate) struct Outgoing {
    pub(crate) frame: Frame,
    pub(crate) tell: Tell,
}

/// What is told to whoever has sent a request.
pub(crate) enum Tell {
    Answer(Waiting),
    /// There is no answer: that the stream has taken it.
    Written(oneshot::Sender<()>),
}

pub(crate) struct Waiting {
    pub(crate) correlation_id: i32,
    pub(crate) reply: oneshot::Sender<Result<Bytes, Error>>,
}

pub(crate) struct Driver {
    stream: Box<dyn Stream>,
    address: Arc<str>,
    response_bytes_max: usize,
    outgoing: mpsc::Receiver<Outgoing>,
    aborted: Option<oneshot::Receiver<String>>,
    /// All handles are gone: nothing more will be handed in.
    closing: bool,
    unsent: VecDeque<Bytes>,
    unsent_bytes: usize,
    /// Bytes of requests since the beginning, and of them those that the stream has taken.
    taken: u64,
    written: u64,
    /// Who waits until the stream has taken so many bytes.
    unwritten: VecDeque<(u64, oneshot::Sender<()>)>,
    incoming: BytesMut,
    waiting: VecDeque<Waiting>,
}

impl Driver {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        address: Arc<str>,
        response_bytes_max: usize,
        outgoing: mpsc::Receiver<Outgoing>,
        aborted: oneshot::Receiver<String>,
    ) -> Self {
        Self {
            stream,
            address,
            response_bytes_max,
            outgoing,
            aborted: Some(aborted),
            closing: false,
            unsent: VecDeque::new(),
            unsent_bytes: 0,
            taken: 0,
            written: 0,
            unwritten: VecDeque::new(),
            incoming: BytesMut::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Until the stream ends, or all handles are gone and all answers are here.
    pub(crate) async fn run(mut self) {
        let reason = std::future::poll_fn(|cx| self.poll(cx)).await;
        self.outgoing.close();
        let mut late: Vec<Waiting> = self.waiting.drain(..).collect();
        while let Ok(outgoing) = self.outgoing.try_recv() {
            if let Tell::Answer(waiting) = outgoing.tell {
                late.push(waiting);
            }
        }
        for waiting in late {
            let error = Error::Disconnected { address: self.address.to_string(), reason: reason.clone() };
            // Whoever asked may have given up.
            let _ = waiting.reply.send(Err(error));
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        if let Some(aborted) = &mut self.aborted {
            match pin!(aborted).poll(cx) {
                Poll::Ready(Ok(reason)) => return Poll::Ready(reason),
                Poll::Ready(Err(_)) => self.aborted = None,
                Poll::Pending => {}
            }
        }
        if let Err(reason) = self.write(cx).and_then(|()| self.read(cx)) {
            return Poll::Ready(reason);
        }
        let done = self.closing && self.unsent.is_empty() && self.waiting.is_empty();
        if done { Poll::Ready("closed".to_owned()) } else { Poll::Pending }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        loop {
            while !self.closing && self.unsent_bytes < UNSENT_BYTES_MAX {
                match self.outgoing.poll_recv(cx) {
                    Poll::Ready(Some(outgoing)) => self.take(outgoing),
                    Poll::Ready(None) => self.closing = true,
                    Poll::Pending => break,
                }
            }
            if self.unsent.is_empty() {
                return Ok(());
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut used = 0;
            for (slice, bytes) in slices.iter_mut().zip(&self.unsent) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
            let slices = slices.get(..used).unwrap_or_default();
            match Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err("the stream takes no more".to_owned()),
                Poll::Ready(Ok(sent)) => self.sent(sent),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    fn take(&mut self, outgoing: Outgoing) {
        for piece in outgoing.frame.into_pieces() {
            // A client has no file regions to send.
            if let Piece::Bytes(bytes) = piece {
                self.unsent_bytes += bytes.len();
                self.taken += bytes.len() as u64;
                self.unsent.push_back(bytes);
            }
        }
        match outgoing.tell {
            Tell::Answer(waiting) => self.waiting.push_back(waiting),
            Tell::Written(reply) => self.unwritten.push_back((self.taken, reply)),
        }
    }

    fn sent(&mut self, mut sent: usize) {
        self.unsent_bytes = self.unsent_bytes.saturating_sub(sent);
        self.written += sent as u64;
        while let Some((_, reply)) = self.unwritten.pop_front_if(|first| first.0 <= self.written) {
            // Whoever asked may have given up.
            let _ = reply.send(());
        }
        while let Some(front) = self.unsent.front_mut() {
            if sent < front.len() {
                front.advance(sent);
                return;
            }
            sent -= front.len();
            self.unsent.pop_front();
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        loop {
            while let Some(frame) = self.next_frame()? {
                self.answer(frame)?;
            }
            self.incoming.reserve(READ_BYTES.max(self.incoming.len().min(self.response_bytes_max)));
            match pin!(self.stream.read_buf(&mut self.incoming)).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err("the broker closed it".to_owned()),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    fn next_frame(&mut self) -> Result<Option<Bytes>, String> {
        let Some(prefix) = self.incoming.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
        let claimed = i32::from_be_bytes(*prefix);
        let len = usize::try_from(claimed).ok().filter(|len| *len <= self.response_bytes_max);
        let len = len.ok_or_else(|| format!("an answer claims a length of {claimed} bytes"))?;
        if self.incoming.len() < PREFIX_BYTES + len {
            return Ok(None);
        }
        self.incoming.advance(PREFIX_BYTES);
        Ok(Some(self.incoming.split_to(len).freeze()))
    }

    fn answer(&mut self, frame: Bytes) -> Result<(), String> {
        let waiting = self.waiting.pop_front().ok_or("an answer came that nobody asked for")?;
        let id = frame.first_chunk().map(|id| i32::from_be_bytes(*id));
        if id != Some(waiting.correlation_id) {
            let expected = waiting.correlation_id;
            self.waiting.push_front(waiting);
            return Err(format!("the answer to request {expected} has correlation id {id:?}"));
        }
        // Whoever asked may have given up.
        let _ = waiting.reply.send(Ok(frame));
        Ok(())
    }
}
