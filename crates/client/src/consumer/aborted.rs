//! [`Aborted`]: which batches of a fetch a reader does not see.

use std::collections::{BTreeSet, VecDeque};

use protocol::messages::fetch_response::AbortedTransaction;
use protocol::records::{Error, Limits, Scratch, ValidBatch};
use protocol::{Offset, ProducerId};

/// The aborted transactions of one partition's answer. Empty for readers that see uncommitted records.
#[derive(Debug, Default)]
pub(super) struct Aborted {
    /// By first offset.
    upcoming: VecDeque<(Offset, ProducerId)>,
    open: BTreeSet<ProducerId>,
}

/// The key of a control record: a version and a type, of which 0 is ABORT.
const ABORT: [u8; 4] = [0, 0, 0, 0];

impl Aborted {
    pub(super) fn new(transactions: &[AbortedTransaction]) -> Self {
        let mut upcoming: Vec<(Offset, ProducerId)> =
            transactions.iter().map(|one| (Offset(one.first_offset), ProducerId(one.producer_id))).collect();
        upcoming.sort();
        Self { upcoming: upcoming.into(), open: BTreeSet::new() }
    }

    /// Whether the batch holds nothing for a reader: markers, and records of aborted transactions. Batches come in order.
    pub(super) fn hides(&mut self, batch: &ValidBatch) -> Result<bool, Error> {
        let header = batch.header();
        while let Some((_, producer)) = self.upcoming.pop_front_if(|one| one.0 <= header.last_offset()) {
            self.open.insert(producer);
        }
        if header.attributes.is_control() {
            let mut scratch = Scratch::default();
            let first = batch.records(&mut scratch, &Limits::default())?.next().transpose()?;
            if first.and_then(|record| record.key).is_some_and(|key| key.starts_with(&ABORT)) {
                self.open.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.attributes.is_transactional() && self.open.contains(&header.producer_id))
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::{BatchBuilder, BatchOptions, NewRecord};

    use super::*;

    fn batch(offset: i64, producer: i64, marker: Option<u8>) -> ValidBatch {
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset: Offset(offset),
            producer_id: ProducerId(producer),
            transactional: true,
            control: marker.is_some(),
            ..BatchOptions::default()
        });
        let key = [0, 0, 0, marker.unwrap_or(7)];
        builder.append(&NewRecord { key: Some(&key), ..NewRecord::default() }).unwrap();
        builder.build_valid().unwrap()
    }

    #[test]
    fn aborted_records_and_markers_are_hidden() {
        let aborted = |first_offset| AbortedTransaction { producer_id: 1, first_offset };
        let mut filter = Aborted::new(&[aborted(4), aborted(0)]);
        let mut hides = |offset, producer, marker| filter.hides(&batch(offset, producer, marker)).unwrap();
        assert!(hides(0, 1, None), "aborted");
        assert!(!hides(1, 2, None), "another producer");
        assert!(hides(2, 1, Some(0)), "the marker itself");
        assert!(!hides(3, 1, None), "the next transaction commits");
        assert!(hides(4, 1, None), "the one after it does not");
        assert!(hides(5, 2, Some(1)), "a commit marker");
        assert!(hides(6, 1, None), "still open");
    }
}
