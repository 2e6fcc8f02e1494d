//! What can go wrong with a simulated disk, and how fast it is.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::sim::rng::SeededRng;

/// The operations of a disk, for rules and traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpKind {
    Open,
    ReadDir,
    CreateDir,
    Rename,
    Remove,
    SyncDir,
    Lock,
    Space,
    Read,
    Write,
    Sync,
    SetLen,
    Allocate,
}

/// What a crash does to writes and names that were not synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrashPolicy {
    /// Each is kept, lost or torn, in combinations drawn from the seed.
    #[default]
    Random,
    KeepAll,
    LoseAll,
}

/// Makes particular operations fail.
#[derive(Clone, Debug)]
pub struct Rule {
    pub op: OpKind,
    /// Operations whose path contains this.
    pub path: String,
    /// How many such operations succeed first.
    pub skip: u64,
    /// How many fail then.
    pub times: u64,
    pub error: io::ErrorKind,
}

impl Rule {
    /// The next `times` operations of this kind on paths that contain `path` fail.
    pub fn next(op: OpKind, path: &str, times: u64) -> Self {
        Self { op, path: path.to_owned(), skip: 0, times, error: io::ErrorKind::Other }
    }
}

/// What happens at an operation that a [`Strike`] hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// The machine dies half-way, as by [`SimDisk::die_after`](super::SimDisk::die_after).
    Power,
    /// EIO, the error of a failing device, which any operation may have.
    Device,
    /// ENOSPC, of operations that need room.
    Full,
}

impl Failing {
    pub(super) fn hits(self, op: OpKind) -> bool {
        let needs_room = matches!(op, OpKind::CreateDir | OpKind::Write | OpKind::Allocate);
        self != Self::Full || needs_room
    }
}

/// Makes the operations from one on fail, whatever they are and however often the node starts until then: so that each step of a
/// scenario fails in one of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// The first operation that can have the error from this one on, as [`SimDisk::operations`](super::SimDisk::operations)
    /// counts them.
    pub operation: u64,
    /// How many fail.
    pub times: u64,
    pub failing: Failing,
}

/// Standing faults. Rates are in parts per million of the operations of their kind.
#[derive(Clone, Debug)]
pub struct Faults {
    /// Only files and directories whose path contains this fail by the rates below.
    pub only: String,
    /// A full disk: what all files together may take.
    pub quota_bytes: Option<u64>,
    pub read_error_ppm: u32,
    /// A failed write may have written a part.
    pub write_error_ppm: u32,
    /// After a failed sync a part of the unsynced data is durable, and the rest never will be.
    pub sync_error_ppm: u32,
    /// Operations of lanes that take up to [`Faults::slow_max`].
    pub slow_ppm: u32,
    pub slow_max: Duration,
    /// How long operations of lanes take.
    pub read_time: RangeInclusive<Duration>,
    pub write_time: RangeInclusive<Duration>,
    pub sync_time: RangeInclusive<Duration>,
    pub crash: CrashPolicy,
    /// Unit in which a write tears; a power of two of at most 4096.
    pub sector_bytes: u64,
}

impl Default for Faults {
    fn default() -> Self {
        let micros = Duration::from_micros;
        Self {
            only: String::new(),
            quota_bytes: None,
            read_error_ppm: 0,
            write_error_ppm: 0,
            sync_error_ppm: 0,
            slow_ppm: 0,
            slow_max: Duration::from_secs(1),
            read_time: micros(20)..=micros(200),
            write_time: micros(10)..=micros(100),
            sync_time: micros(80)..=micros(400),
            crash: CrashPolicy::Random,
            sector_bytes: 512,
        }
    }
}

impl Faults {
    /// Speed, sector size and slowness drawn from a seed; nothing in it fails for good.
    pub fn draw_benign(seed: u64) -> Self {
        let mut rng = SeededRng::derive(seed, "faults", 0);
        let mut time = |low: u64, high: u64| {
            let low = rng.between(low / 4, low);
            let high = rng.between(low, high);
            Duration::from_micros(low)..=Duration::from_micros(high)
        };
        let (read_time, write_time, sync_time) = (time(20, 2000), time(10, 1000), time(80, 5000));
        Self {
            read_time,
            write_time,
            sync_time,
            slow_ppm: if rng.coin() { 0 } else { u32::try_from(rng.below(10_000)).unwrap_or(0) },
            slow_max: Duration::from_millis(rng.between(5, 2000)),
            sector_bytes: if rng.coin() { 512 } else { 4096 },
            ..Self::default()
        }
    }

    /// As [`Faults::draw_benign`], and by the seed some of the errors too.
    pub fn draw(seed: u64) -> Self {
        let mut faults = Self::draw_benign(seed);
        let mut rng = SeededRng::derive(seed, "faults", 1);
        let mut rate = |max: u64| {
            if rng.below(3) == 0 { u32::try_from(rng.below(max)).unwrap_or(0) } else { 0 }
        };
        faults.read_error_ppm = rate(2000);
        faults.write_error_ppm = rate(2000);
        faults.sync_error_ppm = rate(2000);
        faults
    }

    pub(crate) fn time(&self, rng: &mut SeededRng, op: OpKind) -> Duration {
        let range = match op {
            OpKind::Sync | OpKind::SyncDir => &self.sync_time,
            OpKind::Write => &self.write_time,
            _ => &self.read_time,
        };
        let nanos = |duration: &Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let time = rng.between(nanos(range.start()), nanos(range.end()));
        let slow = if rng.chance(self.slow_ppm) { rng.below(nanos(&self.slow_max)) } else { 0 };
        Duration::from_nanos(time.saturating_add(slow))
    }

    pub(super) fn rate(&self, op: OpKind) -> u32 {
        match op {
            OpKind::Read => self.read_error_ppm,
            OpKind::Write => self.write_error_ppm,
            OpKind::Sync | OpKind::SyncDir => self.sync_error_ppm,
            _ => 0,
        }
    }
}
