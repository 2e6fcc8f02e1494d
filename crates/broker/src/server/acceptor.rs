//! One listener: accepts connections, counts them, and hands each to a shard's reactor.
//!
//! Invariants:
//! * At max.connections, or above max.connection.creation.rate, of the broker or of the listener, one accepted
//!   connection waits and no other is accepted meanwhile; the kernel's backlog holds the rest.
//! * A connection above max.connections.per.ip is closed at once, as in Kafka.
//! * An error of accept (out of descriptors, say) concerns one connection; the listener goes on after a pause.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use host::{BoxFuture, Incoming, Listener, Place};
use tokio::sync::watch;

use super::connection::{Closed, Connection};
use super::limits::{ConnectionLimits, IpSlot, Slots};
use super::request_memory::RequestMemory;
use crate::Broker;
use crate::api::Client;

/// How soon a listener whose connections may come at a rate of 0 notices that they may come at another.
const CLOSED_PAUSE: Duration = Duration::from_secs(1);

/// How long a listener rests after accept has failed, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Acceptor {
    pub(crate) broker: Arc<Broker>,
    pub(crate) name: Arc<str>,
    pub(crate) listener: Box<dyn Listener>,
    pub(crate) limits: Arc<ConnectionLimits>,
    pub(crate) memory: RequestMemory,
    pub(crate) stop: watch::Receiver<bool>,
    /// Held by every connection: when all clones are gone, the last connection has ended.
    pub(crate) alive: tokio::sync::mpsc::Sender<()>,
}

impl Acceptor {
    /// Accepts until told to stop.
    pub(crate) async fn run(mut self) {
        let next_shard = AtomicUsize::new(0);
        let mut stop = stopped(self.stop.clone());
        loop {
            let accepted = unless(&mut stop, std::future::poll_fn(|cx| self.listener.poll_accept(cx)));
            match accepted.await {
                None => return,
                Some(Ok(incoming)) => {
                    let ip = incoming.peer_addr().ip();
                    let admit = admit(self.broker.clone(), self.limits.clone(), self.name.clone(), ip);
                    let Some(admitted) = unless(&mut stop, admit).await else { return };
                    let Some(slots) = admitted else {
                        tracing::info!(peer = %incoming.peer_addr(), listener = %self.name,
                            "closed a new connection: more than max.connections.per.ip from this address");
                        continue;
                    };
                    let shard = next_shard.fetch_add(1, Ordering::Relaxed);
                    self.serve(incoming, shard, slots);
                }
                Some(Err(error)) => {
                    tracing::warn!(listener = %self.name, %error, "could not accept a connection");
                    if unless(&mut stop, self.broker.host.clock.sleep(ACCEPT_PAUSE)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    fn serve(&self, incoming: Box<dyn Incoming>, shard: usize, slots: impl Send + 'static) {
        let broker = self.broker.clone();
        let host = broker.host.clone();
        let (memory, stop) = (self.memory.clone(), stopped(self.stop.clone()));
        let (name, alive) = (self.name.clone(), self.alive.clone());
        host.spawn(Place::Shard(shard), "connection", async move {
            let peer = incoming.peer_addr();
            match incoming.into_stream() {
                Ok(stream) => {
                    let client = Client::new(name, peer);
                    log_end(peer, &Connection::new(stream, client, broker, memory, stop).run().await);
                }
                Err(error) => tracing::debug!(%peer, %error, "the connection broke before it was served"),
            }
            drop((slots, alive));
        });
    }
}

fn log_end(peer: std::net::SocketAddr, closed: &Closed) {
    match closed {
        Closed::ByClient | Closed::Stopping | Closed::Idle | Closed::Io(_) => {
            tracing::debug!(%peer, reason = %closed, "connection ended");
        }
        Closed::InRequest | Closed::Stalled | Closed::Frame(_) | Closed::Protest(_) => {
            tracing::warn!(%peer, reason = %closed, "closed a connection");
        }
    }
}

/// Resolves when the broker stops (or is gone).
fn stopped(mut stop: watch::Receiver<bool>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let _ = stop.wait_for(|stop| *stop).await;
    })
}

/// Waits for a connection's turn; `None` if its address has too many.
async fn admit(
    broker: Arc<Broker>,
    limits: Arc<ConnectionLimits>,
    listener: Arc<str>,
    ip: IpAddr,
) -> Option<(Slots, IpSlot)> {
    while limits.is_closed(&listener) {
        broker.host.clock.sleep(CLOSED_PAUSE).await;
    }
    let delay = limits.created(&listener, broker.host.now());
    if !delay.is_zero() {
        tracing::debug!(%listener, %ip, ?delay, "more than max.connection.creation.rate");
        broker.host.clock.sleep(delay).await;
    }
    let slots = limits.slot(&listener).await?;
    Some((slots, limits.enter(ip)?))
}

/// The future's value, or none when the broker stops first.
async fn unless<T>(stop: &mut BoxFuture<'static, ()>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
