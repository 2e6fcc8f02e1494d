//! The raft log on disk: segmented files of checksummed frames, and the quorum state beside them.
//!
//! Invariants:
//! * One task, [`writer::Writer`], changes the files, one operation after the other, in the order openraft asks.
//! * openraft hears that something is on disk only after its sync has succeeded; a failed one is the last.
//! * The entries that are not purged stay in memory too, so reading never touches the disk; checkpoints bound them.
//!
//! Does not know: what the entries mean.

pub(crate) mod frame;
mod memory;
mod recovery;
mod room;
pub(crate) mod segment;
mod state_file;
mod store;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::disk::Lock;
use host::{Files, Host};

use crate::error::Error;
use crate::raft::LogId;
use memory::Shared;
pub(crate) use recovery::Recovered;
use state_file::Durable;
pub(crate) use state_file::{Loaded, NAME as STATE_FILE_NAME, StateFile};
pub(crate) use store::LogStore;

/// The directory of the metadata log inside a data directory, named as Kafka names it.
pub(crate) const DIR_NAME: &str = "__cluster_metadata-0";

/// A log that was read and is ready to go on.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) dir: PathBuf,
    pub(crate) loaded: Loaded,
    pub(crate) recovered: Recovered,
}

impl Opened {
    /// Whether nothing was ever voted, logged or purged here.
    pub(crate) fn is_pristine(&self) -> bool {
        self.loaded.durable == Durable::default() && self.recovered.entries.is_empty()
    }

    /// What was purged must stand in the newest checkpoint, which ends at `newest`.
    pub(crate) fn check_checkpoint(&self, newest: Option<LogId>) -> Result<(), Error> {
        let Some(purged) = self.loaded.durable.purged else { return Ok(()) };
        if newest.is_some_and(|newest| newest.index >= purged.index) {
            return Ok(());
        }
        let found =
            newest.map_or("there is none".to_owned(), |id| format!("the newest ends at {}", id.index));
        let reason = format!("a checkpoint up to entry {} is missing; {found}", purged.index);
        Err(Error::Corrupt { file: self.dir.clone(), position: 0, reason })
    }
}

/// Reads the log of `dir`, whose quorum state is `loaded`. Blocking: for start only.
pub(crate) fn open(files: &dyn Files, dir: &Path, loaded: Loaded) -> Result<Opened, Error> {
    let recovered = recovery::recover(files, dir, &loaded)?;
    Ok(Opened { dir: dir.to_owned(), loaded, recovered })
}

/// Starts the writer of an opened log; the store is openraft's side of it.
pub(crate) fn start(host: &Host, opened: Opened, lock: Box<dyn Lock>) -> LogStore {
    let Opened { dir, loaded, recovered } = opened;
    let (shared, segments) = Shared::recovered(&loaded, recovered);
    let shared = Arc::new(shared);
    let commands = writer::Writer::spawn(host, dir, loaded, segments, Arc::clone(&shared), lock);
    LogStore::new(shared, commands)
}
