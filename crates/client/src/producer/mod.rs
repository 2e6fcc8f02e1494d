//! [`Producer`]: collects records into batches and writes them, each record once and in order.
//!
//! Owns: partitioning, batching, compression, sequences, retries, delivery results, the memory of what is unsent.
//!
//! Invariants:
//! * Every record that `send` has taken gets exactly one result, within the delivery timeout and one request timeout.
//! * The records of a partition leave in the order of `send`; with idempotence they are also written in that order
//!   and once, whatever is retried.
//! * What is buffered or in flight is at most `buffer_bytes`; `send` waits for room.
//!
//! Does not know: transactions (a later issue).

mod answer;
mod batch;
mod partitioner;
mod queue;
mod requests;
mod service;
mod topics;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::{BATCH_OVERHEAD, Compression};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

pub use self::partitioner::{murmur2, partition_of_key};
use self::service::Service;
use crate::cluster::refused;
use crate::connection::within;
use crate::{Cluster, Delivered, Error, ProducerRecord};

/// When a record counts as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acks {
    /// When it is sent. Losses are not noticed.
    None,
    /// When the leader has it.
    Leader,
    /// When all in-sync replicas have it.
    #[default]
    All,
}

impl Acks {
    fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// The defaults are those of Kafka's producer.
#[derive(Clone, Debug)]
pub struct ProducerOptions {
    pub acks: Acks,
    /// Each record once and in order, whatever is retried. Needs [`Acks::All`] and at most five requests in flight.
    pub idempotence: bool,
    pub compression: Compression,
    /// A batch is sent when its records are so large before compression, or [`ProducerOptions::linger`] is over.
    pub batch_bytes: usize,
    pub linger: Duration,
    pub buffer_bytes: usize,
    /// How long `send` waits for room in the buffer.
    pub block_max: Duration,
    pub request_bytes_max: usize,
    /// Requests in flight to one broker.
    pub in_flight_max: usize,
    /// From `send` to the result.
    pub delivery_timeout: Duration,
    /// Let a broker that creates topics automatically do so.
    pub create_topics: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotence: true,
            compression: Compression::default(),
            batch_bytes: 16 << 10,
            linger: Duration::from_millis(5),
            buffer_bytes: 32 << 20,
            block_max: Duration::from_secs(60),
            request_bytes_max: 1 << 20,
            in_flight_max: 5,
            delivery_timeout: Duration::from_secs(120),
            create_topics: true,
        }
    }
}

/// The broker remembers so many batches of an idempotent producer for each partition.
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;
/// Records handed in that the task has not looked at yet.
const MAILBOX: usize = 4096;

impl ProducerOptions {
    fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Invalid(text.to_owned()));
        if self.idempotence && self.acks != Acks::All {
            return wrong("idempotence needs acks=all");
        }
        if self.idempotence && self.in_flight_max > IDEMPOTENT_IN_FLIGHT_MAX {
            return wrong("idempotence allows at most 5 requests in flight");
        }
        if self.in_flight_max == 0 {
            return wrong("at least one request must be allowed in flight");
        }
        if self.buffer_bytes < self.batch_bytes {
            return wrong("the buffer of a producer must hold at least one batch");
        }
        Ok(())
    }
}

#[derive(Debug)]
enum Message {
    Send {
        record: ProducerRecord,
        reply: oneshot::Sender<Result<Delivered, Error>>,
        room: OwnedSemaphorePermit,
    },
    /// Answered by being dropped, once all that was sent before has its result.
    Flush(FlushGuard),
    /// Somebody waits for room: nothing lingers any more.
    Pressed,
}

/// Tells when its last holder is gone.
#[derive(Debug)]
struct FlushGuard {
    _done: oneshot::Sender<()>,
}

/// Cheap handle. When the last one is dropped, what is buffered is still written.
#[derive(Clone, Debug)]
pub struct Producer {
    cluster: Cluster,
    options: Arc<ProducerOptions>,
    mailbox: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
    pressing: Arc<AtomicUsize>,
}

impl Producer {
    pub fn start(cluster: &Cluster, options: ProducerOptions) -> Result<Self, Error> {
        options.check()?;
        let options = Arc::new(options);
        let (mailbox, receive) = mpsc::channel(MAILBOX);
        let room = Arc::new(Semaphore::new(room_of(options.buffer_bytes) as usize));
        let pressing = Arc::default();
        let service = Service::new(cluster, &options, receive, Arc::clone(&pressing));
        cluster.host().spawn(cluster.place(), "client producer", service.run());
        Ok(Self { cluster: cluster.clone(), options, mailbox, room, pressing })
    }

    pub fn options(&self) -> &ProducerOptions {
        &self.options
    }

    /// Hands a record over; waits for room in the buffer only. The result comes through the [`Delivery`].
    pub async fn send(&self, mut record: ProducerRecord) -> Result<Delivery, Error> {
        let size = size_of(&record);
        if size > self.options.request_bytes_max || size > self.options.buffer_bytes {
            let limit = self.options.request_bytes_max.min(self.options.buffer_bytes);
            let message = format!("a record of {size} bytes is larger than this producer allows ({limit})");
            return Err(refused(
                record.topic.as_str(),
                ErrorCode::MessageTooLarge,
                Some(&message.as_str().into()),
            ));
        }
        record.timestamp.get_or_insert_with(|| self.cluster.host().clock.wall_ms());
        let room = self.reserve(size).await?;
        let (reply, receive) = oneshot::channel();
        let message = Message::Send { record, reply, room };
        self.mailbox.send(message).await.map_err(|_| Error::Closed)?;
        Ok(Delivery { receive })
    }

    async fn reserve(&self, size: usize) -> Result<OwnedSemaphorePermit, Error> {
        let permits = room_of(size);
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(permits) {
            return Ok(room);
        }
        let _pressing = Pressing::new(&self.pressing);
        self.mailbox.send(Message::Pressed).await.map_err(|_| Error::Closed)?;
        let limit = self.options.block_max;
        let acquired = Arc::clone(&self.room).acquire_many_owned(permits);
        match within(self.cluster.host(), limit, acquired).await {
            Some(room) => room.map_err(|_| Error::Closed),
            None => Err(Error::Expired {
                what: "the buffer of the producer is full".to_owned(),
                ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    /// Waits until everything that was sent before has its result; nothing of it lingers.
    pub async fn flush(&self) -> Result<(), Error> {
        let (done, is_done) = oneshot::channel();
        let message = Message::Flush(FlushGuard { _done: done });
        self.mailbox.send(message).await.map_err(|_| Error::Closed)?;
        // It is dropped, never sent.
        let _ = is_done.await;
        Ok(())
    }
}

/// Counts those who wait for room.
struct Pressing<'a>(&'a AtomicUsize);

impl<'a> Pressing<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Pressing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The result of one record, as a future.
#[derive(Debug)]
pub struct Delivery {
    receive: oneshot::Receiver<Result<Delivered, Error>>,
}

impl Future for Delivery {
    type Output = Result<Delivered, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        pin!(&mut self.receive).poll(cx).map(|result| result.unwrap_or(Err(Error::Closed)))
    }
}

/// Permits of the semaphore: bytes.
fn room_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Bytes that a record takes in a batch of its own, at most.
fn size_of(record: &ProducerRecord) -> usize {
    // Length, attributes, timestamp, offset, lengths of key and value, number of headers.
    const FIXED: usize = 5 + 1 + 10 + 5 + 5 + 5 + 5;
    let len = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers = record.headers.iter().map(|header| header.key.len() + len(&header.value) + 10);
    BATCH_OVERHEAD + FIXED + len(&record.key) + len(&record.value) + headers.sum::<usize>()
}
