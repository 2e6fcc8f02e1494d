//! Reads of a shard: at once out of memory, or one file after the other through a lane.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use protocol::ids::{LeaderEpoch, Offset};
use protocol::wire::Extern;
use protocol::{ErrorCode, RecordSet};
use storage::PartitionKey;
use storage::log::{AbortedIn, ColdRegion, ReadLimits, ReadPlan};
use storage::producers::AbortedTransaction;
use tokio::sync::oneshot;

use super::api::{EpochEnd, OffsetFound, Read, ReadBatch, ReadReply};
use super::directory::call;
use super::message::{Done, ReadDone, Reply};
use super::partition::Partition;
use super::queries::TimeQuery;
use super::shard::Shard;

/// Reads that wait for a file.
#[derive(Debug, Default)]
pub(super) struct Reads {
    next: u64,
    waiting: BTreeMap<u64, Pending>,
}

#[derive(Debug)]
pub(super) struct Pending {
    batch: ReadBatch,
    /// In the order of the batch; the first one without a reply is the one that is being read.
    replies: Vec<ReadReply>,
    reply: oneshot::Sender<ReadDone>,
    /// Where the partition that is being read goes on, if compaction has left nothing before.
    from: Option<Offset>,
    /// How often its segments had been replaced when the read was planned.
    swaps: u64,
    /// What has been read of the partition, while files are asked what of it was aborted.
    got: Got,
}

/// What has been read of a partition.
#[derive(Debug, Default)]
struct Got {
    records: RecordSet,
    /// The limit that cut them off.
    full: Option<usize>,
}

/// What came too late for the files that it was planned for, and is planned anew when others are in their place.
#[derive(Debug)]
pub(super) enum Late {
    Read(Box<Pending>),
    Search { query: TimeQuery, reply: Reply<OffsetFound> },
}

impl Reads {
    /// The number under which it goes on.
    fn wait(&mut self, pending: Pending) -> u64 {
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id, pending);
        id
    }

    /// A read, with the part of it that has been waited for.
    fn done(&mut self, id: u64) -> Option<(Pending, Read)> {
        let pending = self.waiting.remove(&id)?;
        let read = pending.batch.reads.get(pending.replies.len()).cloned()?;
        Some((pending, read))
    }
}

impl Pending {
    fn push(&mut self, reply: ReadReply) {
        self.batch.bytes_max = self.batch.bytes_max.saturating_sub(reply.taken_bytes);
        self.batch.at_least_one &= reply.records.is_empty();
        self.replies.push(reply);
    }
}

impl Shard {
    pub(super) fn read(&mut self, batch: ReadBatch, reply: oneshot::Sender<ReadDone>) {
        if let Some(waiter) = &batch.waiter {
            for read in &batch.reads {
                if let Some(partition) = self.partitions.get_mut(&read.key) {
                    partition.register(waiter, read.committed_only);
                }
            }
        }
        let replies = Vec::with_capacity(batch.reads.len());
        self.go_on_reading(Pending { batch, replies, reply, from: None, swaps: 0, got: Got::default() });
    }

    /// Reads one partition after the other, up to the end or to one that is in a file.
    fn go_on_reading(&mut self, mut pending: Pending) {
        while let Some(read) = pending.batch.reads.get(pending.replies.len()).cloned() {
            let bytes_max = read.bytes_max.min(pending.batch.bytes_max);
            let at_least_one = pending.batch.at_least_one;
            // Taken whether the partition can still be read or not: it is no place in the next one.
            let from = pending.from.take().unwrap_or(read.offset);
            let planned = match self.partition(&read.key) {
                Ok(partition) => {
                    pending.swaps = partition.log.swaps();
                    plan(partition, &read, from, bytes_max, at_least_one)
                }
                Err(refusal) => Err(Box::new(ReadReply::refused(read.key, refusal.code))),
            };
            match planned {
                Ok(ReadPlan::Now { records, is_full, end }) => {
                    let got = Got { records, full: is_full.then_some(bytes_max) };
                    match self.got(pending, &read, (from, end), got) {
                        Some(back) => pending = back,
                        None => return,
                    }
                }
                Ok(ReadPlan::Cold(cold)) => {
                    let id = self.reads.wait(pending);
                    let completion = self.completion(move |result| Done::Read { read: id, result });
                    let work = move |files: &dyn host::Files, open: &storage::segment::OpenFiles| {
                        cold.run(files, open)
                    };
                    return call(&self.reads_lane, self.open.clone(), work, completion);
                }
                Ok(ReadPlan::Damaged(facts)) => {
                    let error = io::Error::other(format!(
                        "the batch at offset {} has changed in memory",
                        facts.base_offset
                    ));
                    let reply = self.failed_read(&read, &error);
                    pending.push(reply);
                }
                Err(reply) => pending.push(*reply),
            }
        }
        // The asker may be gone.
        let _ = pending.reply.send(ReadDone { replies: pending.replies });
    }

    pub(super) fn read_done(&mut self, read: u64, result: io::Result<ColdRegion>) {
        let Some((pending, read)) = self.reads.done(read) else { return };
        let Some(mut pending) = self.still_there(pending, &read) else { return };
        let reply = match result {
            Ok(ColdRegion { goes_on_at: Some(next), .. }) => {
                pending.from = Some(next);
                return self.go_on_reading(pending);
            }
            Ok(ColdRegion { file, position, len, end, is_full, .. }) => {
                let mut records = RecordSet::new();
                records.push_extern(Extern { handle: Arc::new(file), offset: position, len });
                let full = is_full.then_some(read.bytes_max.min(pending.batch.bytes_max));
                // What lies between was taken by compaction, if anything was.
                let got = Got { records, full };
                match self.got(pending, &read, (read.offset, end), got) {
                    Some(back) => return self.go_on_reading(back),
                    None => return,
                }
            }
            Err(error) => self.failed_read(&read, &error),
        };
        pending.push(reply);
        self.go_on_reading(pending);
    }

    /// Something has been read of a partition, from the first of `range` up to the second. Readers of committed records are told
    /// what of it was aborted. Gives the read back when that is known; else files are asked.
    fn got(
        &mut self,
        mut pending: Pending,
        read: &Read,
        range: (Offset, Offset),
        got: Got,
    ) -> Option<Pending> {
        let mut aborted = Vec::new();
        if read.committed_only && !got.records.is_empty() {
            let partition = self.partitions.get(&read.key);
            match partition.map(|partition| partition.log.aborted_in(range.0, range.1)) {
                Some(AbortedIn::Known(known)) => aborted = known,
                Some(AbortedIn::Cold(search)) => {
                    pending.got = got;
                    let id = self.reads.wait(pending);
                    let completion = self.completion(move |result| Done::Aborted { read: id, result });
                    let work =
                        move |files: &dyn host::Files, _: &storage::segment::OpenFiles| search.run(files);
                    call(&self.reads_lane, self.open.clone(), work, completion);
                    return None;
                }
                None => {}
            }
        }
        let reply = self.reply(read.key, got, aborted);
        pending.push(reply);
        Some(pending)
    }

    pub(super) fn aborted_done(&mut self, read: u64, result: io::Result<Vec<AbortedTransaction>>) {
        let Some((mut pending, read)) = self.reads.done(read) else { return };
        let got = std::mem::take(&mut pending.got);
        let Some(mut pending) = self.still_there(pending, &read) else { return };
        let reply = match result {
            Ok(aborted) => self.reply(read.key, got, aborted),
            Err(error) => self.failed_read(&read, &error),
        };
        pending.push(reply);
        self.go_on_reading(pending);
    }

    /// Of a file that has been replaced meanwhile nothing counts: the read begins anew.
    fn still_there(&mut self, pending: Pending, read: &Read) -> Option<Pending> {
        match self.partitions.get_mut(&read.key) {
            Some(partition) if partition.log.is_swapping() => {
                partition.compaction.late.push(Late::Read(Box::new(pending)));
                None
            }
            Some(partition) if partition.log.swaps() != pending.swaps => {
                self.go_on_reading(pending);
                None
            }
            _ => Some(pending),
        }
    }

    /// Plans anew what has come too late.
    pub(super) fn read_late(&mut self, key: PartitionKey, late: Late) {
        match late {
            Late::Read(pending) => self.go_on_reading(*pending),
            Late::Search { query, reply } => self.find(key, query, reply),
        }
    }

    fn failed_read(&mut self, read: &Read, error: &io::Error) -> ReadReply {
        let start = self.partitions.get(&read.key).map(|partition| partition.log.log_start());
        // Retention may have been faster than the lane.
        if start.is_some_and(|start| read.offset < start) {
            return ReadReply::refused(read.key, ErrorCode::OffsetOutOfRange);
        }
        self.met_damage(&read.key, error);
        let now = self.host.now();
        if let Some(partition) = self.partitions.get_mut(&read.key)
            && let Some(more) = partition.unreadable.due(now)
        {
            let (topic, partition, offset) = (partition.log.topic(), read.key.partition, read.offset.0);
            tracing::error!(%topic, partition, offset, more, "could not read a segment: {error}");
        }
        ReadReply::refused(read.key, ErrorCode::KafkaStorageError)
    }

    fn reply(&mut self, key: PartitionKey, got: Got, aborted: Vec<AbortedTransaction>) -> ReadReply {
        let Got { records, full } = got;
        let bytes = records.len();
        let taken_bytes = full.filter(|_| bytes > 0).map_or(bytes, |limit| limit.max(bytes));
        match self.partition(&key) {
            Ok(partition) => ReadReply { records, aborted, taken_bytes, ..empty(partition, key) },
            Err(refusal) => ReadReply::refused(key, refusal.code),
        }
    }
}

fn empty(partition: &Partition, key: PartitionKey) -> ReadReply {
    ReadReply {
        key,
        error: ErrorCode::None,
        high_watermark: partition.log.high_watermark(),
        last_stable_offset: partition.log.last_stable_offset(),
        log_start_offset: partition.log.log_start(),
        diverging: None,
        records: RecordSet::new(),
        aborted: Vec::new(),
        taken_bytes: 0,
    }
}

/// How to answer a read, or the answer if there is nothing to read.
fn plan(
    partition: &Partition,
    read: &Read,
    from: Offset,
    bytes_max: usize,
    at_least_one: bool,
) -> Result<ReadPlan, Box<ReadReply>> {
    let refused = |code| Box::new(ReadReply::refused(read.key, code));
    partition.check_epoch(read.current_leader_epoch).map_err(refused)?;
    if let Some(last) = read.last_fetched_epoch.and_then(LeaderEpoch::known) {
        let end = partition.log.epoch_end(last).ok_or_else(|| refused(ErrorCode::OffsetOutOfRange))?;
        if end.epoch < last || end.start < read.offset {
            let diverging = Some(EpochEnd { leader_epoch: end.epoch, end_offset: end.start });
            return Err(Box::new(ReadReply { diverging, ..empty(partition, read.key) }));
        }
    }
    let (high_watermark, last_stable) = partition.log.readable_ends();
    let end = if read.committed_only { last_stable } else { high_watermark };
    let limits = ReadLimits { end, bytes_max, at_least_one, from_file: read.from_file };
    partition.log.read(from, limits).map_err(|_| refused(ErrorCode::OffsetOutOfRange))
}
