//! Everything a simulated disk knows, and the gate that every operation passes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::faults::{Failing, Faults, OpKind, Rule, Strike};
use super::inode::Inode;
use super::names::{Ino, Names};
use crate::sim::rng::SeededRng;
use crate::sim::trace::{Trace, hash_bytes};

/// What to call when the disk dies in the middle of an operation.
pub(super) type OnDeath = Arc<dyn Fn() + Send + Sync>;

pub(super) struct Shared {
    pub(super) name: String,
    pub(super) trace: Trace,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(name: &str, rng: SeededRng, trace: Trace) -> Self {
        Self { name: name.to_owned(), trace, state: Mutex::new(State::new(rng)) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(super) struct State {
    pub(super) rng: SeededRng,
    pub(super) names: Names,
    pub(super) inodes: BTreeMap<Ino, Inode>,
    /// How many of them the last collection has left.
    inodes_left: usize,
    pub(super) locked: BTreeSet<Ino>,
    pub(super) faults: Faults,
    pub(super) rules: Vec<Rule>,
    pub(super) strike: Option<Strike>,
    /// The first operation that it has hit.
    pub(super) struck: Option<(u64, OpKind)>,
    /// Counts crashes; what was opened before the last one is void.
    pub(super) generation: u64,
    pub(super) operations: u64,
    pub(super) dies_at: Option<u64>,
    pub(super) dead: bool,
    pub(super) on_death: Option<OnDeath>,
}

/// A device fails.
const EIO: i32 = 5;
/// There is no room.
const ENOSPC: i32 = 28;

/// How an operation goes.
pub(super) enum Gate {
    Pass,
    Fail(io::Error),
    /// The machine loses power during this operation, whose effect may or may not happen.
    Die(io::Error),
}

fn dead() -> io::Error {
    io::Error::other("the simulated machine has crashed")
}

impl State {
    fn new(rng: SeededRng) -> Self {
        Self {
            rng,
            names: Names::new(),
            inodes: BTreeMap::new(),
            inodes_left: 0,
            locked: BTreeSet::new(),
            faults: Faults::default(),
            rules: Vec::new(),
            strike: None,
            struck: None,
            generation: 0,
            operations: 0,
            dies_at: None,
            dead: false,
            on_death: None,
        }
    }

    pub(super) fn gate(&mut self, generation: u64, op: OpKind, path: &Path) -> Gate {
        if self.dead || generation != self.generation {
            return Gate::Fail(dead());
        }
        self.operations += 1;
        let struck = self.struck_now(op);
        if self.dies_at.is_some_and(|at| self.operations >= at) || struck == Some(Failing::Power) {
            self.dead = true;
            if let Some(on_death) = &self.on_death {
                on_death();
            }
            return Gate::Die(dead());
        }
        match struck {
            Some(Failing::Device) => return Gate::Fail(io::Error::from_raw_os_error(EIO)),
            Some(Failing::Full) => return Gate::Fail(io::Error::from_raw_os_error(ENOSPC)),
            Some(Failing::Power) | None => {}
        }
        let path = path.to_string_lossy();
        for rule in &mut self.rules {
            if rule.op != op || rule.times == 0 || !path.contains(&rule.path) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            return Gate::Fail(io::Error::new(rule.error, "injected by a rule"));
        }
        let rate = self.faults.rate(op);
        if rate > 0 && path.contains(&self.faults.only) && self.rng.chance(rate) {
            return Gate::Fail(io::Error::from_raw_os_error(EIO));
        }
        Gate::Pass
    }

    /// What the strike does to this operation.
    fn struck_now(&mut self, op: OpKind) -> Option<Failing> {
        let now = self.operations;
        let strike = self.strike.as_mut().filter(|strike| now >= strike.operation && strike.times > 0)?;
        if !strike.failing.hits(op) {
            return None;
        }
        strike.times -= 1;
        self.struck.get_or_insert((now, op));
        Some(strike.failing)
    }

    pub(super) fn inode(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.entry(ino).or_default()
    }

    /// What all files take that have a name or a handle.
    pub(super) fn used_bytes(&self) -> u64 {
        let linked = self.names.linked();
        let counts = self.inodes.iter().filter(|(ino, inode)| inode.handles > 0 || linked.contains(ino));
        counts.map(|(_, inode)| inode.current().pages() as u64 * 4096).sum()
    }

    /// Whether `pages` more pages fit under the quota. Only a disk that has one pays for counting.
    pub(super) fn fits(&self, pages: usize) -> bool {
        self.faults
            .quota_bytes
            .is_none_or(|quota| pages == 0 || self.used_bytes().saturating_add(pages as u64 * 4096) <= quota)
    }

    /// Frees what can be freed, now and then: with many files a collection is a long walk. A full disk cannot wait.
    pub(super) fn collect_if_due(&mut self) {
        if self.faults.quota_bytes.is_some() || self.inodes.len() > 2 * self.inodes_left {
            self.collect();
        }
    }

    /// Frees files that no name and no handle can reach any more.
    fn collect(&mut self) {
        let remembered = self.names.remembered();
        self.inodes.retain(|ino, inode| inode.handles > 0 || remembered.contains(ino));
        self.inodes_left = self.inodes.len();
    }

    pub(super) fn crash(&mut self) {
        let policy = self.faults.crash;
        let sector = self.faults.sector_bytes;
        self.names.crash(&mut self.rng, policy);
        for inode in self.inodes.values_mut() {
            inode.crash(&mut self.rng, policy, sector);
        }
        self.reset();
    }

    /// What ends with the process: handles and locks.
    pub(super) fn reset(&mut self) {
        for inode in self.inodes.values_mut() {
            inode.handles = 0;
        }
        self.locked.clear();
        self.generation += 1;
        self.dead = false;
        self.dies_at = None;
        self.collect();
    }
}

/// The numbers of one operation for the trace.
pub(super) fn note(shared: &Shared, op: OpKind, path: &Path, numbers: &[u64], failed: bool) {
    let path_hash = hash_bytes(path.as_os_str().as_encoded_bytes());
    shared.trace.step(&[op as u64, path_hash, u64::from(failed)], || {
        let failed = if failed { " fails" } else { "" };
        format!("{}: disk {op:?} {} {numbers:?}{failed}", shared.name, path.display())
    });
    shared.trace.mix(numbers);
}
