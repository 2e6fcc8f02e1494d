//! [`Strike`]: what happens at one operation on the broker's disk.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use host::Instant;
use host::sim::{Control, CrashPolicy, Failing, SimDisk};

use crate::scenario::BROKER;
use crate::server::Server;

/// How long errors go on that do not end by themselves.
const FOR: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// The power fails: what is not synced is kept, lost or torn.
    Die,
    /// The process is killed: all that was written is there.
    Kill,
    /// EIO, once.
    Device,
    /// EIO from there on, for a while.
    DeviceFor,
    /// ENOSPC, once.
    Full,
    /// ENOSPC from there on, for a while.
    FullFor,
}

impl Blow {
    pub const ALL: [Self; 6] =
        [Self::Die, Self::Kill, Self::Device, Self::DeviceFor, Self::Full, Self::FullFor];
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Die => "power-loss",
            Self::Kill => "kill",
            Self::Device => "eio",
            Self::DeviceFor => "eio-for-a-while",
            Self::Full => "enospc",
            Self::FullFor => "enospc-for-a-while",
        })
    }
}

impl FromStr for Blow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|blow| blow.to_string() == text);
        found
            .ok_or_else(|| format!("{text} is none of {}", Self::ALL.map(|blow| blow.to_string()).join(", ")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The number of the operation, counted from 1.
    pub operation: u64,
    pub blow: Blow,
}

impl Strike {
    pub(crate) fn is_error(self) -> bool {
        !matches!(self.blow, Blow::Die | Blow::Kill)
    }

    pub(crate) fn arm(self, disk: &SimDisk) {
        let strike = |failing, times| {
            disk.strike(host::sim::Strike { operation: self.operation, times, failing });
        };
        match self.blow {
            Blow::Die => strike(Failing::Power, 1),
            Blow::Kill => {
                disk.faults(|faults| faults.crash = CrashPolicy::KeepAll);
                strike(Failing::Power, 1);
            }
            Blow::Device => strike(Failing::Device, 1),
            Blow::DeviceFor => strike(Failing::Device, u64::MAX),
            Blow::Full => strike(Failing::Full, 1),
            Blow::FullFor => strike(Failing::Full, u64::MAX),
        }
    }

    /// Ends what goes on, when its time has come. To be called every few milliseconds.
    pub(crate) fn turn(self, control: &Control, server: &mut Server, since: &Cell<Option<Instant>>) {
        let disk = control.disk(BROKER);
        if !self.is_error() || disk.struck().is_none() {
            return;
        }
        let now = control.now();
        let began = since.get().unwrap_or(now);
        since.set(Some(began));
        let lasts = if matches!(self.blow, Blow::Device | Blow::Full) { Duration::ZERO } else { FOR };
        if now.since(began) >= lasts {
            disk.clear_strike();
            server.disk_works();
        }
    }
}
