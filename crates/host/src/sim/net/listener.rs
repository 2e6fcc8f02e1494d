//! Listening ports of simulated nodes.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::conn::{self, ConnId, Life};
use super::stream::SimStream;
use crate::net::{Incoming, Listener, Stream};
use crate::sim::node::Owner;
use crate::sim::world::Shared;

pub(super) struct Listening {
    pub(super) owner: Owner,
    pub(super) backlog: VecDeque<ConnId>,
    pub(super) waker: Option<Waker>,
}

impl Listening {
    pub(super) fn new(owner: Owner) -> Self {
        Self { owner, backlog: VecDeque::new(), waker: None }
    }
}

#[derive(Debug)]
pub(super) struct SimListener {
    shared: Arc<Shared>,
    owner: Owner,
    local: SocketAddr,
}

impl SimListener {
    pub(super) fn new(shared: Arc<Shared>, owner: Owner, local: SocketAddr) -> Self {
        Self { shared, owner, local }
    }
}

impl Listener for SimListener {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Box<dyn Incoming>>> {
        let mut world = self.shared.world();
        let node = self.owner.node;
        let listening = world.net.listeners.get_mut(&(node, self.local.port()));
        let Some(listening) = listening.filter(|listening| listening.owner == self.owner) else {
            return Poll::Ready(Err(io::Error::other("the node has crashed")));
        };
        let Some(id) = listening.backlog.pop_front() else {
            let before = listening.waker.replace(cx.waker().clone());
            drop(world);
            drop(before);
            return Poll::Pending;
        };
        if let Some(failing) = world.net.failing_accepts.get_mut(&node).filter(|count| **count > 0) {
            *failing -= 1;
            conn::close(&mut world, (id, 1), Life::Closed);
            // EMFILE.
            return Poll::Ready(Err(io::Error::from_raw_os_error(24)));
        }
        let peer = world.net.conns.get_mut(&id).map_or(self.local, |conn| conn.end(0).addr);
        drop(world);
        let shared = Arc::clone(&self.shared);
        let stream = SimStream::new(shared, self.owner, (id, 1), (peer, self.local));
        Poll::Ready(Ok(Box::new(SimIncoming { stream })))
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut world = self.shared.world();
        let key = (self.owner.node, self.local.port());
        if world.net.listeners.get(&key).is_none_or(|listening| listening.owner != self.owner) {
            return;
        }
        let removed = world.net.listeners.remove(&key);
        for id in removed.iter().flat_map(|listening| &listening.backlog) {
            conn::close(&mut world, (*id, 1), Life::Closed);
        }
        drop(world);
        drop(removed);
    }
}

#[derive(Debug)]
struct SimIncoming {
    stream: SimStream,
}

impl Incoming for SimIncoming {
    fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    fn into_stream(self: Box<Self>) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.stream))
    }
}
