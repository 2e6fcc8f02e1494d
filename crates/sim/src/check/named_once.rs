//! (Partition, leader epoch, offset) names one batch for ever, whatever is lost in between. On a synced topic nothing
//! that was read is ever lost, so there (partition, offset) does, and names one record.

use std::collections::BTreeMap;

use protocol::records::{BatchHeader, Codec};
use protocol::{LeaderEpoch, Offset};

use super::Check;
use crate::event::{Event, Log, Seen};
use crate::scenario::Scenario;
use crate::value::Id;

#[derive(Debug, Default)]
pub(super) struct NamedOnce {
    batches: BTreeMap<(Log, LeaderEpoch, Offset), BatchHeader>,
    records: BTreeMap<(Log, Offset), (Id, Option<LeaderEpoch>)>,
}

impl NamedOnce {
    fn record(&mut self, log: &Log, record: &Seen, epoch: Option<LeaderEpoch>) -> Result<(), String> {
        let Some(id) = record.id else { return Ok(()) };
        let known = self.records.entry((log.clone(), record.offset)).or_insert((id, epoch));
        known.1 = known.1.or(epoch);
        if known.0 != id || (epoch.is_some() && known.1 != epoch) {
            let at = format!("{log}@{}", record.offset);
            return Err(format!(
                "{at} was read as {} of epoch {:?}, and now as {id} of {epoch:?}",
                known.0, known.1
            ));
        }
        Ok(())
    }
}

/// What compaction leaves of a header.
fn what_stays(header: &BatchHeader) -> BatchHeader {
    let attributes = header.attributes.with_codec(Codec::None).with_delete_horizon(false);
    BatchHeader {
        attributes,
        batch_length: 0,
        crc: 0,
        base_timestamp: 0,
        max_timestamp: 0,
        record_count: 0,
        ..*header
    }
}

impl Check for NamedOnce {
    fn invariant(&self) -> &'static str {
        "an offset names one batch for ever"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::Batch { log, header, records, .. } => {
                let epoch = header.partition_leader_epoch;
                let header = if scenario.is_compacted(&log.topic) { &what_stays(header) } else { header };
                let key = (log.clone(), epoch, header.base_offset);
                let known = self.batches.entry(key).or_insert(*header);
                if known != header {
                    let at = header.base_offset;
                    return Err(format!("{log}@{at} of epoch {epoch} was {known:?}, and now is {header:?}"));
                }
                if scenario.is_synced(&log.topic) {
                    records.iter().try_for_each(|record| self.record(log, record, Some(epoch)))?;
                }
                Ok(())
            }
            Event::Chunk { log, records, .. } if scenario.is_synced(&log.topic) => {
                records.iter().try_for_each(|record| self.record(log, record, None))
            }
            _ => Ok(()),
        }
    }
}
