//! What a real log writes to its files.

use std::path::Path;
use std::sync::Arc;

use host::Files;
use host::sim::SimDisk;
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, ProducerEpoch, ProducerId, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, Codec, NewRecord, TxnMarker};
use storage::clean::{Cleaning, Options, Step};
use storage::log::{Origin, Outcome, Reach};
use storage::segment::OpenFiles;
use storage::{CleanupPolicy, Log, LogConfig, PartitionKey, PartitionState, Position};

use super::{DIRECTORY, Disk};
use crate::Input;

pub(super) fn config(input: &mut Input<'_>) -> LogConfig {
    LogConfig {
        segment_bytes: input.pick(&[700, 2_000, 1 << 20]),
        index_interval_bytes: input.pick(&[0, 100, 1_000]),
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        min_cleanable_dirty_ppm: 0,
        delete_retention_ms: 20,
        ..LogConfig::default()
    }
}

struct Writer {
    files: Arc<dyn Files>,
    open: OpenFiles,
    log: Log,
    epoch: i32,
    stamp: i64,
    /// Of the producers with transactions, the next one of each.
    sequences: [i32; 3],
    /// Compaction has replaced something.
    is_compacted: bool,
}

/// All files, and what the checkpoint says of them; whether compaction has left gaps.
pub(super) struct Written {
    pub(super) disk: Disk,
    pub(super) state: PartitionState,
    pub(super) is_compacted: bool,
}

fn transactional(producer: usize) -> ProducerId {
    ProducerId(100_000 + producer as i64)
}

pub(super) fn write(input: &mut Input<'_>, config: &Arc<LogConfig>) -> Written {
    let disk = SimDisk::new(1);
    let key = PartitionKey { topic_id: TopicId(Uuid::from_bytes([3; 16])), partition: 0 };
    let (mut log, _) = Log::create(key, Arc::from("t"), Path::new(DIRECTORY), config.clone(), 0, 0);
    log.lead(LeaderEpoch(0));
    let files = disk.files();
    let mut writer = Writer {
        files: files.clone(),
        open: OpenFiles::new(4),
        log,
        epoch: 0,
        stamp: 0,
        sequences: [0; 3],
        is_compacted: false,
    };
    for _ in 0..input.below(30) {
        match input.byte() % 14 {
            0 => writer.write_out(),
            1 => writer.compact(),
            2 => {
                writer.epoch += 1;
                writer.log.lead(LeaderEpoch(writer.epoch));
            }
            3 | 4 => writer.end_transaction(input),
            5..8 => writer.append_in_transaction(input),
            _ => writer.append(input),
        }
    }
    writer.write_out();
    let state = writer.log.state();
    let listed = disk.list().into_iter();
    let disk = listed.map(|(path, len)| (path.clone(), files.read(&path, len).unwrap())).collect();
    Written { disk, state, is_compacted: writer.is_compacted }
}

impl Writer {
    fn append(&mut self, input: &mut Input<'_>) {
        self.stamp += 1;
        let shape = input.byte();
        let idempotent = shape & 1 == 0;
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: Codec::ALL[usize::from(shape >> 5) % 5].into(),
            producer_id: if idempotent { ProducerId(self.stamp) } else { ProducerId::NONE },
            producer_epoch: if idempotent { ProducerEpoch(0) } else { ProducerEpoch::NONE },
            base_sequence: if idempotent { 0 } else { -1 },
            ..BatchOptions::default()
        });
        for n in 0..=i64::from(shape >> 1 & 3) {
            let (key, value) = ([input.byte() % 6], input.byte());
            let value = (value > 60).then(|| vec![value; usize::from(value)]);
            let timestamp = self.stamp * 10 + n - i64::from(shape >> 3 & 3) * 15;
            let record = NewRecord { timestamp, key: Some(&key), value: value.as_deref(), headers: &[] };
            builder.append(&record).unwrap();
        }
        let appended = self.log.append(builder.build_valid().unwrap(), 0, self.stamp);
        self.journal(appended.ok());
    }

    fn append_in_transaction(&mut self, input: &mut Input<'_>) {
        self.stamp += 1;
        let (producer, key, value) = (input.below(3), [input.byte() % 6], input.byte());
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: transactional(producer),
            producer_epoch: ProducerEpoch(0),
            base_sequence: self.sequences[producer],
            transactional: true,
            ..BatchOptions::default()
        });
        let value = (value > 60).then(|| vec![value; usize::from(value)]);
        let timestamp = self.stamp * 10;
        builder
            .append(&NewRecord { timestamp, key: Some(&key), value: value.as_deref(), headers: &[] })
            .unwrap();
        let appended = self.log.append(builder.build_valid().unwrap(), 0, self.stamp);
        self.sequences[producer] += i32::from(appended.is_ok());
        self.journal(appended.ok());
    }

    fn end_transaction(&mut self, input: &mut Input<'_>) {
        self.stamp += 1;
        let (producer, commit) = (input.below(3), input.flag());
        let marker = TxnMarker { commit, coordinator_epoch: 0 };
        let batch =
            marker.to_batch(transactional(producer), ProducerEpoch(0), self.stamp * 10, false).unwrap();
        let origin = Origin::Marker { transaction_version: 0 };
        let appended = self.log.append_from(origin, batch, 0, self.stamp);
        self.journal(appended.ok());
    }

    fn journal(&mut self, appended: Option<Outcome>) {
        let Some(Outcome::Appended { end, .. }) = appended else { return };
        self.log.journal_wrote(end, Position(self.stamp.unsigned_abs()));
        self.log.journal_synced(end);
    }

    fn write_out(&mut self) {
        for _ in 0..1_000 {
            let write = self.log.next_write(Reach::Everything);
            if let Some(write) = &write {
                write.run(&*self.files, &self.open).unwrap();
                self.log.wrote(write);
            }
            let sync = self.log.next_sync();
            if let Some(sync) = &sync {
                sync.run(&*self.files, &self.open).unwrap();
                self.log.synced(sync);
            }
            if write.is_none() && sync.is_none() {
                return;
            }
        }
        panic!("a log that is never written out");
    }

    /// One pass over what is closed.
    fn compact(&mut self) {
        self.write_out();
        let Some(dirtiness) = self.log.dirtiness(self.stamp) else { return };
        let plan = self.log.plan_cleaning(dirtiness, self.stamp);
        let options = Options { map_bytes_max: 4_000, secret: [1, 2], disk_reserve_bytes: 0 };
        let mut cleaning = Cleaning::new(plan, options);
        for _ in 0..1_000 {
            match cleaning.step(&*self.files).unwrap() {
                Step::Partly { .. } => {}
                Step::Done { cleaned } => return self.log.set_cleaned(cleaned),
                Step::Replace(replacement) => {
                    self.is_compacted = true;
                    self.log.replace(&replacement).unwrap();
                    self.log.take_state();
                    self.log.checkpointed();
                    let swap = self.log.next_swap().unwrap();
                    swap.run(&*self.files, &self.open).unwrap().remove(&*self.files).unwrap();
                    self.log.swapped();
                }
            }
        }
        panic!("a pass of compaction that never ends");
    }
}
