//! Reads everything that the broker holds, for the checkers that look at the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Cluster, Error, Isolation};
use host::Host;
use protocol::{ErrorCode, Offset, TopicId};

use super::fetch::Fetcher;
use super::operator;
use crate::check::{FinalLog, FinalLogs};
use crate::dice::Dice;
use crate::event::{Event, Reader};
use crate::history::{AUDITS, History};
use crate::scenario::Scenario;

/// A reader of its own: it begins from the front every time.
const COMMITTED_AUDIT: Reader = AUDITS * 2;

/// Partitions in one request: each may cost a read of a slow disk, and the client's patience is short.
const AT_ONCE: usize = 20;

pub(crate) async fn audit(
    host: &Host,
    scenario: &Arc<Scenario>,
    history: &History,
    number: usize,
) -> Result<FinalLogs, Error> {
    let cluster = super::cluster(host);
    let dice = Dice::of(host);
    let mut logs = FinalLogs::new();
    for plan in scenario.topics.iter().filter(|plan| !plan.knobs.is_empty()) {
        operator::describe(&cluster, history, plan).await?;
    }
    for plan in &scenario.topics {
        let mut fetcher = Fetcher::new(&cluster, history, AUDITS + number, &plan.name);
        fetcher.taken = Some(BTreeMap::new());
        let damage = scenario.may_miss_records();
        read_all(&mut fetcher, host, &dice, damage).await?;
        let mut taken = fetcher.taken.take().unwrap_or_default();
        let known: BTreeSet<i32> = fetcher.log_starts.keys().chain(fetcher.holes.keys()).copied().collect();
        for partition in known {
            // Of one that is offline nothing is known but that.
            let holes = fetcher.holes.remove(&partition).unwrap_or_default();
            let start = fetcher.log_starts.get(&partition).copied().unwrap_or_default();
            let mut records = taken.remove(&partition).unwrap_or_default();
            // Retention goes on while everything is read.
            records.retain(|offset, _| *offset >= start);
            logs.insert(fetcher.log(partition), FinalLog { start, records, holes, ..FinalLog::default() });
        }
    }
    if scenario.transactors > 0 {
        audit_committed(&cluster, host, scenario, history, &mut logs).await?;
    }
    Ok(logs)
}

/// The same, of what is committed. No transaction stays open, where none can lose its end.
async fn audit_committed(
    cluster: &Cluster,
    host: &Host,
    scenario: &Arc<Scenario>,
    history: &History,
    logs: &mut FinalLogs,
) -> Result<(), Error> {
    let (dice, damage) = (Dice::of(host), scenario.may_miss_records());
    for plan in &scenario.topics {
        let mut fetcher = Fetcher::new(cluster, history, COMMITTED_AUDIT, &plan.name);
        fetcher.isolation = Isolation::Committed;
        fetcher.waits_for_all = scenario.is_synced(&plan.name);
        fetcher.taken = Some(BTreeMap::new());
        read_all(&mut fetcher, host, &dice, damage).await?;
        let mut taken = fetcher.taken.take().unwrap_or_default();
        for (partition, start) in fetcher.log_starts.clone() {
            let held = logs.entry(fetcher.log(partition)).or_default();
            held.committed = taken.remove(&partition).unwrap_or_default();
            // Retention has gone on since everything was read.
            held.start = start.max(held.start);
            let start = held.start;
            held.records.retain(|offset, _| *offset >= start);
            held.committed.retain(|offset, _| *offset >= start);
        }
    }
    Ok(())
}

/// `damage`: what the broker says that it cannot read is passed over.
async fn read_all(fetcher: &mut Fetcher, host: &Host, dice: &Dice, damage: bool) -> Result<(), Error> {
    let (id, partitions) = fetcher.look_up().await?;
    for first in (0..partitions).step_by(AT_ONCE) {
        let last = partitions.min(first + i32::try_from(AT_ONCE).unwrap_or(i32::MAX));
        fetcher.positions = (first..last).map(|partition| (partition, Offset::ZERO)).collect();
        read_those(fetcher, host, dice, (id, damage)).await?;
    }
    Ok(())
}

async fn read_those(
    fetcher: &mut Fetcher,
    host: &Host,
    dice: &Dice,
    (id, damage): (TopicId, bool),
) -> Result<(), Error> {
    while !fetcher.positions.is_empty() {
        // Transactions whose writers are gone are waited for.
        let wait_ms = if fetcher.isolation == Isolation::Committed { 300 } else { 0 };
        let refused = match fetcher.fetch(id, dice, wait_ms).await {
            Ok(refused) => refused,
            // Connections from before the last start.
            Err(error) if error.is_retriable() => {
                fetcher.history.note(&error.to_string());
                host.clock.sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        for (partition, code) in refused {
            let text = format!("{}-{partition}: {}", fetcher.topic, code.name());
            let position = fetcher.positions.get(&partition).copied();
            if let (ErrorCode::OffsetOutOfRange, Some(position)) = (code, position) {
                let (reader, log) = (fetcher.reader, fetcher.log(partition));
                fetcher.history.record(&Event::OutOfRange { reader, log, position });
                fetcher.rewind(partition).await?;
                continue;
            }
            if damage && code == ErrorCode::KafkaStorageError {
                pass_over(fetcher, partition);
                continue;
            }
            if !code.is_retriable() {
                return Err(Error::Invalid(text));
            }
            fetcher.history.note(&text);
            host.clock.sleep(Duration::from_millis(100)).await;
        }
        let reached = |(partition, position): (&i32, &Offset)| {
            fetcher.high_watermarks.get(partition).is_some_and(|end| position >= end)
        };
        if fetcher.positions.iter().all(reached) {
            break;
        }
    }
    Ok(())
}

/// The next record of a partition is damaged, or all of the partition is offline.
fn pass_over(fetcher: &mut Fetcher, partition: i32) {
    /// More records than one batch has here.
    const RECORDS_MAX: i64 = 5000;
    let Some(position) = fetcher.positions.get_mut(&partition) else { return };
    let holes = fetcher.holes.entry(partition).or_default();
    match holes.last_mut().filter(|hole| hole.end == *position) {
        Some(hole) => hole.end = position.next(),
        None => holes.push(*position..position.next()),
    }
    let Some(hole) = holes.last_mut() else { return };
    let is_offline = !fetcher.high_watermarks.contains_key(&partition);
    if is_offline || hole.end.get() - hole.start.get() > RECORDS_MAX {
        fetcher.history.note(&format!("{}-{partition} cannot be read from {position} on", fetcher.topic));
        hole.end = Offset(i64::MAX);
        fetcher.positions.remove(&partition);
        return;
    }
    *position = position.next();
}
