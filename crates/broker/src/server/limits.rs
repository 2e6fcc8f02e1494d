//! How many connections there may be, from where, and how fast new ones may come: over all listeners, and on each.
//!
//! Invariants:
//! * max.connections and max.connection.creation.rate make a new connection wait, those of its listener
//!   (`listener.name.NAME.`) as well as those of the broker; max.connections.per.ip ends it.
//! * Creation is measured as in Kafka: over ten seconds, so that after a quiet time as many connections come at once
//!   as ten seconds allow, and after that the rate is kept.
//! * Limits may change at any time; connections above a lower one stay, and no other comes until they are fewer.
//! * An IPv4 address is one address, however the socket writes it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host::Instant;
use metadata::config::{ListenerLimits, Sockets};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kafka's quota.window.num (11, the running one not counted) times quota.window.size.seconds (1).
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// For a rate of 0: nobody comes in.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    all: Arc<Gate>,
    /// By the names of listeners, of which all are there from the start.
    listeners: HashMap<String, Arc<Gate>>,
    per_ip: Mutex<PerIp>,
}

/// max.connections and max.connection.creation.rate, of the broker or of one listener.
#[derive(Debug)]
struct Gate {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
    rate: Mutex<CreationRate>,
}

#[derive(Debug)]
struct State {
    max: usize,
    /// Slots that go when their connection ends: there are more connections than there may be since that was changed.
    owed: usize,
}

impl Gate {
    fn new(max: usize, per_second: usize) -> Arc<Self> {
        let max = max.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            slots: Arc::new(Semaphore::new(max)),
            state: Mutex::new(State { max, owed: 0 }),
            rate: Mutex::new(CreationRate::new(per_second)),
        })
    }

    fn change(&self, max: usize, per_second: usize) {
        let max = max.min(Semaphore::MAX_PERMITS);
        let mut state = locked(&self.state);
        if let Some(more) = max.checked_sub(state.max) {
            let paid = more.min(state.owed);
            state.owed -= paid;
            self.slots.add_permits(more - paid);
        } else {
            let less = state.max - max;
            state.owed += less - self.slots.forget_permits(less);
        }
        state.max = max;
        locked(&self.rate).per_second = per_second;
    }

    fn connections(&self) -> usize {
        let state = locked(&self.state);
        state.max + state.owed - self.slots.available_permits()
    }

    async fn slot(self: Arc<Self>) -> Option<Slot> {
        // It is never closed.
        let permit = self.slots.clone().acquire_owned().await.ok()?;
        Some(Slot { gate: self, permit: Some(permit) })
    }
}

/// max.connections.per.ip and its exceptions.
#[derive(Debug)]
struct PerIp {
    max: usize,
    overrides: HashMap<IpAddr, usize>,
    counts: HashMap<IpAddr, usize>,
}

impl PerIp {
    fn change(&mut self, sockets: &Sockets) {
        let overrides = sockets.max_connections_per_ip_overrides.iter();
        self.max = sockets.max_connections_per_ip;
        self.overrides = overrides.map(|(ip, max)| (ip.to_canonical(), *max)).collect();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ConnectionLimits {
    pub(crate) fn new(sockets: &Sockets) -> Self {
        let mut per_ip = PerIp { max: 0, overrides: HashMap::new(), counts: HashMap::new() };
        per_ip.change(sockets);
        let listener = |limits: &ListenerLimits| {
            (limits.name.clone(), Gate::new(limits.max_connections, limits.max_connection_creation_rate))
        };
        Self {
            all: Gate::new(sockets.max_connections, sockets.max_connection_creation_rate),
            listeners: sockets.listeners.iter().map(listener).collect(),
            per_ip: Mutex::new(per_ip),
        }
    }

    /// Other limits from here on. Connections that are there stay.
    pub(crate) fn change(&self, sockets: &Sockets) {
        self.all.change(sockets.max_connections, sockets.max_connection_creation_rate);
        for limits in &sockets.listeners {
            if let Some(gate) = self.listeners.get(&limits.name) {
                gate.change(limits.max_connections, limits.max_connection_creation_rate);
            }
        }
        locked(&self.per_ip).change(sockets);
    }

    /// How many there are.
    pub(crate) fn connections(&self) -> usize {
        self.all.connections()
    }

    /// Whether a rate is 0, so that nobody comes in until it is changed.
    pub(super) fn is_closed(&self, listener: &str) -> bool {
        self.gates(listener).any(|gate| locked(&gate.rate).per_second == 0)
    }

    fn gates(&self, listener: &str) -> impl Iterator<Item = &Arc<Gate>> {
        self.listeners.get(listener).into_iter().chain([&self.all])
    }

    /// Counts a new connection of a listener; answers how long it has to wait before it is served.
    pub(super) fn created(&self, listener: &str, now: Instant) -> Duration {
        self.gates(listener).map(|gate| locked(&gate.rate).created(now)).max().unwrap_or_default()
    }

    /// One of the connections that a listener and the broker may have, when both have one left.
    pub(super) fn slot(&self, listener: &str) -> impl Future<Output = Option<Slots>> + Send + use<> {
        let (own, all) = (self.listeners.get(listener).cloned(), self.all.clone());
        async move {
            // The listener's first: who waits for it takes nothing from the others.
            let own = match own {
                Some(own) => Some(own.slot().await?),
                None => None,
            };
            Some(Slots { _own: own, _all: all.slot().await? })
        }
    }

    /// One of the connections that an address may have, if there is one left.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<IpSlot> {
        let ip = ip.to_canonical();
        let mut per_ip = locked(&self.per_ip);
        let max = per_ip.overrides.get(&ip).copied().unwrap_or(per_ip.max);
        let count = per_ip.counts.get(&ip).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        per_ip.counts.insert(ip, count + 1);
        Some(IpSlot { limits: self.clone(), ip })
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slots {
    _own: Option<Slot>,
    _all: Slot,
}

#[derive(Debug)]
struct Slot {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = locked(&self.gate.state);
        if let Some(owed) = state.owed.checked_sub(1)
            && let Some(permit) = self.permit.take()
        {
            state.owed = owed;
            permit.forget();
        }
    }
}

#[derive(Debug)]
pub(super) struct IpSlot {
    limits: Arc<ConnectionLimits>,
    ip: IpAddr,
}

impl Drop for IpSlot {
    fn drop(&mut self) {
        let counts = &mut locked(&self.limits.per_ip).counts;
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// max.connection.creation.rate.
#[derive(Debug)]
struct CreationRate {
    per_second: usize,
    /// When all connections so far would have come, had they come at the rate.
    due: Instant,
}

impl CreationRate {
    fn new(per_second: usize) -> Self {
        Self { per_second, due: Instant::ZERO }
    }

    fn created(&mut self, now: Instant) -> Duration {
        let Some(interval) = 1_000_000_000_u64.checked_div(self.per_second as u64) else { return NEVER };
        self.due = self.due.max(now).after(Duration::from_nanos(interval));
        self.due.since(now.after(RATE_WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_ten_seconds_is_let_in_and_then_the_rate_is_kept() {
        let mut rate = CreationRate::new(20);
        for _ in 0..200 {
            assert_eq!(rate.created(Instant::ZERO), Duration::ZERO);
        }
        for late in 1..=20 {
            assert_eq!(rate.created(Instant::ZERO), Duration::from_millis(50 * late));
        }
        let later = Instant::ZERO.after(Duration::from_secs(3600));
        assert_eq!(rate.created(later), Duration::ZERO, "quiet time is forgiven, up to the window");
        assert_eq!(CreationRate::new(0).created(later), NEVER);
        let mut unlimited = CreationRate::new(i32::MAX as usize);
        assert!((0..1000).all(|_| unlimited.created(later).is_zero()));
    }

    fn sockets(change: impl FnOnce(&mut Sockets)) -> Sockets {
        let statics = metadata::config::StaticConfig::new();
        let (config, _) = metadata::config::BrokerConfig::load(&statics).unwrap();
        let mut sockets = config.sockets;
        change(&mut sockets);
        sockets
    }

    #[tokio::test]
    async fn a_lower_limit_takes_slots_away_as_they_come_back() {
        let with = |max: usize| sockets(|sockets| sockets.max_connections = max);
        let limits = Arc::new(ConnectionLimits::new(&with(3)));
        let taken = |limits: &Arc<ConnectionLimits>| limits.all.slots.available_permits();
        let mut slots = Vec::new();
        for _ in 0..3 {
            slots.push(limits.slot("PLAINTEXT").await.unwrap());
        }
        limits.change(&with(1));
        assert_eq!((limits.connections(), taken(&limits)), (3, 0));
        slots.pop();
        assert_eq!((limits.connections(), taken(&limits)), (2, 0));
        limits.change(&with(2));
        assert_eq!((limits.connections(), taken(&limits)), (2, 0), "what was owed is paid first");
        slots.pop();
        assert_eq!((limits.connections(), taken(&limits)), (1, 1));
        limits.change(&with(5));
        assert_eq!((limits.connections(), taken(&limits)), (1, 4));
        slots.clear();
        assert_eq!((limits.connections(), taken(&limits)), (0, 5));
    }

    #[tokio::test]
    async fn a_listener_has_limits_of_its_own() {
        let limits = ConnectionLimits::new(&sockets(|sockets| {
            sockets.max_connections = 3;
            sockets.listeners = vec![
                ListenerLimits { name: "IN".into(), max_connections: 2, max_connection_creation_rate: 1 },
                ListenerLimits { name: "OUT".into(), max_connections: 9, max_connection_creation_rate: 9 },
            ];
        }));
        let now = |limits: &ConnectionLimits, listener| {
            let mut slot = std::pin::pin!(limits.slot(listener));
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            match slot.as_mut().poll(&mut cx) {
                std::task::Poll::Ready(slot) => slot,
                std::task::Poll::Pending => None,
            }
        };
        let first = now(&limits, "IN").unwrap();
        let _second = now(&limits, "IN").unwrap();
        assert!(now(&limits, "IN").is_none(), "no third on this listener");
        let third = now(&limits, "OUT").unwrap();
        assert!(now(&limits, "OUT").is_none(), "no fourth in all");
        drop(first);
        assert!(now(&limits, "OUT").is_some());
        drop(third);
        assert_eq!(limits.connections(), 1);
        let waits = |listener| (0..11).map(|_| limits.created(listener, Instant::ZERO)).max().unwrap();
        assert_eq!((waits("OUT"), waits("IN")), (Duration::ZERO, Duration::from_secs(1)));
    }

    #[test]
    fn an_address_is_counted_once_however_it_is_written() {
        let limits = |max: usize, overrides: &[(&str, usize)]| {
            let overrides = overrides.iter().map(|(ip, max)| (ip.parse().unwrap(), *max));
            Arc::new(ConnectionLimits::new(&sockets(|sockets| {
                sockets.max_connections_per_ip = max;
                sockets.max_connections_per_ip_overrides = overrides.collect();
            })))
        };
        let [v4, mapped, v6, other]: [IpAddr; 4] =
            ["10.0.0.1", "::ffff:10.0.0.1", "::1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let limited = limits(1, &[("::ffff:10.0.0.1", 2), ("0:0:0:0:0:0:0:1", 0)]);
        let slots = [limited.enter(v4), limited.enter(mapped)];
        assert!(slots.iter().all(Option::is_some));
        assert!(limited.enter(v4).is_none() && limited.enter(mapped).is_none());
        assert!(limited.enter(v6).is_none());
        assert!(limited.enter(other).is_some_and(|_| true));
        drop(slots);
        assert!(limited.per_ip.lock().unwrap().counts.is_empty(), "who has left is forgotten");
    }
}
