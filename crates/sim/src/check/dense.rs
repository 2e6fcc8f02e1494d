//! Offsets are dense: a reader gets the offset it wants next, and no offset is left out within a batch. In a compacted
//! topic they only grow, and so do those that a consumer is given where there are transactions: markers are no records.

use std::collections::BTreeMap;

use protocol::Offset;

use super::Check;
use crate::event::{Event, Log, Reader, Seen};
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct Dense {
    /// What each consumer takes next.
    next: BTreeMap<(Reader, Log), Offset>,
}

fn contiguous(log: &Log, first: Offset, records: &[Seen], gaps: bool) -> Result<Offset, String> {
    let mut next = first;
    for record in records {
        let follows = if gaps { record.offset >= next } else { record.offset == next };
        if !follows {
            return Err(format!("{log}: after offset {} comes {}", next - 1, record.offset));
        }
        next = record.offset.next();
    }
    Ok(next)
}

impl Check for Dense {
    fn invariant(&self) -> &'static str {
        "offsets are dense"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::ReaderBegins { reader } => self.next.retain(|(other, _), _| other != reader),
            Event::Batch { reader, log, expected, header, records } => {
                let end = header.next_offset();
                let gaps = scenario.is_compacted(&log.topic);
                let follows = *expected < end && (gaps || *expected >= header.base_offset);
                if !follows {
                    return Err(format!(
                        "r{reader} wanted {log}@{expected} and got a batch of {} to {end}",
                        header.base_offset
                    ));
                }
                let next = contiguous(log, header.base_offset, records, gaps)?;
                if next > end || (next != end && !gaps) {
                    return Err(format!("{log}: a batch up to {end} has records up to {next}"));
                }
            }
            Event::Chunk { reader, log, records, .. } => {
                let first = records.first().map_or(Offset::ZERO, |record| record.offset);
                let start = if scenario.loses_front(&log.topic) { first } else { Offset::ZERO };
                let next = self.next.entry((*reader, log.clone())).or_insert(start);
                let gaps = scenario.is_compacted(&log.topic) || scenario.transactors > 0;
                *next = contiguous(log, *next, records, gaps)?;
            }
            _ => {}
        }
        Ok(())
    }
}
