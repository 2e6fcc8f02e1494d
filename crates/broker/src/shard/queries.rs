//! Questions about offsets and epochs.

use std::io;

use protocol::ErrorCode;
use protocol::ids::{LeaderEpoch, Offset};
use storage::log::{Found, Search};
use storage::{Log, PartitionKey};

use super::api::{EpochEnd, OffsetFound, OffsetQuery, PartitionStatus, Refusal};
use super::directory::call;
use super::message::{Done, Reply};
use super::read::Late;
use super::shard::Shard;

const NOTHING: OffsetFound =
    OffsetFound { offset: Offset::NONE, timestamp_ms: -1, leader_epoch: LeaderEpoch::NONE };

impl Shard {
    pub(super) fn offset(
        &mut self,
        key: PartitionKey,
        query: OffsetQuery,
        current_leader_epoch: Option<LeaderEpoch>,
        reply: Reply<OffsetFound>,
    ) {
        match self.known_offset(&key, query, current_leader_epoch) {
            Ok(Answer::Offset(found)) => drop(reply.send(Ok(found))),
            Err(refusal) => drop(reply.send(Err(refusal))),
            Ok(Answer::FirstAt(query)) => self.find(key, query, reply),
        }
    }

    pub(super) fn find(&mut self, key: PartitionKey, query: TimeQuery, reply: Reply<OffsetFound>) {
        let Some(partition) = self.partitions.get(&key) else { return };
        match partition.log.find(query.timestamp_ms) {
            Search::InMemory => self.found(key, query, reply, Ok(None)),
            Search::Cold(search) => {
                let swaps = partition.log.swaps();
                let completion =
                    self.completion(move |result| Done::Found { key, query, swaps, reply, result });
                let work = move |files: &dyn host::Files, open: &storage::segment::OpenFiles| {
                    search.run(files, open)
                };
                call(&self.reads_lane, self.open.clone(), work, completion);
            }
        }
    }

    fn known_offset(
        &mut self,
        key: &PartitionKey,
        query: OffsetQuery,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<Answer, Refusal> {
        let partition = self.partition(key)?;
        partition.check_epoch(current_leader_epoch)?;
        let log = &partition.log;
        let at =
            |offset, leader_epoch| Answer::Offset(OffsetFound { offset, timestamp_ms: -1, leader_epoch });
        Ok(match query {
            OffsetQuery::Earliest => {
                at(log.log_start(), log.epochs().at(log.log_start()).unwrap_or(LeaderEpoch::NONE))
            }
            OffsetQuery::Latest { committed_only } => {
                at(readable_end(log, committed_only), log.leader_epoch())
            }
            OffsetQuery::MaxTimestamp { committed_only } => match log.max_timestamp_ms() {
                timestamp_ms if timestamp_ms < 0 => Answer::Offset(NOTHING),
                timestamp_ms => Answer::FirstAt(TimeQuery { timestamp_ms, committed_only }),
            },
            OffsetQuery::AtTimestamp { timestamp_ms, committed_only } => {
                Answer::FirstAt(TimeQuery { timestamp_ms, committed_only })
            }
        })
    }

    /// The end of a search in files. It is begun again if they were replaced meanwhile.
    pub(super) fn search_done(
        &mut self,
        key: PartitionKey,
        query: TimeQuery,
        swaps: u64,
        reply: Reply<OffsetFound>,
        result: io::Result<Option<Found>>,
    ) {
        match self.partitions.get_mut(&key) {
            Some(partition) if partition.log.is_swapping() => {
                partition.compaction.late.push(Late::Search { query, reply });
            }
            Some(partition) if partition.log.swaps() != swaps => self.find(key, query, reply),
            _ => self.found(key, query, reply, result),
        }
    }

    /// The end of a search, in files if it had to look there.
    fn found(
        &mut self,
        key: PartitionKey,
        TimeQuery { timestamp_ms, committed_only }: TimeQuery,
        reply: Reply<OffsetFound>,
        result: io::Result<Option<Found>>,
    ) {
        let now = self.host.now();
        let result = result.and_then(|found| match self.partitions.get(&key) {
            Some(partition) if found.is_none() => partition.log.find_in_memory(timestamp_ms),
            _ => Ok(found),
        });
        if let Err(error) = &result {
            self.met_damage(&key, error);
        }
        let answer = match (self.partition(&key), result) {
            (Err(refusal), _) => Err(refusal),
            (Ok(partition), Ok(found)) => {
                let log = &partition.log;
                let end = readable_end(log, committed_only);
                let visible = found.filter(|found| found.offset < end);
                Ok(visible.map_or(NOTHING, |found| OffsetFound {
                    offset: found.offset,
                    timestamp_ms: found.timestamp_ms,
                    leader_epoch: found.leader_epoch,
                }))
            }
            (Ok(partition), Err(error)) => {
                if let Some(more) = partition.unreadable.due(now) {
                    tracing::error!(%key, timestamp_ms, more, "could not search for a time: {error}");
                }
                Err(Refusal { code: ErrorCode::KafkaStorageError, message: Some(error.to_string()) })
            }
        };
        // The asker may be gone.
        let _ = reply.send(answer);
    }

    pub(super) fn epoch_end(
        &mut self,
        key: PartitionKey,
        leader_epoch: LeaderEpoch,
        current_leader_epoch: Option<LeaderEpoch>,
    ) -> Result<EpochEnd, Refusal> {
        let partition = self.partition(&key)?;
        partition.check_epoch(current_leader_epoch)?;
        let end = partition.log.epoch_end(leader_epoch);
        Ok(end.map_or(EpochEnd { leader_epoch: LeaderEpoch::NONE, end_offset: Offset::NONE }, |end| {
            EpochEnd { leader_epoch: end.epoch, end_offset: end.start }
        }))
    }

    pub(super) fn status(&mut self, key: PartitionKey) -> Result<PartitionStatus, Refusal> {
        let partition = self.partition(&key)?;
        let log = &partition.log;
        Ok(PartitionStatus {
            leader_epoch: log.leader_epoch(),
            log_start_offset: log.log_start(),
            synced_end: log.synced_end(),
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            log_end_offset: log.log_end(),
            size_bytes: log.size_bytes(),
            damaged_segments: log.suspects(),
            is_uncleanable: partition.compaction.is_uncleanable(),
        })
    }
}

/// What can be said without a look at records.
enum Answer {
    Offset(OffsetFound),
    /// The first record at or after this time is what was asked for.
    FirstAt(TimeQuery),
}

/// A search for the first record at or after a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeQuery {
    timestamp_ms: i64,
    /// It is found only if it is decided.
    committed_only: bool,
}

fn readable_end(log: &Log, committed_only: bool) -> Offset {
    if committed_only { log.last_stable_offset() } else { log.high_watermark() }
}
