//! How many connections there may be, from where, and how fast new ones may come. Shared by all listeners.
//!
//! Invariants:
//! * max.connections and max.connection.creation.rate make a new connection wait; max.connections.per.ip ends it.
//! * Creation is measured as in Kafka: over ten seconds, so that after a quiet time as many connections come at once
//!   as ten seconds allow, and after that the rate is kept.
//! * An IPv4 address is one address, however the socket writes it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::Instant;
use metadata::config::Sockets;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kafka's quota.window.num (11, the running one not counted) times quota.window.size.seconds (1).
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// For a rate of 0: nobody comes in.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Debug)]
pub(crate) struct ConnectionLimits {
    max: usize,
    slots: Arc<Semaphore>,
    rate: Mutex<CreationRate>,
    per_ip_max: usize,
    per_ip_overrides: HashMap<IpAddr, usize>,
    per_ip: Mutex<HashMap<IpAddr, usize>>,
}

impl ConnectionLimits {
    pub(crate) fn new(sockets: &Sockets) -> Self {
        let overrides = sockets.max_connections_per_ip_overrides.iter();
        let max = sockets.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            max,
            slots: Arc::new(Semaphore::new(max)),
            rate: Mutex::new(CreationRate::new(sockets.max_connection_creation_rate)),
            per_ip_max: sockets.max_connections_per_ip,
            per_ip_overrides: overrides.map(|(ip, max)| (ip.to_canonical(), *max)).collect(),
            per_ip: Mutex::default(),
        }
    }

    /// How many there are.
    pub(crate) fn connections(&self) -> usize {
        self.max - self.slots.available_permits()
    }

    /// Counts a new connection; answers how long it has to wait before it is served.
    pub(super) fn created(&self, now: Instant) -> Duration {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).created(now)
    }

    /// One of max.connections, when there is one.
    pub(super) fn slot(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let slots = self.slots.clone();
        // It is never closed.
        async move { slots.acquire_owned().await.ok() }
    }

    /// One of the connections that an address may have, if there is one left.
    pub(super) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<IpSlot> {
        let ip = ip.to_canonical();
        let max = self.per_ip_overrides.get(&ip).copied().unwrap_or(self.per_ip_max);
        let mut per_ip = self.per_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = per_ip.get(&ip).copied().unwrap_or(0);
        if count >= max {
            return None;
        }
        per_ip.insert(ip, count + 1);
        Some(IpSlot { limits: self.clone(), ip })
    }
}

#[derive(Debug)]
pub(super) struct IpSlot {
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

    #[test]
    fn an_address_is_counted_once_however_it_is_written() {
        let limits = |max: usize, overrides: &[(&str, usize)]| {
            let statics = metadata::config::StaticConfig::new();
            let (config, _) = metadata::config::BrokerConfig::load(&statics).unwrap();
            let overrides = overrides.iter().map(|(ip, max)| (ip.parse().unwrap(), *max));
            Arc::new(ConnectionLimits::new(&Sockets {
                max_connections_per_ip: max,
                max_connections_per_ip_overrides: overrides.collect(),
                ..config.sockets
            }))
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
        assert!(limited.per_ip.lock().unwrap().is_empty(), "who has left is forgotten");
    }
}
