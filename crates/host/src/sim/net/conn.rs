//! Connections: two ends, and what is under way to each.
//!
//! Invariants:
//! * What one end sends arrives at the other in order or not at all; once something is lost, so is all behind it.
//! * What is sent and not yet read is at most the socket buffer.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;

use super::NetState;
use crate::sim::crash::Crash;
use crate::sim::node::{Owner, Power};
use crate::sim::trace::hash_bytes;
use crate::sim::world::{Shared, What, World};

pub(super) type ConnId = u64;

/// One of the two ends of a connection; the one that connected is 0.
pub(super) type Side = usize;

#[derive(Debug)]
pub(super) enum Packet {
    Data(Bytes),
    Fin,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Open,
    /// The stream was dropped.
    Closed,
    /// Its process has ended.
    Gone,
}

#[derive(Debug)]
pub(super) struct End {
    pub(super) owner: Owner,
    pub(super) addr: SocketAddr,
    pub(super) life: Life,
    /// Under way to this end, with the time of arrival.
    wire: VecDeque<(u64, Packet)>,
    last_arrival: u64,
    wire_bytes: usize,
    /// Arrived and not yet read.
    inbox: VecDeque<Bytes>,
    inbox_bytes: usize,
    /// The other end has ended its stream.
    fin: bool,
    reset: bool,
    /// This end has ended its stream.
    sent_fin: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl End {
    pub(super) fn new(owner: Owner, addr: SocketAddr) -> Self {
        Self {
            owner,
            addr,
            life: Life::Open,
            wire: VecDeque::new(),
            last_arrival: 0,
            wire_bytes: 0,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            fin: false,
            reset: false,
            sent_fin: false,
            reader: None,
            writer: None,
        }
    }

    fn wakers(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.reader.take().into_iter().chain(self.writer.take())
    }

    /// Empties what has arrived; nobody will read it.
    fn discard(&mut self) {
        self.inbox.clear();
        self.inbox_bytes = 0;
    }
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) ends: [End; 2],
}

impl Conn {
    pub(super) fn end(&mut self, side: Side) -> &mut End {
        let [a, b] = &mut self.ends;
        if side == 0 { a } else { b }
    }

    pub(super) fn other(&mut self, side: Side) -> &mut End {
        self.end(1 - side)
    }

    fn link_to(&mut self, side: Side) -> (usize, usize) {
        (self.other(side).owner.node, self.end(side).owner.node)
    }

    fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.life != Life::Open && end.wire.is_empty())
    }
}

fn broken() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Reads what has arrived. `None`: nothing yet.
pub(super) fn read(
    world: &mut World,
    (id, side): (ConnId, Side),
    max: usize,
    waker: &Waker,
) -> (io::Result<Option<Bytes>>, Option<Waker>) {
    let NetState { conns, rng, short_io_ppm, .. } = &mut world.net;
    let Some(conn) = conns.get_mut(&id) else { return (Err(broken()), None) };
    let end = conn.end(side);
    if let Some(front) = end.inbox.front_mut() {
        let mut take = front.len().min(max);
        if take > 1 && rng.chance(*short_io_ppm) {
            take = rng.index(take - 1) + 1;
        }
        let bytes = front.split_to(take);
        if front.is_empty() {
            end.inbox.pop_front();
        }
        end.inbox_bytes -= take;
        return (Ok(Some(bytes)), conn.other(side).writer.take());
    }
    if end.reset || end.life != Life::Open {
        return (Err(broken()), None);
    }
    if end.fin {
        return (Ok(Some(Bytes::new())), None);
    }
    let before = end.reader.replace(waker.clone());
    drop(before);
    (Ok(None), None)
}

/// How many of `wanted` bytes may be sent now. `None`: wait.
pub(super) fn room(
    world: &mut World,
    (id, side): (ConnId, Side),
    wanted: usize,
    waker: &Waker,
) -> io::Result<Option<usize>> {
    let NetState { conns, rng, short_io_ppm, socket_bytes, .. } = &mut world.net;
    let conn = conns.get_mut(&id).ok_or_else(broken)?;
    if conn.end(side).reset || conn.end(side).life != Life::Open {
        return Err(broken());
    }
    if conn.end(side).sent_fin {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    let other = conn.other(side);
    let mut room = socket_bytes.saturating_sub(other.wire_bytes + other.inbox_bytes).min(wanted);
    if room == 0 && wanted > 0 {
        drop(conn.end(side).writer.replace(waker.clone()));
        return Ok(None);
    }
    if room > 1 && rng.chance(*short_io_ppm) {
        room = rng.index(room - 1) + 1;
    }
    Ok(Some(room))
}

/// Puts a packet on the wire to `side`.
pub(super) fn send(world: &mut World, (id, side): (ConnId, Side), packet: Packet) {
    let now = world.now;
    let Some(conn) = world.net.conns.get_mut(&id) else { return };
    let link = conn.link_to(side);
    let delay = world.net.delay(link);
    let Some(conn) = world.net.conns.get_mut(&id) else { return };
    let end = conn.end(side);
    let at = now.saturating_add(delay).max(end.last_arrival);
    end.last_arrival = at;
    if let Packet::Data(bytes) = &packet {
        end.wire_bytes += bytes.len();
    }
    end.wire.push_back((at, packet));
    schedule(world, at, (id, side));
}

fn schedule(world: &mut World, at: u64, (id, side): (ConnId, Side)) {
    let act = move |shared: &Arc<Shared>| {
        let mut world = shared.world();
        let wakers = arrive(&mut world, shared, (id, side));
        drop(world);
        wakers.into_iter().for_each(Waker::wake);
    };
    world.schedule(at, None, What::Act(Box::new(act)));
}

/// Delivers what is due at `side`, unless the link is cut.
fn arrive(world: &mut World, shared: &Shared, (id, side): (ConnId, Side)) -> Vec<Waker> {
    let mut wakers = Vec::new();
    loop {
        let now = world.now;
        let Some(conn) = world.net.conns.get_mut(&id) else { return wakers };
        let link = conn.link_to(side);
        if world.net.is_blocked(link) {
            return wakers;
        }
        let Some(conn) = world.net.conns.get_mut(&id) else { return wakers };
        let end = conn.end(side);
        if end.wire.front().is_none_or(|(at, _)| *at > now) {
            break;
        }
        let Some((_, packet)) = end.wire.pop_front() else { break };
        let hash = match &packet {
            Packet::Data(bytes) => hash_bytes(bytes),
            Packet::Fin => 1,
            Packet::Reset => 2,
        };
        shared.trace.step(&[id, side as u64, hash], || {
            let packet = match &packet {
                Packet::Data(bytes) => format!("{} bytes", bytes.len()),
                packet => format!("{packet:?}"),
            };
            format!("connection {id}: {packet} from node {} to node {}", link.0, link.1)
        });
        let answer = deliver(world, (id, side), packet, &mut wakers);
        if answer {
            send(world, (id, 1 - side), Packet::Reset);
        }
    }
    if world.net.conns.get(&id).is_some_and(Conn::is_over) {
        world.net.conns.remove(&id);
    }
    wakers
}

/// Takes a packet in; returns whether it is answered with a reset.
fn deliver(world: &mut World, (id, side): (ConnId, Side), packet: Packet, wakers: &mut Vec<Waker>) -> bool {
    let Some(conn) = world.net.conns.get_mut(&id) else { return false };
    let end = conn.end(side);
    if let Packet::Data(bytes) = &packet {
        end.wire_bytes -= bytes.len();
    }
    let silent = match end.life {
        Life::Open => false,
        Life::Closed => true,
        // A machine without power says nothing; one that is up knows of no such connection.
        Life::Gone => {
            let power = world.nodes.get(end.owner.node).map(|node| node.power);
            return power != Some(Power::Off) && matches!(packet, Packet::Data(_));
        }
    };
    match packet {
        Packet::Data(_) if silent => return true,
        _ if silent => {}
        Packet::Data(bytes) => {
            end.inbox_bytes += bytes.len();
            end.inbox.push_back(bytes);
            wakers.extend(end.reader.take());
        }
        Packet::Fin => {
            end.fin = true;
            wakers.extend(end.reader.take());
        }
        Packet::Reset => {
            end.reset = true;
            wakers.extend(end.wakers());
        }
    }
    false
}

/// Ends the stream of `side`, after what it has sent.
pub(super) fn shut_down(world: &mut World, (id, side): (ConnId, Side)) {
    let Some(conn) = world.net.conns.get_mut(&id) else { return };
    let end = conn.end(side);
    if end.life == Life::Open && !end.sent_fin {
        end.sent_fin = true;
        send(world, (id, 1 - side), Packet::Fin);
    }
}

/// The stream of `side` is dropped, or its process killed.
pub(super) fn close(world: &mut World, (id, side): (ConnId, Side), life: Life) {
    let Some(conn) = world.net.conns.get_mut(&id) else { return };
    let end = conn.end(side);
    if end.life != Life::Open {
        return;
    }
    end.life = life;
    let unread = end.inbox_bytes > 0;
    let sent_fin = std::mem::replace(&mut end.sent_fin, true);
    end.discard();
    drop((end.reader.take(), end.writer.take()));
    // As Linux does: who closes without having read everything sends a reset.
    if unread {
        send(world, (id, 1 - side), Packet::Reset);
    } else if !sent_fin {
        send(world, (id, 1 - side), Packet::Fin);
    }
    if world.net.conns.get(&id).is_some_and(Conn::is_over) {
        world.net.conns.remove(&id);
    }
}

/// All connections of a node end with it.
pub(super) fn crash(world: &mut World, node: usize, how: Crash) {
    let ids: Vec<(ConnId, Side)> = ends(world, |owner| owner.node == node);
    for (id, side) in ids {
        if how == Crash::Kill {
            close(world, (id, side), Life::Gone);
            continue;
        }
        let NetState { conns, rng, .. } = &mut world.net;
        let Some(conn) = conns.get_mut(&id) else { continue };
        // What had left the machine arrives up to some point.
        let other = conn.other(side);
        let kept = rng.index(other.wire.len() + 1);
        for (_, packet) in other.wire.split_off(kept) {
            if let Packet::Data(bytes) = packet {
                other.wire_bytes -= bytes.len();
            }
        }
        let tell = rng.coin();
        let end = conn.end(side);
        let was_open = end.life == Life::Open;
        end.life = Life::Gone;
        end.sent_fin = true;
        end.discard();
        drop((end.reader.take(), end.writer.take()));
        if was_open && tell {
            send(world, (id, 1 - side), Packet::Reset);
        }
        if world.net.conns.get(&id).is_some_and(Conn::is_over) {
            world.net.conns.remove(&id);
        }
    }
}

/// The ends whose owner matches.
fn ends(world: &World, matches: impl Fn(Owner) -> bool) -> Vec<(ConnId, Side)> {
    let conns = world.net.conns.iter();
    conns
        .flat_map(|(id, conn)| conn.ends.iter().enumerate().map(|(side, end)| (*id, side, end.owner)))
        .filter(|(_, _, owner)| matches(*owner))
        .map(|(id, side, _)| (id, side))
        .collect()
}

/// What waited for this link arrives from now on.
pub(super) fn release(world: &mut World, link: (usize, usize)) {
    for (id, side) in ends(world, |owner| owner.node == link.1) {
        let now = world.now;
        let delay = world.net.delay(link);
        let Some(conn) = world.net.conns.get_mut(&id) else { continue };
        if conn.link_to(side) != link {
            continue;
        }
        let end = conn.end(side);
        let mut times = Vec::new();
        for (at, _) in &mut end.wire {
            *at = (*at).max(now.saturating_add(delay));
            times.push(*at);
            end.last_arrival = end.last_arrival.max(*at);
        }
        times.dedup();
        for at in times {
            schedule(world, at, (id, side));
        }
    }
}

/// Breaks the connections between two nodes at once, at both ends.
pub(super) fn reset_all(world: &mut World, (a, b): (usize, usize)) -> Vec<Waker> {
    let mut wakers = Vec::new();
    for conn in world.net.conns.values_mut() {
        let [first, second] = &mut conn.ends;
        let nodes = (first.owner.node, second.owner.node);
        if nodes == (a, b) || nodes == (b, a) {
            for end in [first, second] {
                end.reset = true;
                end.wire.clear();
                end.wire_bytes = 0;
                wakers.extend(end.wakers());
            }
        }
    }
    wakers
}
