//! Offsets are dense: a reader gets the offset it wants next, and no offset is left out within a batch.

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

fn contiguous(log: &Log, first: Offset, records: &[Seen]) -> Result<Offset, String> {
    let mut next = first;
    for record in records {
        if record.offset != next {
            return Err(format!("{log}: after offset {} comes {}", next - 1, record.offset));
        }
        next = next.next();
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
                if !(header.base_offset..end).contains(expected) {
                    return Err(format!(
                        "r{reader} wanted {log}@{expected} and got a batch of {} to {end}",
                        header.base_offset
                    ));
                }
                let next = contiguous(log, header.base_offset, records)?;
                if next != end {
                    return Err(format!("{log}: a batch up to {end} has records up to {next}"));
                }
            }
            Event::Chunk { reader, log, records, .. } => {
                let first = records.first().map_or(Offset::ZERO, |record| record.offset);
                let start = if scenario.is_retained(&log.topic) { first } else { Offset::ZERO };
                let next = self.next.entry((*reader, log.clone())).or_insert(start);
                *next = contiguous(log, *next, records)?;
            }
            _ => {}
        }
        Ok(())
    }
}
