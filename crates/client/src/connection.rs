//! [`Connection`]: requests to one broker over one stream, pipelined.
//!
//! Invariants:
//! * Requests leave in the order in which [`Connection::send`] was called; answers are matched by correlation id and
//!   must come in the same order, as Kafka promises.
//! * When anything about the stream is wrong, every waiting request hears of it and the connection is over.
//! * An answer is at most `response_bytes_max` long, and its buffer grows with what has arrived.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use host::{Host, Place};
use protocol::wire::Request;
use protocol::{ApiKey, Frame, Str, VersionRange, Writer, rpc};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::driver::{Driver, Outgoing, Tell, Waiting};
use crate::handshake::{self, Versions};

#[derive(Clone, Debug)]
pub struct ConnectionOptions {
    pub client_id: Str,
    /// Where the connection's task runs. Whoever blocks its own thread puts the connection on another.
    pub place: Place,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    /// The longest answer that is read.
    pub response_bytes_max: usize,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: Str::from("bourn"),
            place: Place::Control,
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
    abort: Arc<Mutex<Option<oneshot::Sender<String>>>>,
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
        let (outgoing, receive) = mpsc::channel(OUTGOING_MAX);
        let (abort, aborted) = oneshot::channel();
        let (connected, is_connected) = oneshot::channel();
        let (on, peer, bytes_max) = (host.clone(), text.clone(), options.response_bytes_max);
        let name = name.to_owned();
        host.spawn(options.place, "client connection", async move {
            match on.net.connect(&name, port).await {
                Ok(stream) => {
                    // Whoever asked may have given up; the driver then ends, since no handle is left.
                    let _ = connected.send(Ok(()));
                    Driver::new(stream, peer, bytes_max, receive, aborted).run().await;
                }
                Err(error) => {
                    let _ = connected.send(Err(error));
                }
            }
        });
        let failed = |reason: String| Error::Connect { address: text.to_string(), reason };
        match within(host, timeout, is_connected).await {
            Some(Ok(Ok(()))) => {}
            Some(Ok(Err(error))) => return Err(failed(reason_of(&error, &text))),
            Some(Err(_)) => return Err(failed("the connecting task is gone".to_owned())),
            None => return Err(failed(format!("no answer within {} ms", timeout.as_millis()))),
        }
        let mut this = Self {
            host: host.clone(),
            address: text,
            options,
            versions: Arc::default(),
            outgoing,
            next_correlation_id: Arc::default(),
            abort: Arc::new(Mutex::new(Some(abort))),
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
        self.call_in(self.newest::<R>()?, request, Duration::ZERO).await
    }

    /// The newest common version of a request that is not marked unstable.
    pub fn newest<R: Request>(&self) -> Result<i16, Error> {
        self.version(R::KEY, VersionRange::new(R::KEY.versions().min, R::KEY.info().stable_max))
    }

    /// Sends in one version. `patience` is added to the request timeout: for requests that wait at the broker.
    pub async fn call_in<R: Request>(
        &self,
        version: i16,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, Error> {
        self.send(version, request).await?.response(patience).await
    }

    /// Puts a request on the wire; its place among the connection's requests is fixed when this returns.
    pub async fn send<R: Request>(&self, version: i16, request: &R) -> Result<Answer<R>, Error> {
        let (reply, receive) = oneshot::channel();
        let (correlation_id, frame) = self.encode(version, request)?;
        let tell = Tell::Answer(Waiting { correlation_id, reply });
        self.hand_in::<R>(Outgoing { frame, tell }).await?;
        Ok(Answer { connection: self.clone(), version, receive, request: PhantomData })
    }

    /// As [`Connection::send`], for a request that has no answer: Produce with acks=0.
    pub async fn send_unanswered<R: Request>(&self, version: i16, request: &R) -> Result<Written<R>, Error> {
        let (reply, receive) = oneshot::channel();
        let (_, frame) = self.encode(version, request)?;
        self.hand_in::<R>(Outgoing { frame, tell: Tell::Written(reply) }).await?;
        Ok(Written { connection: self.clone(), receive, request: PhantomData })
    }

    fn encode<R: Request>(&self, version: i16, request: &R) -> Result<(i32, Frame), Error> {
        let id = self.next_correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let client_id = Some(self.options.client_id.clone());
        let frame = rpc::encode_request(&mut Writer::new(), version, id, client_id, request);
        Ok((id, frame.map_err(|error| Error::Invalid(error.to_string()))?))
    }

    /// Waits for a place in the queue. A broker that reads nothing is given up like one that answers nothing.
    async fn hand_in<R: Request>(&self, outgoing: Outgoing) -> Result<(), Error> {
        let outgoing = match self.outgoing.try_send(outgoing) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(outgoing)) => outgoing,
            Err(TrySendError::Closed(_)) => return Err(self.gone("closed")),
        };
        let timeout = self.options.request_timeout;
        match within(&self.host, timeout, self.outgoing.send(outgoing)).await {
            Some(sent) => sent.map_err(|_| self.gone("closed")),
            None => Err(self.overdue::<R>(timeout)),
        }
    }

    /// Closes a connection whose broker has not done in time what a request of this kind asks for.
    fn overdue<R: Request>(&self, timeout: Duration) -> Error {
        let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.close(&format!("{} was not answered within {ms} ms", R::KEY.name()));
        Error::TimedOut { address: self.address.to_string(), api: R::KEY.name(), ms }
    }

    /// Whether the stream is known to be over.
    pub fn is_closed(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// Ends the connection: what waits on it hears `reason`.
    pub fn close(&self, reason: &str) {
        let abort = self.abort.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(abort) = abort {
            // The driver may have ended on its own.
            let _ = abort.send(reason.to_owned());
        }
    }

    pub(crate) fn gone(&self, reason: &str) -> Error {
        Error::Disconnected { address: self.address.to_string(), reason: reason.to_owned() }
    }

    pub(crate) fn malformed(&self, error: protocol::wire::Error) -> Error {
        Error::Malformed { address: self.address.to_string(), error }
    }
}

/// A request that is on its way, and whose answer is still to come.
#[derive(Debug)]
pub struct Answer<R> {
    connection: Connection,
    version: i16,
    receive: oneshot::Receiver<Result<Bytes, Error>>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Answer<R> {
    /// Waits for the answer, `patience` longer than the request timeout. A broker that does not answer in time has
    /// its connection closed: the answers behind this one would not come either.
    pub async fn response(self, patience: Duration) -> Result<R::Response, Error> {
        let (connection, version) = (self.connection.clone(), self.version);
        let frame = self.frame(patience).await?;
        match rpc::decode_response::<R>(&frame, version) {
            Ok((_, response)) => Ok(response),
            Err(error) => {
                connection.close("it sent something that is no answer");
                Err(connection.malformed(error))
            }
        }
    }

    pub(crate) async fn frame(self, patience: Duration) -> Result<Bytes, Error> {
        let connection = self.connection;
        let timeout = connection.options.request_timeout.saturating_add(patience);
        match within(&connection.host, timeout, self.receive).await {
            Some(Ok(answer)) => answer,
            Some(Err(_)) => Err(connection.gone("closed")),
            None => Err(connection.overdue::<R>(timeout)),
        }
    }
}

/// A request without an answer, on its way to the stream.
#[derive(Debug)]
pub struct Written<R> {
    connection: Connection,
    receive: oneshot::Receiver<()>,
    request: PhantomData<fn() -> R>,
}

impl<R: Request> Written<R> {
    /// Waits until the stream has taken the request; nothing more is known of it.
    pub async fn done(self) -> Result<(), Error> {
        let timeout = self.connection.options.request_timeout;
        match within(&self.connection.host, timeout, self.receive).await {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(self.connection.gone("closed")),
            None => Err(self.connection.overdue::<R>(timeout)),
        }
    }
}

/// What went wrong, without the address, which the error names anyway.
fn reason_of(error: &std::io::Error, address: &str) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::TimedOut => "timed out".to_owned(),
        _ => {
            let text = error.to_string();
            let plain = text.strip_prefix("cannot connect to ").and_then(|rest| rest.strip_prefix(address));
            plain.and_then(|rest| rest.strip_prefix(": ")).map_or(text.clone(), str::to_owned)
        }
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
