//! A log as a list of batches.

use protocol::records::{Batches, Limits, Records, Scratch, TxnMarker};
use storage::producers::Producers;

use super::*;

/// Key, value and time of a record.
pub(super) type Plain = (Option<Bytes>, Option<Bytes>, i64);

/// What the entries of a partition give.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Base offset and bytes of each batch that is readable.
    pub(super) batches: Vec<(i64, Bytes)>,
    pub(super) start: i64,
    pub(super) end: i64,
    /// The largest offset that each key has ever had of what counts. A truncation may take what has superseded others.
    pub(super) largest: BTreeMap<Bytes, i64>,
    pub(super) truncated: bool,
    /// Every batch, those below the start, too.
    pub(super) all: Vec<(i64, Bytes)>,
    /// What they did to producers.
    pub(super) producers: Producers,
    /// Keys and offsets in transactions that are open, and offsets in those that were aborted.
    pub(super) open: BTreeMap<ProducerId, Vec<(Bytes, i64)>>,
    pub(super) aborted: BTreeSet<i64>,
    /// Those that ever were. A truncation may take the marker that has sent them away.
    pub(super) ever_aborted: BTreeSet<i64>,
}

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        (&self.batches, self.start, self.end) == (&other.batches, other.start, other.end)
    }
}

impl std::fmt::Display for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}:", self.start, self.end)?;
        for (offset, (key, value, _)) in self.records_from(0) {
            let key = key.unwrap_or_default();
            write!(f, " {offset}={key:?}/{}", value.map_or(-1, |value| value.len() as i64))?;
        }
        Ok(())
    }
}

impl Model {
    pub(super) fn apply(&mut self, body: &Body) {
        match body {
            Body::Append { leader_epoch, base_offset, batch } => {
                if base_offset.0 < self.end {
                    return; // Submitted again.
                }
                assert_eq!(base_offset.0, self.end, "offsets are dense");
                let length = i32::try_from(batch.len() + 4).unwrap();
                let bytes = [&head(*base_offset, length, *leader_epoch)[..], &batch[..]].concat();
                self.end += i64::from(i32::from_be_bytes(batch[7..11].try_into().unwrap())) + 1;
                let bytes = Bytes::from(bytes);
                self.all.push((base_offset.0, bytes.clone()));
                self.decide(&bytes);
                self.batches.push((base_offset.0, bytes));
            }
            Body::Truncate { end, .. } => {
                self.truncated = true;
                self.ever_aborted.extend(self.aborted.iter().filter(|offset| **offset < end.0));
                self.batches.retain(|(base, _)| *base < end.0);
                self.all.retain(|(base, _)| *base < end.0);
                (self.producers, self.open, self.aborted) = Default::default();
                for (_, bytes) in self.all.clone() {
                    self.decide(&bytes);
                }
                self.end = end.0;
                self.start = self.start.min(self.end);
            }
            Body::LogStart { offset } => self.start = self.start.max(offset.0),
            _ => {}
        }
        let start = self.start;
        while self.batches.len() > 1 && self.batches[1].0 <= start {
            self.batches.remove(0);
        }
        if self.start == self.end {
            self.batches.clear();
        }
    }
}

impl Model {
    /// Takes note of what a batch decides.
    fn decide(&mut self, bytes: &Bytes) {
        let batch = ValidBatch::split_from(&mut bytes.clone()).unwrap();
        let header = batch.header();
        let marker = if header.attributes.is_control() { TxnMarker::of(&batch).unwrap() } else { None };
        self.producers.apply(header, marker, 0);
        let id = header.producer_id;
        let found = records([bytes.clone()]).into_iter().map(|(offset, (key, ..))| (key.unwrap(), offset));
        match marker {
            Some(TxnMarker { commit: true, .. }) => {
                self.count(self.open.get(&id).cloned().unwrap_or_default())
            }
            Some(_) => {
                self.aborted.extend(self.open.get(&id).into_iter().flatten().map(|(_, offset)| *offset))
            }
            None if header.attributes.is_transactional() => {
                return self.open.entry(id).or_default().extend(found);
            }
            None => return self.count(found.collect()),
        }
        self.open.remove(&id);
    }

    fn count(&mut self, found: Vec<(Bytes, i64)>) {
        for (key, offset) in found {
            let largest = self.largest.entry(key).or_insert(offset);
            *largest = offset.max(*largest);
        }
    }
}

/// The records of batches by their offsets, without markers.
fn records(batches: impl IntoIterator<Item = Bytes>) -> BTreeMap<i64, Plain> {
    let mut all = BTreeMap::new();
    let data = |batch: &ValidBatch| !batch.header().attributes.is_control();
    for batch in batches.into_iter().flat_map(|bytes| Batches::new(bytes).map(Result::unwrap)).filter(data) {
        for record in Records::open(&batch, &mut Scratch::new(), &Limits::default()).unwrap() {
            let record = record.unwrap();
            all.insert(record.offset.0, (record.key, record.value, record.timestamp));
        }
    }
    all
}

/// What each key stands for in the end.
fn outcome(records: &BTreeMap<i64, Plain>) -> BTreeMap<Bytes, Bytes> {
    let mut last = BTreeMap::new();
    for (key, value, _) in records.values() {
        match value {
            Some(value) => drop(last.insert(key.clone().unwrap(), value.clone())),
            None => drop(last.remove(key.as_ref().unwrap())),
        }
    }
    last
}

impl Model {
    fn records_from(&self, start: i64) -> BTreeMap<i64, Plain> {
        records(self.batches.iter().map(|(_, batch)| batch.clone())).split_off(&start)
    }

    /// Those of them that were not aborted.
    fn counting(&self, records: &BTreeMap<i64, Plain>) -> BTreeMap<i64, Plain> {
        let counts = |(offset, _): &(&i64, &Plain)| !self.aborted.contains(*offset);
        records.iter().filter(counts).map(|(offset, record)| (*offset, record.clone())).collect()
    }

    /// Whether `found` is this after compaction: nothing is missing but what is superseded or aborted, and tombstones.
    pub(super) fn allows(&self, found: &Model) -> bool {
        let (all, left) = (self.records_from(self.start), found.records_from(self.start));
        (self.start, self.end) == (found.start, found.end)
            && left.iter().all(|(offset, record)| all.get(offset) == Some(record))
            && self.is_compacted(&self.counting(&all), &self.counting(&left))
    }

    fn is_compacted(&self, all: &BTreeMap<i64, Plain>, left: &BTreeMap<i64, Plain>) -> bool {
        (self.truncated || outcome(all) == outcome(left))
            && all.iter().all(|(offset, _)| left.contains_key(offset) || self.may_go(all, *offset))
    }

    /// What a read from `offset` on has got, of this after compaction.
    pub(super) fn check_compacted(&self, offset: i64, got: &Bytes) {
        let (all, left) = (self.records_from(0), records([got.clone()]));
        for (offset, record) in &left {
            assert_eq!(all.get(offset), Some(record), "at {offset}");
        }
        let end = left.keys().next_back().copied().unwrap_or(offset);
        for (offset, record) in all.range(offset..end.max(offset)) {
            let is_there = left.contains_key(offset) || self.aborted.contains(offset);
            assert!(is_there || self.may_go(&all, *offset), "{record:?} at {offset} is missing");
        }
    }

    /// What readers of committed records have got of `start..end`.
    pub(super) fn check_committed(
        &self,
        key: &PartitionKey,
        start: i64,
        end: i64,
        got: &BTreeMap<i64, Plain>,
        cleaned: bool,
    ) {
        let mut all = self.counting(&records(self.all.iter().map(|(_, batch)| batch.clone())));
        all.retain(|offset, _| (start..end).contains(offset));
        if !cleaned {
            assert_eq!(got, &all, "{key} from {start} to {end}");
        }
        let undecided: BTreeSet<i64> = self.open.values().flatten().map(|(_, offset)| *offset).collect();
        for (offset, record) in got {
            assert_eq!(all.get(offset), Some(record), "{key} at {offset}");
            assert!(!undecided.contains(offset), "{key}: {offset} is not decided");
        }
        for (offset, record) in &all {
            let is_there = got.contains_key(offset) || self.may_go(&all, *offset);
            assert!(is_there, "{key}: {record:?} at {offset} is missing");
        }
    }

    fn may_go(&self, all: &BTreeMap<i64, Plain>, offset: i64) -> bool {
        let (key, value, _) = &all[&offset];
        value.is_none()
            || self.ever_aborted.contains(&offset)
            || self.largest.get(key.as_ref().unwrap()).is_some_and(|largest| *largest > offset)
    }
}
