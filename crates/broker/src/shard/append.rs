//! Appends of a shard: who gets in, and when they are answered.

use protocol::ErrorCode;
use storage::TimestampSource;
use storage::log::{AppendRefusal, Outcome, PIECE_BYTES};

use super::api::{Acks, Append, Appended, Refusal};
use super::directory::Meaning;
use super::groups::{Groups, Place};
use super::message::AppendRequest;
use super::partition::{Partition, Waiting};
use super::shard::Shard;

impl Shard {
    pub(super) fn append(&mut self, request: AppendRequest) {
        if self.parked.is_empty() && !self.common.budget.is_exhausted() {
            self.append_now(request);
        } else {
            self.parked.push_back(request);
            self.evict();
        }
    }

    pub(super) fn append_now(&mut self, request: AppendRequest) {
        let AppendRequest { acks, appends, frame_bytes, reply } = request;
        let keys = appends.iter().map(|append| append.key).collect();
        let group = self.groups.begin(keys, reply);
        let now_ms = self.host.clock.wall_ms();
        for (index, append) in appends.into_iter().enumerate() {
            let place = Groups::place(group, index);
            if let Err(refusal) = self.append_one(acks, append, frame_bytes, now_ms, place) {
                self.groups.answer(place, Err(refusal));
            }
        }
    }

    fn append_one(
        &mut self,
        acks: Acks,
        append: Append,
        frame_bytes: usize,
        now_ms: i64,
        place: Place,
    ) -> Result<(), Refusal> {
        let Append { key, batch, origin } = append;
        if self.stopping.is_some() {
            return Err(super::stopped());
        }
        let partition = self.partition(&key)?;
        let dir = partition.dir;
        if partition.log.leader_epoch().is_none() {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if partition.log.is_cutting() {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        if acks == Acks::All && partition.log.config().min_insync_replicas > 1 {
            return Err(ErrorCode::NotEnoughReplicas.into());
        }
        if self.directories.get(dir).is_some_and(|directory| directory.full) {
            return Err(disk_full());
        }
        let Some(partition) = self.partitions.get_mut(&key) else { return Err(super::stopped()) };
        let outcome = partition.log.append_from(origin, batch, frame_bytes, now_ms).map_err(refusal)?;
        let log_start_offset = partition.log.log_start();
        let (base_offset, end, log_append_time_ms, entry) = match outcome {
            Outcome::Appended { base_offset, end, log_append_time_ms, entry } => {
                (base_offset, end, log_append_time_ms, Some(entry))
            }
            Outcome::Duplicate { base_offset, end, timestamp_ms } => {
                let stamped = partition.log.config().timestamp_source == TimestampSource::LogAppendTime;
                (base_offset, end, if stamped { timestamp_ms } else { -1 }, None)
            }
        };
        let appended = Appended { base_offset, log_append_time_ms, log_start_offset };
        let waiting = Waiting { end, place, appended };
        match acks {
            Acks::None => self.groups.answer(place, Ok(appended)),
            Acks::Leader if !partition.log.is_flush_due(end) => {
                Partition::wait(&mut partition.written, waiting);
            }
            Acks::Leader | Acks::All => Partition::wait(&mut partition.committed, waiting),
        }
        partition.answer(&mut self.groups);
        Self::count_memory(&self.common.budget, partition);
        let wants_write =
            partition.log.unwritten_bytes() >= PIECE_BYTES || partition.log.has_unwritten_segment();
        if let (Some(entry), Some(directory)) = (entry, self.directories.get_mut(dir)) {
            directory.submit(entry, Meaning::Append { end });
        }
        if wants_write {
            self.queue_write(key);
        }
        Ok(())
    }
}

pub(super) fn disk_full() -> Refusal {
    Refusal { code: ErrorCode::KafkaStorageError, message: Some("the disk is full".to_owned()) }
}

fn refusal(refusal: AppendRefusal) -> Refusal {
    let code = match refusal {
        AppendRefusal::OldProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendRefusal::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendRefusal::NotTransactional { .. } | AppendRefusal::NotVerified { .. } => {
            ErrorCode::InvalidTxnState
        }
        AppendRefusal::OldCoordinatorEpoch { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendRefusal::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendRefusal::OffsetsExhausted => ErrorCode::UnknownServerError,
    };
    Refusal { code, message: Some(refusal.to_string()) }
}
