//! [`Transactions`]: which records a pass may drop because their transaction was aborted, and which markers because nothing
//! of their transaction is left.
//!
//! Invariants: batches are passed in the order of their offsets, each once. A marker stays as long as a batch of its transaction
//! does, so that no reader takes what was aborted for committed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Buf;
use protocol::ids::{Offset, ProducerId};
use protocol::records::{BatchHeader, Error, Limits, Scratch, ValidBatch};

/// An entry of the aborted index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AbortedTransaction {
    pub first_offset: Offset,
    pub producer_id: ProducerId,
}

#[derive(Clone, Debug, Default)]
pub struct Transactions {
    /// Begin behind what has been passed.
    aborted: BTreeSet<AbortedTransaction>,
    /// Have begun and will be aborted, each with whether any batch of it was seen.
    aborting: BTreeMap<ProducerId, bool>,
    /// Producers with batches that will be committed.
    committing: BTreeSet<ProducerId>,
}

/// In the key of a control record, behind a version of two bytes.
const ABORT: i16 = 0;
const COMMIT: i16 = 1;

impl Transactions {
    /// `aborted` are those that end in the part of the log that is passed.
    #[must_use]
    pub fn new(aborted: impl IntoIterator<Item = AbortedTransaction>) -> Self {
        Self { aborted: aborted.into_iter().collect(), ..Self::default() }
    }

    /// Whether the records of the next batch may go: they were aborted, or it is a marker of a transaction of which no
    /// batch is left.
    pub fn pass(&mut self, batch: &ValidBatch, scratch: &mut Scratch) -> Result<bool, Error> {
        let header = batch.header();
        self.begin_up_to(header.last_offset());
        if header.attributes.is_control() {
            let kind = marker_kind(batch, scratch)?;
            return Ok(self.end(header.producer_id, kind));
        }
        Ok(header.attributes.is_transactional() && self.is_aborted(header))
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(first) = self.aborted.first().copied().filter(|next| next.first_offset <= offset) {
            self.aborted.remove(&first);
            self.aborting.entry(first.producer_id).or_insert(false);
        }
    }

    fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        match self.aborting.get_mut(&header.producer_id) {
            Some(seen) => {
                *seen = true;
                true
            }
            None => {
                self.committing.insert(header.producer_id);
                false
            }
        }
    }

    fn end(&mut self, producer_id: ProducerId, kind: Option<i16>) -> bool {
        match kind {
            Some(ABORT) => self.aborting.remove(&producer_id) != Some(true),
            Some(COMMIT) => !self.committing.remove(&producer_id),
            Some(_) => false,
            // Its record has gone before.
            None => true,
        }
    }
}

fn marker_kind(batch: &ValidBatch, scratch: &mut Scratch) -> Result<Option<i16>, Error> {
    let Some(record) = batch.records(scratch, &Limits::default())?.next() else { return Ok(None) };
    let mut key = record?.key.unwrap_or_default();
    let kind = key.try_get_i16().and_then(|_version| key.try_get_i16());
    // A kind that nobody knows stays.
    Ok(Some(kind.unwrap_or(-1)))
}
