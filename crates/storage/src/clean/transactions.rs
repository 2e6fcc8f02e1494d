//! [`Transactions`]: which records a pass may drop because their transaction was aborted, and which markers because nothing
//! of their transaction is left.
//!
//! Invariants: batches are passed in the order of their offsets, each once. A marker stays as long as a batch of its transaction
//! does, and an aborted transaction stays in the index as long as its marker, so that no reader takes what was aborted for
//! committed.

use std::collections::{BTreeMap, BTreeSet};

use protocol::ids::{Offset, ProducerId};
use protocol::records::{BatchHeader, ControlKind, Error, Limits, Scratch, ValidBatch};

use crate::producers::AbortedTransaction;

#[derive(Clone, Debug, Default)]
pub struct Transactions {
    /// Begin behind what has been passed, by first offset and producer.
    aborted: BTreeMap<(Offset, ProducerId), AbortedTransaction>,
    /// Have begun and will be aborted, each with whether any batch of it was seen.
    aborting: BTreeMap<ProducerId, (AbortedTransaction, bool)>,
    /// Producers with batches that will be committed.
    committing: BTreeSet<ProducerId>,
}

/// What is to become of a batch, for all that transactions have to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Its records were aborted, or it is a marker of a transaction of which no batch is left.
    pub may_go: bool,
    /// It is the marker of this one, of which batches are left: what the index goes on to say.
    pub aborted: Option<AbortedTransaction>,
}

impl Transactions {
    /// Adds transactions that were aborted and reach into the part of the log that comes next. Those that are known already change
    /// nothing.
    pub fn add(&mut self, aborted: impl IntoIterator<Item = AbortedTransaction>) {
        let key = |aborted: AbortedTransaction| ((aborted.first_offset, aborted.producer_id), aborted);
        self.aborted.extend(aborted.into_iter().map(key));
    }

    /// The next batch.
    pub fn pass(&mut self, batch: &ValidBatch, scratch: &mut Scratch) -> Result<Passed, Error> {
        let header = batch.header();
        self.begin_up_to(header.last_offset());
        if header.attributes.is_control() {
            let kind = marker_kind(batch, scratch)?;
            return Ok(self.end(header.producer_id, kind));
        }
        let may_go = header.attributes.is_transactional() && self.is_aborted(header);
        Ok(Passed { may_go, aborted: None })
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(next) = self.aborted.first_entry().filter(|next| next.key().0 <= offset) {
            let aborted = next.remove();
            self.aborting.entry(aborted.producer_id).or_insert((aborted, false));
        }
    }

    fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        match self.aborting.get_mut(&header.producer_id) {
            Some((_, seen)) => {
                *seen = true;
                true
            }
            None => {
                self.committing.insert(header.producer_id);
                false
            }
        }
    }

    fn end(&mut self, producer_id: ProducerId, kind: Option<ControlKind>) -> Passed {
        let may_go = match kind {
            Some(ControlKind::Abort) => {
                let ended = self.aborting.remove(&producer_id);
                let aborted = ended.filter(|(_, seen)| *seen).map(|(aborted, _)| aborted);
                return Passed { may_go: aborted.is_none(), aborted };
            }
            Some(ControlKind::Commit) => !self.committing.remove(&producer_id),
            Some(_) => false,
            // Its record has gone before.
            None => true,
        };
        Passed { may_go, aborted: None }
    }
}

fn marker_kind(batch: &ValidBatch, scratch: &mut Scratch) -> Result<Option<ControlKind>, Error> {
    let Some(record) = batch.records(scratch, &Limits::default())?.next() else { return Ok(None) };
    let kind = record?.key.and_then(ControlKind::of_key);
    // A kind that nobody knows stays.
    Ok(Some(kind.unwrap_or(ControlKind::Unknown(-1))))
}
