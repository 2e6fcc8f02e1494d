//! One listener: accepts connections, counts them, and hands each to a shard's reactor.
//!
//! Invariants:
//! * At max.connections nothing is accepted until a connection ends; the kernel's backlog holds the rest.
//! * A connection above max.connections.per.ip is closed at once, as in Kafka.
//! * An error of accept (out of descriptors, say) concerns one connection; the listener goes on after a pause.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::{BoxFuture, Incoming, Listener, Place};
use tokio::sync::{Semaphore, watch};

use super::connection::{Closed, Connection};
use super::request_memory::RequestMemory;
use crate::Broker;
use crate::api::Client;

/// How long a listener rests after accept has failed, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Limits on connections, shared by all listeners of a broker.
#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    slots: Arc<Semaphore>,
    per_ip_max: usize,
    per_ip_overrides: HashMap<String, usize>,
    per_ip: Mutex<HashMap<IpAddr, usize>>,
}

impl ConnectionLimits {
    pub(crate) fn new(max: usize, per_ip_max: usize, per_ip_overrides: HashMap<String, usize>) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            per_ip_max,
            per_ip_overrides,
            per_ip: Mutex::default(),
        }
    }

    fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<IpSlot> {
        let max = self.per_ip_overrides.get(&ip.to_string()).copied().unwrap_or(self.per_ip_max);
        let mut per_ip = self.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_ip.entry(ip).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(IpSlot { limits: self.clone(), ip })
    }
}

#[derive(Debug)]
struct IpSlot {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
}

impl Drop for IpSlot {
    fn drop(&mut self) {
        let mut per_ip = self.limits.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                per_ip.remove(&self.ip);
            }
        }
    }
}

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
            let Ok(slot) = self.limits.slots.clone().acquire_owned().await else { return };
            let accepted = std::future::poll_fn(|cx| {
                if stop.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(None);
                }
                self.listener.poll_accept(cx).map(Some)
            });
            match accepted.await {
                None => return,
                Some(Ok(incoming)) => {
                    let Some(ip_slot) = self.limits.enter(incoming.peer_addr().ip()) else {
                        tracing::info!(peer = %incoming.peer_addr(), listener = %self.name,
                            "closed a new connection: more than max.connections.per.ip from this address");
                        continue;
                    };
                    let shard = next_shard.fetch_add(1, Ordering::Relaxed);
                    self.serve(incoming, shard, (slot, ip_slot));
                }
                Some(Err(error)) => {
                    tracing::warn!(listener = %self.name, %error, "could not accept a connection");
                    self.broker.host.clock.sleep(ACCEPT_PAUSE).await;
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
                    let client = Client { listener: name, peer };
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
        Closed::InRequest | Closed::Frame(_) | Closed::Protest(_) => {
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
