//! A start after a crash, and what it must have found.

use super::*;

/// A small ring.
pub(super) fn options() -> Options {
    Options {
        bytes_max: 512 << 10,
        file_bytes_min: 64 << 10,
        file_bytes_max: 128 << 10,
        round_bytes: 16 << 10,
        unsynced_bytes_max: 64 << 10,
        spacing: Duration::ZERO,
    }
}

impl World {
    /// After a crash at least the first `kept` entries count; the model forgets those that did not make it.
    pub(super) fn recover(&mut self, kept: usize) {
        self.start();
        let found = self.found();
        // A second crash before anything was written changes nothing.
        self.disk.crash();
        self.start();
        assert_eq!(self.found(), found, "recovered twice");
        let total = self.entries.len();
        let Some(count) = (kept..=total).rev().find(|count| self.gives(*count, &found)) else {
            let (all, found) = (self.model(kept), found.iter());
            let wrong = found.filter(|(key, found)| all.get(key).is_none_or(|model| !model.allows(found)));
            let wrong: Vec<_> =
                wrong.map(|(key, found)| format!("{key}: {} of {}", found, all[key])).collect();
            panic!("of {total} entries no number from {kept} on gives what was found: {wrong:?}");
        };
        self.entries.truncate(count);
        (self.first, self.written, self.synced) = (count, count, count);
        self.in_flight.clear();
        self.again_at.clear();
        self.written_at = Position(0);
        let model = self.model(count);
        self.check_epochs(&model);
        self.check_producers(&model);
        self.check_transactions(&model);
        for partition in 0..PARTITIONS {
            if !self.logs.contains_key(&key(partition)) {
                let dir = Path::new(DIRECTORY);
                let (log, entry) =
                    Log::create(key(partition), Arc::from("t"), dir, self.config.clone(), 0, 0);
                self.logs.insert(key(partition), log);
                self.submit(entry, Meaning::Other);
            }
        }
        self.bump_epoch();
    }

    /// Whether the first `count` entries give what was found.
    fn gives(&self, count: usize, found: &BTreeMap<PartitionKey, Model>) -> bool {
        let model = self.model(count);
        let is_same =
            |(key, found): (&PartitionKey, &Model)| {
                let model = model.get(key);
                model.is_some_and(|model| {
                    if self.cleaned.contains(key) { model.allows(found) } else { model == found }
                })
            };
        model.len() == found.len() && found.iter().all(is_same)
    }

    pub(super) fn start(&mut self) {
        self.cleanings.clear();
        self.opened = None;
        self.files = self.disk.files();
        self.open = OpenFiles::new(4);
        self.logs.clear();
        let path = PathBuf::from(DIRECTORY);
        let mut opened = directory::open(&*self.files, &path, options(), Uuid::from_bytes([9; 16])).unwrap();
        for partition in std::mem::take(&mut opened.partitions) {
            assert!(partition.damage.is_none(), "{:?}", partition.damage);
            let key = partition.state.key;
            let found = recover(&*self.files, &self.open, &path, partition.state, partition.entries).unwrap();
            self.logs.insert(key, Log::open(found, self.config.clone(), 0, 0));
        }
        self.opened = Some(opened);
    }

    /// The logs as they can be read.
    pub(super) fn found(&self) -> BTreeMap<PartitionKey, Model> {
        let read_all = |log: &Log| {
            let (start, end) = (log.log_start().0, log.log_end().0);
            let (mut batches, mut offset) = (Vec::new(), start);
            while offset < end {
                let mut bytes = self.read(log, offset, log.log_end(), 1_000);
                if bytes.is_empty() {
                    // Compacted away, as far as the end to which it was truncated then; else the model misses it.
                    break;
                }
                while !bytes.is_empty() {
                    let size = bytes.len();
                    let whole = bytes.clone();
                    let batch = ValidBatch::split_from(&mut bytes).unwrap();
                    batches.push((batch.header().base_offset.0, whole.slice(..size - bytes.len())));
                    offset = batch.header().next_offset().0;
                }
            }
            Model { batches, start, end, ..Model::default() }
        };
        self.logs.iter().map(|(key, log)| (*key, read_all(log))).collect()
    }

    /// Each log knows in which epoch its batches were written, those too that compaction has taken.
    fn check_epochs(&self, found: &BTreeMap<PartitionKey, Model>) {
        for (key, model) in found {
            let known = self.logs[key].epochs();
            for (base, bytes) in model.batches.iter().filter(|(base, _)| *base >= model.start) {
                let written_in = BatchHeader::parse(bytes).unwrap().partition_leader_epoch;
                assert_eq!(known.at(Offset(*base)), Some(written_in), "offset {base} of {key}: {known:?}");
            }
        }
    }

    /// What a producer sent last is recognised, if it survived, and is not if it did not.
    pub(super) fn check_producers(&mut self, found: &BTreeMap<PartitionKey, Model>) {
        for (key, (batch, base)) in std::mem::take(&mut self.last) {
            let is_it = |(_, bytes): &(i64, Bytes)| bytes[16..] == batch.rest()[..];
            let survived = found.get(&key).is_some_and(|model| model.batches.iter().any(is_it));
            let Some(log) = self.logs.get_mut(&key) else { continue };
            log.lead(LeaderEpoch(self.epoch));
            if survived {
                let outcome = log.append(batch, 0, 0).unwrap();
                let Outcome::Duplicate { base_offset, .. } = outcome else { panic!("{outcome:?}") };
                assert_eq!(base_offset.0, base, "the original's offset");
            }
        }
    }
}
