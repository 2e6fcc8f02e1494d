//! [`Aborted`]: which batches of an answer a reader of committed records does not deliver, by Kafka's rules. Not that of the
//! client library, which is under test, too.

use std::collections::BTreeSet;

use protocol::messages::fetch_response::AbortedTransaction;
use protocol::records::{TxnMarker, ValidBatch};
use protocol::{Offset, ProducerId};

pub(super) struct Aborted {
    /// Begin behind what has been read.
    upcoming: BTreeSet<(Offset, ProducerId)>,
    /// Have begun and not ended.
    open: BTreeSet<ProducerId>,
}

impl Aborted {
    pub(super) fn new(told: &[AbortedTransaction]) -> Self {
        let upcoming = told.iter().map(|one| (Offset(one.first_offset), ProducerId(one.producer_id)));
        Self { upcoming: upcoming.collect(), open: BTreeSet::new() }
    }

    /// Whether the next batch was aborted.
    pub(super) fn hides(&mut self, batch: &ValidBatch) -> bool {
        let header = batch.header();
        while let Some((first, producer)) = self.upcoming.pop_first() {
            if first > header.last_offset() {
                self.upcoming.insert((first, producer));
                break;
            }
            self.open.insert(producer);
        }
        if header.attributes.is_control() {
            let is_abort =
                TxnMarker::of(batch).is_ok_and(|marker| marker.is_some_and(|marker| !marker.commit));
            if is_abort {
                self.open.remove(&header.producer_id);
            }
        }
        header.attributes.is_transactional() && self.open.contains(&header.producer_id)
    }
}
