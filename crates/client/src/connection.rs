//! [`Connection`]: requests to one broker over one stream, pipelined.
//!
//! Invariants:
//! * Requests leave in the order in which [`Connection::send`] was called; answers are matched by correlation id and
//!   must come in the same order, as Kafka promises.
//! * When anything about the stream is wrong, every waiting request hears of it and the connection is over.
//! * An answer is at most `response_bytes_max` long, and its buffer grows with what has arrived.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use host::{Host, Place};
use protocol::wire::Request;
use protocol::{ApiKey, Frame, Str, VersionRange, Writer, rpc};
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::driver::{Driver, Outgoing, Waiting};
use crate::handshake::{self, Versions};

#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    pub client_id: Str,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    /// The longest answer that is read.
    pub response_bytes_max: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: Str::from("bourn"),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            response_bytes_max: 128 << 20,
        }
    }
}

/// Requests handed in and not yet on the wire.
const OUTGOING_MAX: usize = 64;

/// Cheap handle. The stream is closed when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    host: Host,
    address: Arc<str>,
    options: Arc<ConnectionOptions>,
    versions: Arc<Versions>,
    outgoing: mpsc::Sender<Outgoing>,
    next_correlation_id: Arc<AtomicI32>,
}

impl Connection {
    /// Connects and learns what the broker speaks.
    pub async fn open(
        host: &Host,
        address: (&str, u16),
        options: Arc<ConnectionOptions>,
    ) -> Result<Self, Error> {
        let (name, port) = address;
        let text: Arc<str> =
            Arc::from(if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") });
        let timeout = options.connect_timeout;
        let failed = |reason: String| Error::Connect { address: text.to_string(), reason };
        let connected = within(host, timeout, host.net.connect(name, port)).await;
        let stream = connected
            .ok_or_else(|| failed(format!("no answer within {} ms", timeout.as_millis())))?
            .map_err(|error| failed(error.to_string()))?;
        let (outgoing, receive) = mpsc::channel(OUTGOING_MAX);
        let driver = Driver::new(stream, text.clone(), options.response_bytes_max, receive);
        host.spawn(Place::Control, "client connection", driver.run());
        let mut this = Self {
            host: host.clone(),
            address: text,
            options,
            versions: Arc::default(),
            outgoing,
            next_correlation_id: Arc::default(),
        };
        this.versions = Arc::new(handshake::versions(&this).await?);
        Ok(this)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The newest version that both sides know.
    pub fn version(&self, api: ApiKey, ours: VersionRange) -> Result<i16, Error> {
        let unsupported = || Error::Unsupported { address: self.address.to_string(), api };
        let theirs = self.versions.of(api).ok_or_else(unsupported)?;
        let newest = theirs.max.min(ours.max);
        if newest < theirs.min.max(ours.min) { Err(unsupported()) } else { Ok(newest) }
    }

    /// Sends in the newest common version and waits for the answer.
    pub async fn call<R: Request>(&self, request: &R) -> Result<R::Response, Error> {
        let stable = VersionRange::new(R::KEY.versions().min, R::KEY.info().stable_max);
        let version = self.version(R::KEY, stable)?;
        self.call_in(version, request, Duration::ZERO).await
    }

    /// Sends in one version. `patience` is added to the request timeout: for requests that wait at the broker.
    pub async fn call_in<R: Request>(
        &self,
        version: i16,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, Error> {
        let frame = self.call_frame(version, request, patience).await?;
        let (_, response) =
            rpc::decode_response::<R>(&frame, version).map_err(|error| self.malformed(error))?;
        Ok(response)
    }

    pub(crate) async fn call_frame<R: Request>(
        &self,
        version: i16,
        request: &R,
        patience: Duration,
    ) -> Result<Bytes, Error> {
        let answer = self.send(version, request).await?;
        let timeout = self.options.request_timeout.saturating_add(patience);
        let answer = within(&self.host, timeout, answer).await.ok_or_else(|| Error::TimedOut {
            address: self.address.to_string(),
            api: R::KEY.name(),
            ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        })?;
        answer.unwrap_or_else(|_| Err(self.gone("closed")))
    }

    /// Puts a request on the wire; its answer's frame comes through the receiver.
    pub async fn send<R: Request>(
        &self,
        version: i16,
        request: &R,
    ) -> Result<oneshot::Receiver<Result<Bytes, Error>>, Error> {
        let (reply, receive) = oneshot::channel();
        let (correlation_id, frame) = self.encode(version, request)?;
        self.hand_in(Outgoing { frame, waiting: Some(Waiting { correlation_id, reply }) }).await?;
        Ok(receive)
    }

    /// Puts a request on the wire that has no answer: Produce with acks=0.
    pub async fn send_and_forget<R: Request>(&self, version: i16, request: &R) -> Result<(), Error> {
        let (_, frame) = self.encode(version, request)?;
        self.hand_in(Outgoing { frame, waiting: None }).await
    }

    fn encode<R: Request>(&self, version: i16, request: &R) -> Result<(i32, Frame), Error> {
        let id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let client_id = Some(self.options.client_id.clone());
        let frame = rpc::encode_request(&mut Writer::new(), version, id, client_id, request);
        Ok((id, frame.map_err(|error| Error::Invalid(error.to_string()))?))
    }

    async fn hand_in(&self, outgoing: Outgoing) -> Result<(), Error> {
        self.outgoing.send(outgoing).await.map_err(|_| self.gone("closed"))
    }

    /// Whether the stream is known to be over.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    pub(crate) fn gone(&self, reason: &str) -> Error {
        Error::Disconnected { address: self.address.to_string(), reason: reason.to_owned() }
    }

    pub(crate) fn malformed(&self, error: protocol::wire::Error) -> Error {
        Error::Malformed { address: self.address.to_string(), error }
    }
}

/// The future's value, unless so much time passes first.
pub(crate) async fn within<T>(host: &Host, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut timer = host.clock.sleep(limit);
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
    })
    .await
}
