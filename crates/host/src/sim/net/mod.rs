//! The simulated network: names, links, listeners, connecting.
//!
//! Invariants:
//! * A cut link holds packets back, as TCP does by sending again; it loses none.
//! * A node reaches another by its name or address, and itself by `localhost` too.

mod conn;
mod listener;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use self::conn::{Conn, ConnId, End};
use self::listener::{Listening, SimListener};
use self::stream::SimStream;
use super::Options;
use super::clock::SimSleep;
use super::crash::Crash;
use super::node::{Owner, Power};
use super::rng::SeededRng;
use super::world::{Shared, World};
use crate::BoxFuture;
use crate::net::{Listener, Net, Stream};

/// Connections that wait to be accepted; more are turned away until there is room.
const BACKLOG: usize = 1024;

/// First wait before a connection attempt that found nobody is made again; it doubles.
const RETRY: Duration = Duration::from_secs(1);

/// From node, to node.
type Link = (usize, usize);

type Latency = RangeInclusive<Duration>;

pub(super) struct NetState {
    rng: SeededRng,
    latency: Latency,
    local_latency: Latency,
    latencies: BTreeMap<Link, Latency>,
    blocked: BTreeSet<Link>,
    listeners: BTreeMap<(usize, u16), Listening>,
    failing_accepts: BTreeMap<usize, u64>,
    conns: BTreeMap<ConnId, Conn>,
    next_conn: ConnId,
    next_port: BTreeMap<usize, u16>,
    socket_bytes: usize,
    short_io_ppm: u32,
}

impl NetState {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            rng: SeededRng::derive(options.seed, "net", 0),
            latency: options.latency.clone(),
            local_latency: options.local_latency.clone(),
            latencies: BTreeMap::new(),
            blocked: BTreeSet::new(),
            listeners: BTreeMap::new(),
            failing_accepts: BTreeMap::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            next_port: BTreeMap::new(),
            socket_bytes: options.socket_bytes.max(1),
            short_io_ppm: options.short_io_ppm,
        }
    }

    pub(super) fn block(&mut self, link: Link) {
        self.blocked.insert(link);
    }

    fn is_blocked(&self, link: Link) -> bool {
        self.blocked.contains(&link)
    }

    pub(super) fn set_latency(&mut self, link: Link, latency: Latency) {
        self.latencies.insert(link, latency);
    }

    pub(super) fn fail_accepts(&mut self, node: usize, count: u64) {
        self.failing_accepts.insert(node, count);
    }

    fn delay(&mut self, link: Link) -> u64 {
        let usual = if link.0 == link.1 { &self.local_latency } else { &self.latency };
        let latency = self.latencies.get(&link).unwrap_or(usual);
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.rng.between(nanos(latency.start()), nanos(latency.end()))
    }

    /// A port that nothing listens on.
    fn free_port(&mut self, node: usize) -> io::Result<u16> {
        // Above the range that programs choose for themselves, as Linux does.
        let range = 32_768..=60_999_u16;
        for _ in range.clone() {
            let next = self.next_port.entry(node).or_insert(*range.start());
            let port = *next;
            *next = if port == *range.end() { *range.start() } else { port + 1 };
            if !self.listeners.contains_key(&(node, port)) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}

/// Ends a cut in one direction.
pub(super) fn heal(world: &mut World, link: Link) {
    if world.net.blocked.remove(&link) {
        conn::release(world, link);
    }
}

pub(super) fn reset_all(world: &mut World, link: Link) -> Vec<Waker> {
    conn::reset_all(world, link)
}

/// The network's part of a crash.
pub(super) fn crash(world: &mut World, node: usize, how: Crash) {
    world.net.listeners.retain(|(listening, _), _| *listening != node);
    conn::crash(world, node, how);
}

/// What a connection attempt meets.
enum Met {
    Connected(SimStream),
    Refused,
    /// No answer.
    Silence,
}

/// A node's view of the network.
#[derive(Debug)]
pub(super) struct SimNet {
    shared: Arc<Shared>,
    owner: Owner,
}

impl SimNet {
    pub(super) fn new(shared: Arc<Shared>, owner: Owner) -> Self {
        Self { shared, owner }
    }

    fn resolve(&self, host: &str) -> io::Result<usize> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let addr = host.parse::<IpAddr>().ok();
        if host == "localhost" || addr.is_some_and(|addr| addr.is_loopback() || addr.is_unspecified()) {
            return Ok(self.owner.node);
        }
        let world = self.shared.world();
        let found = world.nodes.iter().position(|node| node.name == host || Some(node.addr) == addr);
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no node has this name or address"))
    }

    fn check_alive(&self) -> io::Result<()> {
        let alive = self.shared.world().is_current(self.owner);
        if alive { Ok(()) } else { Err(io::Error::other("the node has crashed")) }
    }

    fn bind(&self, host: &str, port: u16) -> io::Result<SimListener> {
        self.check_alive()?;
        if !host.is_empty() && self.resolve(host)? != self.owner.node {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let mut world = self.shared.world();
        let node = self.owner.node;
        let port = if port == 0 { world.net.free_port(node)? } else { port };
        if world.net.listeners.contains_key(&(node, port)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let ip = world.nodes.get(node).ok_or(io::ErrorKind::NotFound)?.addr;
        world.net.listeners.insert((node, port), Listening::new(self.owner));
        drop(world);
        Ok(SimListener::new(Arc::clone(&self.shared), self.owner, SocketAddr::new(ip, port)))
    }

    fn pause(&self, nanos: u64) -> SimSleep {
        let at = self.shared.world().now.saturating_add(nanos);
        SimSleep::new(Arc::clone(&self.shared), Some(self.owner), at)
    }

    fn delay(&self, link: Link) -> u64 {
        self.shared.world().net.delay(link)
    }

    async fn try_connect(&self, host: &str, port: u16) -> io::Result<SimStream> {
        let to = self.resolve(host)?;
        let from = self.owner.node;
        let (started, timeout) = {
            let world = self.shared.world();
            (world.now, u64::try_from(world.options.connect_timeout.as_nanos()).unwrap_or(u64::MAX))
        };
        let deadline = started.saturating_add(timeout);
        let mut retry = u64::try_from(RETRY.as_nanos()).unwrap_or(u64::MAX);
        loop {
            self.check_alive()?;
            self.pause(self.delay((from, to))).await;
            let met = self.knock(to, port)?;
            if !matches!(met, Met::Silence) {
                self.pause(self.delay((to, from))).await;
            }
            match met {
                Met::Connected(stream) => return Ok(stream),
                Met::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
                Met::Silence => {}
            }
            let left = deadline.saturating_sub(self.shared.world().now);
            if left == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.pause(retry.min(left)).await;
            retry = retry.saturating_mul(2);
        }
    }

    /// One attempt, when it arrives.
    fn knock(&self, to: usize, port: u16) -> io::Result<Met> {
        let mut world = self.shared.world();
        let from = self.owner.node;
        let power = world.nodes.get(to).map_or(Power::Off, |node| node.power);
        if world.net.is_blocked((from, to)) || world.net.is_blocked((to, from)) || power == Power::Off {
            return Ok(Met::Silence);
        }
        let Some(listening) = world.net.listeners.get(&(to, port)) else { return Ok(Met::Refused) };
        let acceptor = listening.owner;
        if listening.backlog.len() >= BACKLOG {
            return Ok(Met::Silence);
        }
        let ip = |world: &World, node: usize| world.nodes.get(node).map(|node| node.addr);
        let (Some(from_ip), Some(to_ip)) = (ip(&world, from), ip(&world, to)) else {
            return Ok(Met::Silence);
        };
        let from_port = world.net.free_port(from)?;
        let ends = [
            End::new(self.owner, SocketAddr::new(from_ip, from_port)),
            End::new(acceptor, SocketAddr::new(to_ip, port)),
        ];
        let id = world.net.next_conn;
        world.net.next_conn += 1;
        world.net.conns.insert(id, Conn { ends });
        let listening = world.net.listeners.get_mut(&(to, port));
        let waker = listening.and_then(|listening| {
            listening.backlog.push_back(id);
            listening.waker.take()
        });
        drop(world);
        self.shared.trace.step(&[id, from as u64, to as u64], || {
            format!("connection {id}: from node {from} to port {port} of node {to}")
        });
        waker.into_iter().for_each(Waker::wake);
        let addrs = (SocketAddr::new(to_ip, port), SocketAddr::new(from_ip, from_port));
        Ok(Met::Connected(SimStream::new(Arc::clone(&self.shared), self.owner, (id, 0), addrs)))
    }
}

fn at(doing: &'static str, host: &str, port: u16) -> impl FnOnce(io::Error) -> io::Error {
    let text = format!("cannot {doing} {host}:{port}");
    move |error| io::Error::new(error.kind(), format!("{text}: {error}"))
}

impl Net for SimNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.bind(host, port).map_err(at("listen on", host, port))?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = self.try_connect(host, port).await.map_err(at("connect to", host, port))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
