//! [`Seen`]: a partition as readers see it, after the background check.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use host::Files;
use protocol::ids::Offset;
use protocol::records::{Batches, ValidBatch};
use storage::Log;
use storage::epochs::EpochEntry;
use storage::log::{AbortedIn, ReadLimits, ReadPlan, Scrubbed, Search};
use storage::producers::AbortedTransaction;
use storage::segment::OpenFiles;

#[derive(Debug)]
pub(super) struct Seen {
    start: i64,
    end: i64,
    epochs: Vec<EpochEntry>,
    fetched: Vec<Result<Bytes, String>>,
    found: Vec<Result<Option<i64>, String>>,
    /// Which transactions were aborted, for readers from each offset on.
    aborted: Vec<Result<Vec<AbortedTransaction>, String>>,
    /// By the background check.
    pub(super) damaged: usize,
}

pub(super) fn see(mut log: Log, files: &dyn Files, open: &OpenFiles) -> Seen {
    let (start, end) = (log.log_start().0, log.log_end().0);
    let (mut behind, mut damaged) = (None, 0);
    while let Some(scrub) = log.next_scrub(behind) {
        let base = scrub.base();
        behind = Some(base);
        match scrub.run(files, u64::MAX).map(|(_, scrubbed)| scrubbed) {
            Ok(Scrubbed::Damaged(damage)) => {
                log.suspect(base, damage.unplaced);
                damaged += 1;
            }
            Ok(_) => {}
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::Other, "{error}"),
        }
    }
    Seen {
        start,
        end,
        epochs: log.epochs().entries().to_vec(),
        fetched: (start..end).map(|offset| fetch(&log, offset, files, open)).collect(),
        found: (-20..320).step_by(7).map(|time| find(&log, time, files, open)).collect(),
        aborted: (start..end).map(|offset| aborted(&log, offset, files)).collect(),
        damaged,
    }
}

fn aborted(log: &Log, offset: i64, files: &dyn Files) -> Result<Vec<AbortedTransaction>, String> {
    match log.aborted_in(Offset(offset), log.log_end()) {
        AbortedIn::Known(all) => Ok(all),
        AbortedIn::Cold(search) => search.run(files).map_err(|error| error.to_string()),
    }
}

fn fetch(log: &Log, offset: i64, files: &dyn Files, open: &OpenFiles) -> Result<Bytes, String> {
    let limits = ReadLimits { end: log.log_end(), bytes_max: 600, at_least_one: true, from_file: true };
    match log.read(Offset(offset), limits).unwrap() {
        ReadPlan::Now { records, .. } => Ok(records.to_bytes().unwrap()),
        ReadPlan::Damaged(facts) => panic!("damaged in memory: {facts:?}"),
        ReadPlan::Cold(cold) => {
            let region = cold.run(files, open).map_err(|error| error.to_string())?;
            if let Some(next) = region.goes_on_at {
                assert!(next.0 > offset, "a read at {offset} goes on at {next}");
                return fetch(log, next.0, files, open);
            }
            let mut bytes = vec![0; region.len];
            let read = region.file.read_at(&mut bytes, region.position).unwrap();
            assert_eq!(read, region.len, "what is to be sent is there");
            Ok(Bytes::from(bytes))
        }
    }
}

fn find(log: &Log, timestamp_ms: i64, files: &dyn Files, open: &OpenFiles) -> Result<Option<i64>, String> {
    let cold = match log.find(timestamp_ms) {
        Search::InMemory => Ok(None),
        Search::Cold(search) => search.run(files, open),
    };
    let in_memory = || log.find_in_memory(timestamp_ms);
    let found = cold.and_then(|found| found.map_or_else(in_memory, |found| Ok(Some(found))));
    found.map(|found| found.map(|found| found.offset.0)).map_err(|error| error.to_string())
}

impl Seen {
    /// Whether it is what it was, as far as it answers at all.
    pub(super) fn check(&self, truth: &Self, is_compacted: bool) {
        assert_eq!((self.start, self.end), (truth.start, truth.end));
        assert_eq!(self.epochs, truth.epochs);
        let all =
            truth.fetched.iter().flat_map(|bytes| Batches::new(bytes.clone().unwrap()).map(Result::unwrap));
        let all: BTreeMap<i64, ValidBatch> =
            all.map(|batch| (batch.header().last_offset().0, batch)).collect();
        for (got, offset) in self.fetched.iter().zip(self.start..) {
            let Ok(got) = got else { continue };
            let got: Vec<ValidBatch> = Batches::new(got.clone()).map(Result::unwrap).collect();
            assert_eq!(got.is_empty(), all.range(offset..).next().is_none(), "at {offset}");
            for (got, (_, right)) in got.iter().zip(all.range(offset..)) {
                assert_eq!((got.head(), got.rest()), (right.head(), right.rest()), "at {offset}");
            }
        }
        for (got, right) in self.found.iter().zip(&truth.found) {
            assert!(got.is_err() || got == right, "{got:?} is not {right:?}");
        }
        // What is found out anew from batches does not have those whose batches compaction has taken.
        for (got, right) in self.aborted.iter().zip(&truth.aborted).filter(|_| !is_compacted) {
            assert!(got.is_err() || got == right, "{got:?} is not {right:?}");
        }
    }
}
