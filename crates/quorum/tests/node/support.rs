//! A state machine that remembers what it was given, and a machine to run on.

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use host::sim::{NodeOptions, Sim};
use host::{Host, real};
use quorum::{Encode, Error, MetadataLog, Options, SnapshotAfter, StateMachine};

/// Every batch that was applied, in order, with its index and term.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Arc<Mutex<Vec<(u64, u64, Bytes)>>>);

impl History {
    pub(crate) fn batches(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().iter().map(|(_, _, batch)| batch.clone()).collect()
    }

    pub(crate) fn indexes(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|(index, _, _)| *index).collect()
    }
}

impl StateMachine for History {
    fn apply(&mut self, index: u64, term: u64, batch: &[u8]) {
        let mut history = self.0.lock().unwrap();
        assert!(history.last().is_none_or(|(last, ..)| *last < index), "{index} was applied out of order");
        history.push((index, term, Bytes::copy_from_slice(batch)));
    }

    fn snapshot(&self) -> Encode {
        let history = self.0.lock().unwrap().clone();
        Box::new(move || {
            let mut out = BytesMut::new();
            for (index, term, batch) in history {
                out.put_u64(index);
                out.put_u64(term);
                out.put_u32(u32::try_from(batch.len()).unwrap());
                out.put_slice(&batch);
            }
            out.freeze()
        })
    }

    fn restore(&mut self, mut snapshot: &[u8]) -> Result<(), String> {
        let mut history = Vec::new();
        while snapshot.has_remaining() {
            let (index, term, len) = (snapshot.get_u64(), snapshot.get_u64(), snapshot.get_u32() as usize);
            history.push((index, term, Bytes::copy_from_slice(&snapshot[..len])));
            snapshot.advance(len);
        }
        *self.0.lock().unwrap() = history;
        Ok(())
    }
}

/// Runs `main` on a real machine with one shard.
pub(crate) fn run<T, F: Future<Output = T>>(main: impl FnOnce(Host) -> F) -> T {
    let options = real::Options { shards: 1, raise_file_limit: false, ..real::Options::default() };
    real::run(options, main).unwrap()
}

/// A batch that names its number.
pub(crate) fn batch(number: u64) -> Bytes {
    Bytes::from(format!("batch {number}"))
}

/// The data directory on simulated disks.
pub(crate) fn dir() -> &'static Path {
    Path::new("/data")
}

/// A simulated world with one node, named "a".
pub(crate) fn world(seed: u64) -> (Sim, Host) {
    let sim = Sim::new(seed);
    let host = sim.node("a", NodeOptions::default());
    (sim, host)
}

/// Opens the log of a simulated node.
pub(crate) async fn open(host: &Host, options: &Options, history: &History) -> Result<MetadataLog, Error> {
    MetadataLog::open(host, dir(), options.clone(), history.clone()).await
}

/// Snapshots every few entries.
pub(crate) fn often() -> Options {
    Options { snapshot_after: SnapshotAfter { entries: 7, bytes: u64::MAX }, ..Options::default() }
}
