//! openraft's suite for log storage and state machine.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use host::sim::{NodeOptions, Sim};
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tokio::sync::watch;

use crate::checkpoint::Checkpoints;
use crate::directory::Directory;
use crate::log::{self, LogStore};
use crate::machine::Machine;
use crate::options::{Options, SnapshotAfter};
use crate::raft::TypeConfig;
use crate::state::{Encode, StateMachine};

/// Keeps the last batch.
#[derive(Debug, Default)]
struct Last(Bytes);

impl StateMachine for Last {
    fn apply(&mut self, _index: u64, _term: u64, batch: &[u8]) {
        self.0 = Bytes::copy_from_slice(batch);
    }

    fn snapshot(&self) -> Encode {
        let last = self.0.clone();
        Box::new(move || last)
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String> {
        self.0 = Bytes::copy_from_slice(snapshot);
        Ok(())
    }
}

/// Makes a store in a directory of its own on the host of the running task.
#[derive(Default)]
struct Builder {
    count: AtomicU64,
    /// What is dropped with the suite and not with a store, so that the writers go on.
    kept: Mutex<Vec<Arc<watch::Sender<u64>>>>,
}

impl StoreBuilder<TypeConfig, LogStore, Machine> for Builder {
    async fn build(&self) -> Result<((), LogStore, Machine), StorageError<TypeConfig>> {
        let host = host::current();
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let dir = Path::new("/stores").join(number.to_string());
        let directory = Directory::open(&host, &dir, &Options::default()).unwrap();
        let (checkpoints, newest) = Checkpoints::open(&host, &directory.log_dir()).unwrap();
        let wanted = Arc::new(watch::channel(0).0);
        self.kept.lock().unwrap().push(Arc::clone(&wanted));
        let state = Box::new(Last::default());
        let machine = Machine::open(state, checkpoints, newest, SnapshotAfter::default(), wanted).unwrap();
        let Directory { lock, log, .. } = directory;
        Ok(((), log::start(&host, log, lock), machine))
    }
}

#[test]
fn openrafts_suite_passes() {
    let sim = Sim::new(1);
    sim.node("a", NodeOptions::default());
    sim.block_on_node("a", async { Suite::test_all(Builder::default()).await.unwrap() });
}
