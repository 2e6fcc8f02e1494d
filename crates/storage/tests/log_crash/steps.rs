//! What can happen to the logs while the process lives.

use super::*;

impl World {
    pub(super) fn append(&mut self, partition: u8, records: u8, bytes: u16) {
        let key = key(partition);
        if self.log(partition).is_cutting() {
            return;
        }
        self.stamp += 1;
        let sequence = self.sequences.get(&key).copied().unwrap_or(0);
        let options = BatchOptions {
            producer_id: ProducerId(i64::from(partition)),
            producer_epoch: ProducerEpoch(self.epoch as i16),
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        let batch = self.batch(options, records, bytes);
        let base_offset = self.take(partition, batch.clone());
        self.sequences.insert(key, sequence + i32::from(records));
        self.last.insert(key, (batch, base_offset));
    }

    /// Records of the keys whose turn it is.
    pub(super) fn batch(&self, options: BatchOptions, records: u8, bytes: u16) -> ValidBatch {
        let mut builder = BatchBuilder::new(options);
        let value = vec![self.stamp as u8; usize::from(bytes) * usize::from(self.scale)];
        for n in 0..records {
            let timestamp = i64::from(self.stamp) * 10 + i64::from(n);
            let record_key = [(self.stamp as u8).wrapping_add(n) % KEYS];
            let value = (bytes > 0).then_some(&*value);
            let (key, headers) = (Some(&record_key[..]), &[][..]);
            builder.append(&NewRecord { timestamp, key, value, headers }).unwrap();
        }
        builder.build_valid().unwrap()
    }

    /// Appends a batch; where it went.
    pub(super) fn take(&mut self, partition: u8, batch: ValidBatch) -> i64 {
        let now_ms = i64::from(self.stamp);
        let outcome = self.log(partition).append(batch, 0, now_ms).unwrap();
        let Outcome::Appended { base_offset, end, entry, .. } = outcome else { panic!("{outcome:?}") };
        self.submit(entry, Meaning::Append(end));
        base_offset.0
    }

    /// One round, written but not synced. False if there is none to write.
    pub(super) fn journal_write(&mut self) -> bool {
        let now = self.now;
        let Some(write) = self.opened().journal.next_write(now) else { return false };
        write.file.write_at(&[write.bytes], write.offset).unwrap();
        let progress = self.opened().journal.written::<String>(Ok(())).unwrap();
        let up_to = self.first + progress.shards[0].1 as usize;
        for index in self.written - self.synced..up_to - self.synced {
            let submitted = &mut self.in_flight[index];
            submitted.position = progress.position;
            let log = self.logs.get_mut(&submitted.key).unwrap();
            match submitted.meaning {
                Meaning::Append(end) => {
                    log.journal_wrote(end, progress.position);
                }
                Meaning::Truncate => log.truncation_wrote(),
                Meaning::Again(_) => drop(self.again_at.entry(submitted.key).or_insert(progress.position)),
                _ => {}
            }
        }
        self.written = up_to;
        self.written_at = progress.position;
        true
    }

    pub(super) fn journal_sync(&mut self) -> bool {
        let now = self.now;
        let Some(file) = self.opened().journal.next_sync() else { return false };
        file.sync().unwrap();
        let progress = self.opened().journal.synced::<String>(now, Ok(())).unwrap();
        let up_to = self.first + progress.shards[0].1 as usize;
        while self.synced < up_to {
            let Submitted { key, meaning, .. } = self.in_flight.pop_front().unwrap();
            self.synced += 1;
            let log = self.logs.get_mut(&key).unwrap();
            match meaning {
                Meaning::Append(end) => drop(log.journal_synced(end)),
                Meaning::Again(Some(end)) => {
                    if let Some(position) = self.again_at.remove(&key) {
                        log.journal_moved(end, position);
                    }
                }
                Meaning::LogStart(offset) => log.log_start_synced(offset),
                Meaning::Truncate => {
                    log.truncation_synced();
                    if let Some(cut) = log.next_cut() {
                        let state = cut.run(&*self.files, &self.open).unwrap();
                        log.cut_done(state);
                    }
                }
                Meaning::Again(None) | Meaning::Other => {}
            }
        }
        true
    }

    pub(super) fn grow(&mut self) {
        let Some((id, bytes)) = self.opened().journal.next_growth() else { return };
        let journal = Path::new(DIRECTORY).join(directory::JOURNAL);
        let file = directory::add_ring_file(self.files.as_ref(), &journal, id, bytes).unwrap();
        self.opened().journal.grown(file);
    }

    pub(super) fn segment_write(&mut self, partition: u8) {
        let reach = if self.stamp.is_multiple_of(2) { Reach::Blocks } else { Reach::Everything };
        if let Some(write) = self.log(partition).next_piece(reach, PIECE_BYTES) {
            write.run(&*self.files, &self.open).unwrap();
            self.log(partition).wrote(&write);
        }
    }

    pub(super) fn segment_sync(&mut self, partition: u8) {
        if let Some(sync) = self.log(partition).next_sync() {
            sync.run(&*self.files, &self.open).unwrap();
            self.log(partition).synced(&sync);
        }
    }

    pub(super) fn truncate(&mut self, partition: u8, batches: u8) {
        let key = key(partition);
        let model = self.model(self.entries.len()).remove(&key).unwrap_or_default();
        let skip = usize::from(batches % 6);
        let Some((end, _)) = model.batches.iter().rev().nth(skip).cloned() else { return };
        if self.log(partition).is_cutting() {
            return;
        }
        let epoch = self.log(partition).leader_epoch();
        let Some(entry) = self.log(partition).truncate_to(Offset(end), epoch) else { return };
        self.submit(entry, Meaning::Truncate);
        // What was cut is not sent again by this producer; another leader's producer goes on.
        self.last.remove(&key);
        self.bump_epoch();
    }

    /// A new leadership everywhere: producers begin anew as well.
    pub(super) fn bump_epoch(&mut self) {
        self.epoch += 1;
        self.sequences.clear();
        for partition in 0..PARTITIONS {
            let epoch = LeaderEpoch(self.epoch);
            if let Some(entry) = self.log(partition).lead(epoch) {
                self.submit(entry, Meaning::Other);
            }
        }
    }

    pub(super) fn tidy(&mut self, partition: u8) {
        if let Some(delete) = self.log(partition).next_delete() {
            let deleted = delete.run(&*self.files, &self.open).unwrap();
            if self.stamp.is_multiple_of(2) {
                deleted.remove(&*self.files).unwrap();
            }
        }
    }

    pub(super) fn again(&mut self, partition: u8) {
        let key = key(partition);
        let is_again =
            |submitted: &Submitted| submitted.key == key && matches!(submitted.meaning, Meaning::Again(_));
        if self.in_flight.iter().any(is_again) {
            return;
        }
        let Some((entries, end)) = self.log(partition).again() else { return };
        let count = entries.len();
        for (index, entry) in entries.into_iter().enumerate() {
            self.submit(entry, Meaning::Again((index + 1 == count).then_some(end)));
        }
    }

    /// As the committer does it: the states are taken, then everything submitted so far is synced, then they count.
    pub(super) fn checkpoint(&mut self) {
        self.opened().journal.watch(0);
        let changed: Vec<_> = self.logs.values_mut().filter_map(Log::take_state).collect();
        let waiting = self.in_flight.iter().skip(self.written - self.synced);
        let waits =
            |submitted: &Submitted| matches!(submitted.meaning, Meaning::Append(_) | Meaning::Again(_));
        // What is on its way to the journal lies behind everything that is there.
        let behind = waiting.filter(|submitted| waits(submitted)).map(|_| Position(self.written_at.0 + 1));
        let oldest = self.logs.values().filter_map(Log::oldest_needed).chain(behind).min();
        let total = self.entries.len();
        for _ in 0..1_000 {
            if self.synced == total {
                break;
            }
            if !(self.journal_write() | self.journal_sync()) {
                self.grow();
            }
        }
        assert_eq!(self.synced, total, "everything submitted can be synced");
        let as_of = self.opened().journal.watched(0).unwrap();
        let record = |state: &storage::PartitionState| {
            let mut bytes = Vec::new();
            state.encode(&mut bytes);
            Record { key: state.key, as_of, state: bytes.into() }
        };
        let changed = changed.iter().map(record).collect();
        let journal = &mut self.opened().journal;
        let behind = journal.mark_watched(0).unwrap();
        let mark = oldest.map_or(behind, |oldest| journal.mark_for(oldest));
        journal.unwatch();
        let known = journal.known(mark, None);
        let section = Section { known, clean: false, changed, removed: Vec::new() };
        let files = Arc::clone(&self.files);
        let opened = self.opened();
        let written = opened.checkpoint.write(files.as_ref(), section).unwrap();
        opened.checkpoint.done(written);
        opened.journal.release(&mark);
        self.logs.values_mut().for_each(Log::checkpointed);
    }

    /// A sync fails: the directory is offline until the process starts again.
    pub(super) fn fail_sync(&mut self) {
        self.disk.inject(Rule::next(OpKind::Sync, "/journal/", 1));
        let failed = match self.opened().journal.next_sync() {
            Some(file) => file.sync().is_err(),
            None => false,
        };
        self.disk.clear_rules();
        if failed {
            self.disk.crash();
            self.recover(self.synced);
        }
    }

    pub(super) fn read(&self, log: &Log, offset: i64, limit: Offset, bytes: usize) -> Bytes {
        let limits = ReadLimits { end: limit, bytes_max: bytes, at_least_one: true, from_file: false };
        match log.read(Offset(offset), limits).unwrap() {
            ReadPlan::Now { records, .. } => records.to_bytes().unwrap(),
            ReadPlan::Damaged(facts) => panic!("damaged in memory: {facts:?}"),
            ReadPlan::Cold(cold) => {
                let region = cold.run(&*self.files, &self.open).unwrap();
                if let Some(next) = region.goes_on_at {
                    return self.read(log, next.0, limit, bytes);
                }
                let mut bytes = vec![0; region.len];
                assert_eq!(region.file.read_at(&mut bytes, region.position).unwrap(), region.len);
                Bytes::from(bytes)
            }
        }
    }

    pub(super) fn check_read(&mut self, partition: u8, at: u8, bytes: u16) {
        let model = self.model(self.entries.len()).remove(&key(partition)).unwrap_or_default();
        let log = &self.logs[&key(partition)];
        // A new start counts once it is synced.
        let synced = self.model(self.synced).remove(&key(partition)).unwrap_or_default();
        let start = model.start.min(synced.start);
        assert_eq!((log.log_start().0, log.log_end().0), (start, model.end));
        let offset = model.start + i64::from(at) % (model.end - model.start + 1);
        let limit = log.high_watermark();
        let bytes = usize::from(bytes) * usize::from(self.scale);
        let got = self.read(log, offset, limit, bytes);
        // Where a truncation came behind what was compacted away, nothing may be left before the end.
        if !(got.is_empty() && model.truncated) {
            assert_eq!(got.is_empty(), offset >= limit.0, "from {offset} on, up to {limit}");
        }
        if self.cleaned.contains(&key(partition)) {
            return model.check_compacted(offset, &got);
        }
        let from = model.batches.iter().rposition(|(base, _)| *base <= offset).unwrap_or(0);
        let mut all = Vec::new();
        for (_, batch) in &model.batches[from.min(model.batches.len())..] {
            if all.len() >= got.len() {
                break;
            }
            all.extend_from_slice(batch);
        }
        assert_eq!(got, all, "from {offset} on");
    }
}
