//! The high watermark never goes back for a reader.
//!
//! A fetch that begins after somebody has seen a high watermark, or has been told that a record is written with
//! acks=all, answers with at least that. On a synced topic this holds over the whole run; on a buffered one until
//! something unsynced may have been lost.

use std::collections::BTreeMap;

use client::Acks;
use protocol::Offset;

use super::Check;
use crate::event::{Event, Log, Reader, Setback};
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct Watermark {
    /// What everybody must see from now on.
    floors: BTreeMap<Log, Offset>,
    /// What the answer to a fetch under way must show, and when it began.
    begun: BTreeMap<(Reader, Log), (Offset, u64)>,
    /// The latest that a consumer has seen.
    consumers: BTreeMap<(Reader, Log), Offset>,
    losses: u64,
}

impl Watermark {
    fn raise(&mut self, log: &Log, to: Offset) {
        let floor = self.floors.entry(log.clone()).or_default();
        *floor = to.max(*floor);
    }

    fn answer(&mut self, reader: Reader, log: &Log, seen: Offset, synced: bool) -> Result<(), String> {
        let Some((floor, losses)) = self.begun.remove(&(reader, log.clone())) else { return Ok(()) };
        if !synced && losses != self.losses {
            return Ok(());
        }
        if seen < floor {
            return Err(format!("r{reader} sees the high watermark of {log} at {seen} after {floor}"));
        }
        self.raise(log, seen);
        Ok(())
    }
}

impl Check for Watermark {
    fn invariant(&self) -> &'static str {
        "the high watermark never goes back"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::Acked { id, log, offset: Some(offset) }
                if scenario.acks(id.producer) == Acks::All && scenario.is_synced(&log.topic) =>
            {
                self.raise(log, offset.next());
            }
            Event::Down { setback: Setback::Unsynced } => {
                self.losses += 1;
                self.floors.retain(|log, _| scenario.is_synced(&log.topic));
            }
            Event::FetchBegins { reader, log } => {
                let floor = self.floors.get(log).copied().unwrap_or_default();
                self.begun.insert((*reader, log.clone()), (floor, self.losses));
            }
            Event::Watermark { reader, log, high_watermark, .. } => {
                self.answer(*reader, log, *high_watermark, scenario.is_synced(&log.topic))?;
            }
            Event::ReaderBegins { reader } => self.consumers.retain(|(other, _), _| other != reader),
            Event::Chunk { reader, log, high_watermark, .. } if scenario.is_synced(&log.topic) => {
                let before = self.consumers.insert((*reader, log.clone()), *high_watermark);
                if before.is_some_and(|before| before > *high_watermark) {
                    return Err(format!(
                        "consumer r{reader} of {log} sees {high_watermark} after {before:?}"
                    ));
                }
            }
            Event::OutOfRange { reader, log, position }
                if scenario.is_synced(&log.topic) && !scenario.loses_front(&log.topic) =>
            {
                return Err(format!("r{reader} was at {log}@{position}, which is now out of range"));
            }
            _ => {}
        }
        Ok(())
    }
}
