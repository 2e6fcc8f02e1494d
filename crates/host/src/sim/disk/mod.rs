//! A simulated disk: files in memory that lose and tear what was not synced.
//!
//! Invariants:
//! * What a successful sync covered survives every crash, bit for bit, unless a bit is flipped on purpose.
//! * After [`SimDisk::crash`] a name or a sector holds something it held, or was given, since its last sync.
//! * The same seed and the same operations give the same outcome.
//!
//! Usable without the rest of the simulation: [`SimDisk::files`] are plain blocking calls.
//!
//! Does not know: virtual time. How long operations take is up to the lanes.

mod faults;
mod file;
mod files;
mod image;
mod inode;
mod names;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use faults::{CrashPolicy, Failing, Faults, OpKind, Rule, Strike};
pub(crate) use file::SimFile;

use self::files::SimFiles;
use self::names::Entry;
use self::state::Shared;
use crate::disk::Files;
use crate::sim::rng::SeededRng;
use crate::sim::trace::Trace;

/// A disk that outlives the crashes of its node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

impl SimDisk {
    /// A disk of its own, for tests of code that only uses [`Files`].
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_trace("disk", SeededRng::derive(seed, "disk", 0), Trace::default())
    }

    pub(crate) fn with_trace(name: &str, rng: SeededRng, trace: Trace) -> Self {
        Self { shared: Arc::new(Shared::new(name, rng, trace)) }
    }

    /// The blocking calls, until the next crash.
    #[must_use]
    pub fn files(&self) -> Arc<dyn Files> {
        let generation = self.shared.state().generation;
        Arc::new(SimFiles { shared: Arc::clone(&self.shared), generation })
    }

    #[must_use]
    pub fn trace(&self) -> &Trace {
        &self.shared.trace
    }

    /// Power loss: unsynced writes and names survive, tear or vanish; everything that is open becomes void.
    pub fn crash(&self) {
        self.shared.state().crash();
    }

    /// The end of the process: everything that is open becomes void, nothing that was written is lost.
    pub fn kill(&self) {
        self.shared.state().reset();
    }

    /// Replaces the standing faults.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.state().faults = faults;
    }

    /// Changes the standing faults.
    pub fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
    }

    /// Makes particular operations fail.
    pub fn inject(&self, rule: Rule) {
        self.shared.state().rules.push(rule);
    }

    /// Ends all injected rules.
    pub fn clear_rules(&self) {
        self.shared.state().rules.clear();
    }

    /// Makes an operation fail by its number, and those behind it.
    pub fn strike(&self, strike: Strike) {
        let mut state = self.shared.state();
        (state.strike, state.struck) = (Some(strike), None);
    }

    /// Ends the last [`SimDisk::strike`]. The number and kind of the first operation that it has hit.
    pub fn clear_strike(&self) -> Option<(u64, OpKind)> {
        let mut state = self.shared.state();
        state.strike = None;
        state.struck
    }

    /// The number and kind of the first operation that the last [`SimDisk::strike`] has hit.
    #[must_use]
    pub fn struck(&self) -> Option<(u64, OpKind)> {
        self.shared.state().struck
    }

    /// How many operations there have been, failed ones included.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.state().operations
    }

    /// The `operations`-th operation from now dies half-way, and everything after it fails until
    /// [`SimDisk::crash`]. In a simulation the node crashes then.
    pub fn die_after(&self, operations: u64) {
        let mut state = self.shared.state();
        state.dies_at = Some(state.operations.saturating_add(operations.max(1)));
    }

    /// Whether [`SimDisk::die_after`] has struck.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.shared.state().dead
    }

    /// Inverts one bit of a file, at rest: no crash, no error, only wrong bytes.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.shared.state();
        let Entry::File(ino) = state.names.find(path)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        state.inode(ino).flip(offset, bit);
        Ok(())
    }

    /// Cuts the end off a file, at rest: no crash, no error, only missing bytes.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.shared.state();
        let Entry::File(ino) = state.names.find(path)? else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        state.inode(ino).cut(len);
        Ok(())
    }

    /// All files with their lengths, sorted by their paths.
    #[must_use]
    pub fn list(&self) -> Vec<(PathBuf, u64)> {
        let mut state = self.shared.state();
        let paths = state.names.files();
        paths.into_iter().map(|(path, ino)| (path, state.inode(ino).current().len())).collect()
    }

    pub(crate) fn on_death(&self, act: impl Fn() + Send + Sync + 'static) {
        self.shared.state().on_death = Some(Arc::new(act));
    }

    pub(crate) fn time(&self, op: OpKind) -> Duration {
        let mut state = self.shared.state();
        let faults = state.faults.clone();
        faults.time(&mut state.rng, op)
    }

    pub(crate) fn coin(&self) -> bool {
        self.shared.state().rng.coin()
    }
}
