//! One client connection: frames in, replies out, as one task that never waits in only one place.
//!
//! Invariants:
//! * Requests start in the order of their frames, without waiting for earlier replies; replies leave in that order.
//! * A request that ends the connection does so when those before it have been answered.
//! * While a request has its turn ([`api::Client::take_turn`]) none behind it is started.
//! * What one client can pin is bounded: requests in flight, bytes of unsent replies, and its share of
//!   [`RequestMemory`]. At a bound the connection stops reading, and TCP tells the client.
//! * Answers that need not wait leave at most [`AT_ONCE_BYTES`] a turn, so that no client takes the thread for itself.
//! * A large request that stands still while others wait for its memory ends its connection.
//! * A client that has ended its side, or sent what ends the connection, gets what is answered within a short time.
//! * A connection that neither sends nor takes a byte for connections.max.idle.ms is closed, half a request or not.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use host::{BoxFuture, Instant, Sleep, Stream};

use super::frame::{FrameError, FrameReader};
use super::outbox::Outbox;
use super::request_memory::{Grant, Receipt, RequestMemory, SMALL_BYTES, Share};
use crate::Broker;
use crate::api::{self, Answer, Client, Protest};

/// Requests started and not yet answered. Kafka has one; pipelining clients (five in flight) need a few.
const IN_FLIGHT_MAX: usize = 64;
/// Above this many unsent bytes no further request is started. One reply may be larger.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of answers that a turn gives without waiting; then others have theirs. One answer may be larger.
const AT_ONCE_BYTES: usize = 128 * 1024;
/// What the smallest answer counts, since a request takes its time, too.
const ANSWER_BYTES_MIN: usize = AT_ONCE_BYTES / 8;

/// How long answers may still take when the client has said that it sends nothing more (it may be gone), or sent
/// something that ends the connection.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// How long a large request may stand still while one other waits for the memory that it has; the more wait, the
/// shorter, since some of them will stand still, too.
const STALL_MAX: Duration = Duration::from_secs(10);
/// But no shorter than this, which is also how often it is looked at.
const STALL_MIN: Duration = Duration::from_millis(500);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("the client closed the connection")]
    ByClient,
    #[error("the client closed the connection in the middle of a request")]
    InRequest,
    #[error("idle for longer than connections.max.idle.ms")]
    Idle,
    #[error("it stopped in the middle of a large request while others waited for the memory")]
    Stalled,
    #[error("the broker is stopping")]
    Stopping,
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Protest(#[from] Protest),
    #[error("{0}")]
    Io(#[from] io::Error),
}

struct Pending {
    answer: PendingAnswer,
    /// Given back when the reply is handed to the outbox.
    _share: Share,
}

enum PendingAnswer {
    Ready(Result<Answer, Protest>),
    Later(BoxFuture<'static, Result<Answer, Protest>>),
}

pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    client: Arc<Client>,
    broker: Arc<Broker>,
    frames: FrameReader,
    memory: RequestMemory,
    waiting_for_memory: Option<BoxFuture<'static, Option<Share>>>,
    share: Option<Share>,
    /// What the request on its way in has been given.
    receipt: Receipt,
    /// Its length.
    receiving_len: usize,
    waiting_to_receive: Option<BoxFuture<'static, Option<Grant>>>,
    pending: VecDeque<Pending>,
    outbox: Outbox,
    /// Bytes of answers that this turn may still give without waiting.
    at_once_bytes: usize,
    stop: BoxFuture<'static, ()>,
    stopping: bool,
    ended: bool,
    /// Why the connection ends as soon as what was asked for before is answered.
    closing: Option<Closed>,
    idle: Sleep,
    last_active: Instant,
}

impl Connection {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        client: Client,
        broker: Arc<Broker>,
        memory: RequestMemory,
        stop: BoxFuture<'static, ()>,
    ) -> Self {
        let now = broker.host.now();
        let idle = broker.host.clock.sleep(broker.limits.idle_max);
        Self {
            frames: FrameReader::new(broker.limits.request_bytes_max, broker.limits.decoded_bytes_max),
            stream,
            client: Arc::new(client),
            broker,
            memory,
            waiting_for_memory: None,
            share: None,
            receipt: Receipt::default(),
            receiving_len: 0,
            waiting_to_receive: None,
            pending: VecDeque::new(),
            outbox: Outbox::default(),
            at_once_bytes: AT_ONCE_BYTES,
            stop,
            stopping: false,
            ended: false,
            closing: None,
            idle,
            last_active: now,
        }
    }

    /// Serves until the connection ends; tells why it did.
    pub(crate) async fn run(mut self) -> Closed {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        if !self.stopping && self.stop.as_mut().poll(cx).is_ready() {
            self.stopping = true;
        }
        match self.turn(cx) {
            Err(closed) => return Poll::Ready(closed),
            Ok(()) if self.pending.is_empty() && self.outbox.is_empty() => {
                if let Some(closed) = self.closing.take() {
                    return Poll::Ready(closed);
                }
                if self.stopping {
                    return Poll::Ready(Closed::Stopping);
                }
                if self.ended {
                    return Poll::Ready(if self.frames.in_frame() {
                        Closed::InRequest
                    } else {
                        Closed::ByClient
                    });
                }
            }
            Ok(()) => {}
        }
        self.poll_idle(cx)
    }

    /// Moves everything that can move: answers to the outbox, the outbox to the network, the network to requests.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Closed> {
        self.at_once_bytes = AT_ONCE_BYTES;
        loop {
            self.collect_answers(cx);
            let unsent = self.outbox.bytes();
            let sent = self.outbox.poll_send(cx, &mut self.stream)?;
            if self.outbox.bytes() < unsent {
                self.last_active = self.broker.host.now();
            }
            if sent.is_pending() && self.outbox.bytes() >= UNSENT_BYTES_MAX {
                return Ok(());
            }
            if self.pending.len() >= self.in_flight_max() || self.stopping || self.closing.is_some() {
                return Ok(());
            }
            if self.at_once_bytes == 0 {
                // More may be there; it comes after those who wait for the thread.
                cx.waker().wake_by_ref();
                return Ok(());
            }
            if self.is_taking_turn(cx) {
                return Ok(());
            }
            match self.start_next(cx) {
                Ok(Poll::Ready(())) => {}
                Ok(Poll::Pending) => return Ok(()),
                Err(Closed::Io(error)) => return Err(error.into()),
                Err(closed) => {
                    self.closing = Some(closed);
                    self.begin_to_leave();
                }
            }
        }
    }

    /// From now on only answers to what was begun are waited for, and not for long.
    fn begin_to_leave(&mut self) {
        self.idle = self.broker.host.clock.sleep(LAST_ANSWERS);
        self.last_active = self.broker.host.now();
    }

    fn is_leaving(&self) -> bool {
        self.ended || self.closing.is_some()
    }

    /// While replies take all the memory there is for them, a connection with answers to take gets no others.
    fn in_flight_max(&self) -> usize {
        match self.broker.reply_memory.is_exhausted() {
            true if self.outbox.is_empty() => 1,
            true => 0,
            false => IN_FLIGHT_MAX,
        }
    }

    fn collect_answers(&mut self, cx: &mut Context<'_>) {
        while let Some(front) = self.pending.front_mut() {
            let answer = match &mut front.answer {
                PendingAnswer::Ready(answer) => std::mem::replace(answer, Ok(Answer::Nothing)),
                PendingAnswer::Later(future) => match future.as_mut().poll(cx) {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => return,
                },
            };
            self.pending.pop_front();
            match answer {
                Ok(Answer::Reply(frame, held)) => self.outbox.push(frame.into_pieces(), held),
                Ok(Answer::Nothing) => {}
                Err(protest) => {
                    self.pending.clear();
                    self.closing = Some(protest.into());
                }
            }
        }
    }

    /// Whether the newest request keeps those behind it waiting. It goes on even if others before it are not answered.
    fn is_taking_turn(&mut self, cx: &mut Context<'_>) -> bool {
        if self.client.is_taking_turn()
            && let Some(newest) = self.pending.back_mut()
            && let PendingAnswer::Later(future) = &mut newest.answer
            && let Poll::Ready(answer) = future.as_mut().poll(cx)
        {
            newest.answer = PendingAnswer::Ready(answer);
        }
        self.client.is_taking_turn()
    }

    /// Starts the next request, or reads towards it. Pending when there is nothing to do until something wakes us.
    fn start_next(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Closed> {
        if let Some(len) = self.frames.frame_len()? {
            if self.frames.is_whole(len) {
                let weight = self.frames.weight(len);
                if self.share.is_none() && self.poll_share(cx, weight).is_pending() {
                    return Ok(Poll::Pending);
                }
                if let Some(frame) = self.frames.next_frame()? {
                    self.receipt = Receipt::default();
                    self.last_active = self.broker.host.now();
                    return self.start(cx, frame).map(Poll::Ready);
                }
            } else if len > SMALL_BYTES {
                self.receiving_len = len;
                if self.receipt.is_empty() {
                    // From now on it is looked at more often.
                    self.idle = self.broker.host.clock.sleep(STALL_MIN);
                }
                if self.poll_receipt(cx, len).is_pending() {
                    return Ok(Poll::Pending);
                }
            }
        }
        if self.ended {
            return Ok(Poll::Pending);
        }
        match self.frames.poll_read(cx, &mut *self.stream) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Ok(0)) => {
                self.ended = true;
                self.begin_to_leave();
                Ok(Poll::Pending)
            }
            Poll::Ready(Ok(_)) => {
                self.last_active = self.broker.host.now();
                Ok(Poll::Ready(()))
            }
            Poll::Ready(Err(error)) => Err(error.into()),
        }
    }

    /// Room for what the next read may bring.
    fn poll_receipt(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<()> {
        if self.waiting_to_receive.is_none() {
            let waiting = self.memory.receive(len, &mut self.receipt, self.frames.bytes_wanted());
            self.waiting_to_receive = waiting.map(|waiting| Box::pin(waiting) as BoxFuture<'static, _>);
        }
        let Some(waiting) = &mut self.waiting_to_receive else { return Poll::Ready(()) };
        waiting.as_mut().poll(cx).map(|grant| {
            self.waiting_to_receive = None;
            // The semaphores are never closed.
            if let Some(grant) = grant {
                self.receipt.add(grant);
            }
        })
    }

    fn poll_share(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<()> {
        if self.waiting_for_memory.is_none() {
            self.share = self.memory.try_take(len);
            if self.share.is_some() {
                return Poll::Ready(());
            }
        }
        let memory = &self.memory;
        let waiting = self.waiting_for_memory.get_or_insert_with(|| Box::pin(memory.take(len)));
        match waiting.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(share) => {
                self.waiting_for_memory = None;
                self.share = share;
                Poll::Ready(())
            }
        }
    }

    /// The first poll happens here, so that a request has entered its shard before the next one is looked at.
    fn start(&mut self, cx: &mut Context<'_>, frame: bytes::Bytes) -> Result<(), Closed> {
        let Some(share) = self.share.take() else { return Ok(()) };
        let mut future = api::start(&self.broker, &self.client, &frame)?;
        let answer = match future.as_mut().poll(cx) {
            Poll::Ready(answer) => {
                let answer = answer?;
                let bytes = answer.bytes().max(ANSWER_BYTES_MIN);
                self.at_once_bytes = self.at_once_bytes.saturating_sub(bytes);
                PendingAnswer::Ready(Ok(answer))
            }
            Poll::Pending => PendingAnswer::Later(future),
        };
        self.pending.push_back(Pending { answer, _share: share });
        Ok(())
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Closed> {
        while Pin::new(&mut self.idle).poll(cx).is_ready() {
            let now = self.broker.host.now();
            let silent = now.since(self.last_active);
            let idle_max = self.idle_max();
            // Who waits for us has all the time it takes, unless it may be gone.
            let waits_for_us = !self.pending.is_empty() && !self.is_leaving();
            if silent >= idle_max && !waits_for_us {
                return Poll::Ready(Closed::Idle);
            }
            let waits_for_memory = self.waiting_to_receive.is_some() || self.waiting_for_memory.is_some();
            let may_stall = !self.receipt.is_empty() && !waits_for_memory;
            let waiting = u32::try_from(self.memory.waiting(self.receiving_len)).unwrap_or(u32::MAX);
            let stall_max = STALL_MAX.checked_div(waiting).map(|max| max.max(STALL_MIN));
            if may_stall && stall_max.is_some_and(|max| silent >= max) {
                return Poll::Ready(Closed::Stalled);
            }
            let look_again = if waits_for_us { now.after(idle_max / 8) } else { Instant::ZERO };
            let mut next = self.last_active.after(idle_max).max(look_again);
            if !self.receipt.is_empty() {
                next = next.min(now.after(STALL_MIN));
            }
            self.idle = self.broker.host.clock.sleep_until(next);
        }
        Poll::Pending
    }

    fn idle_max(&self) -> Duration {
        let idle_max = self.broker.limits.idle_max;
        if self.is_leaving() { idle_max.min(LAST_ANSWERS) } else { idle_max }
    }
}
