//! What an API is: the versions it has, and a function from request to reply.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use host::BoxFuture;
use protocol::wire::{self, Piece, Reader, Request};
use protocol::{ApiKey, Frame, Str, Writer, rpc};

use crate::Broker;
use crate::server::Held;

/// What Kafka calls software that has not said what it is.
const UNNAMED: &str = "unknown";

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Client {
    /// Name of the listener: addresses in replies are those advertised for it.
    pub(crate) listener: Arc<str>,
    pub(crate) peer: SocketAddr,
    /// What it says it is (KIP-511), once it has.
    pub(crate) named: OnceLock<(Str, Str)>,
    /// One of its requests has a [`Turn`].
    has_turn: AtomicBool,
}

/// While it lives, no further request of the connection is begun.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Client>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.has_turn.store(false, Ordering::Relaxed);
    }
}

impl Client {
    pub(crate) fn new(listener: Arc<str>, peer: SocketAddr) -> Self {
        Self { listener, peer, named: OnceLock::new(), has_turn: AtomicBool::new(false) }
    }

    /// For the newest request of the connection, before its first wait.
    pub(crate) fn take_turn(self: &Arc<Self>) -> Turn {
        self.has_turn.store(true, Ordering::Relaxed);
        Turn(self.clone())
    }

    pub(crate) fn is_taking_turn(&self) -> bool {
        self.has_turn.load(Ordering::Relaxed)
    }

    /// Name and version of its software.
    pub(crate) fn software(&self) -> (&str, &str) {
        self.named.get().map_or((UNNAMED, UNNAMED), |(name, version)| (name, version))
    }
}

/// One request's circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) broker: Arc<Broker>,
    pub(crate) client: Arc<Client>,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    /// What the client calls itself.
    pub(crate) client_id: Option<Str>,
}

/// What goes back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// With the memory that it takes.
    Reply(Frame, Held),
    /// Produce with acks=0.
    Nothing,
}

impl Answer {
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Answer::Reply(frame, _) => frame.len(),
            Answer::Nothing => 0,
        }
    }
}

/// Why a request is answered by closing the connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Protest {
    #[error("could not decode the header of a request: {0}")]
    Header(wire::Error),
    #[error("{key:?} version {version} is not supported")]
    Version { key: ApiKey, version: i16 },
    #[error("{key:?} is not served here")]
    NotServed { key: ApiKey },
    #[error("could not decode {key:?} version {version}: {error}")]
    Body { key: ApiKey, version: i16, error: wire::Error },
    #[error("could not encode the reply to {key:?} version {version}: {error}")]
    Reply { key: ApiKey, version: i16, error: wire::Error },
    #[error("a write with acks=0 failed: {0}")]
    UnacknowledgedWrite(String),
}

pub(crate) type Started = BoxFuture<'static, Result<Answer, Protest>>;

/// An API key's place in the route table.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) advertised: RangeInclusive<i16>,
    pub(crate) accepted: RangeInclusive<i16>,
    pub(crate) start: fn(Call, Reader<'_>) -> Result<Started, Protest>,
}

/// Implemented once per API key.
pub(crate) trait Handler: 'static {
    type Request: Request;

    /// What ApiVersions says.
    const ADVERTISED: RangeInclusive<i16>;

    /// What is answered; differs from what is advertised for Produce only (KAFKA-18659).
    const ACCEPTED: RangeInclusive<i16> = Self::ADVERTISED;

    /// `None` is no reply at all.
    fn handle(
        call: Call,
        request: Self::Request,
    ) -> impl Future<Output = Result<Option<<Self::Request as Request>::Response>, Protest>> + Send;

    fn api() -> Api {
        Api {
            key: Self::Request::KEY,
            advertised: Self::ADVERTISED,
            accepted: Self::ACCEPTED,
            start: start::<Self>,
        }
    }
}

fn start<H: Handler + ?Sized>(call: Call, mut body: Reader<'_>) -> Result<Started, Protest> {
    use protocol::wire::Message;
    let (key, version) = (H::Request::KEY, call.version);
    // What may follow the message is ignored, as in Kafka.
    let request =
        H::Request::decode(&mut body, version).map_err(|error| Protest::Body { key, version, error })?;
    let correlation_id = call.correlation_id;
    let broker = call.broker.clone();
    Ok(Box::pin(async move {
        let Some(response) = H::handle(call, request).await? else { return Ok(Answer::Nothing) };
        let frame = rpc::encode_response(&mut Writer::new(), version, correlation_id, &response);
        frame.map(|frame| reply(&broker, frame)).map_err(|error| Protest::Reply { key, version, error })
    }))
}

/// A reply, counted.
pub(super) fn reply(broker: &Broker, frame: Frame) -> Answer {
    let in_memory = |piece: &Piece| match piece {
        Piece::Bytes(bytes) => bytes.len(),
        Piece::Extern(_) => 0,
    };
    let held = broker.reply_memory.hold(frame.pieces().iter().map(in_memory).sum());
    Answer::Reply(frame, held)
}
