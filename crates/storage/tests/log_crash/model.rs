//! A log as a list of batches.

use protocol::records::{Batches, Limits, Records, Scratch};

use super::*;

/// Key, value and time of a record.
type Plain = (Option<Bytes>, Option<Bytes>, i64);

/// What the entries of a partition give.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Base offset and bytes of each batch that is readable.
    pub(super) batches: Vec<(i64, Bytes)>,
    pub(super) start: i64,
    pub(super) end: i64,
    /// The largest offset that each key has ever had. A truncation may take what has superseded others.
    pub(super) largest: BTreeMap<Bytes, i64>,
    pub(super) truncated: bool,
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
                for (offset, (key, ..)) in records([bytes.clone()]) {
                    let largest = self.largest.entry(key.unwrap()).or_insert(offset);
                    *largest = offset.max(*largest);
                }
                self.batches.push((base_offset.0, bytes));
            }
            Body::Truncate { end, .. } => {
                self.truncated = true;
                self.batches.retain(|(base, _)| *base < end.0);
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

/// The records of batches by their offsets.
fn records(batches: impl IntoIterator<Item = Bytes>) -> BTreeMap<i64, Plain> {
    let mut all = BTreeMap::new();
    for batch in batches.into_iter().flat_map(|bytes| Batches::new(bytes).map(Result::unwrap)) {
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

    /// Whether `found` is this after compaction: nothing is missing but what is superseded, and tombstones.
    pub(super) fn allows(&self, found: &Model) -> bool {
        let (all, left) = (self.records_from(self.start), found.records_from(self.start));
        (self.start, self.end) == (found.start, found.end)
            && (self.truncated || outcome(&all) == outcome(&left))
            && left.iter().all(|(offset, record)| all.get(offset) == Some(record))
            && all.iter().all(|(offset, _)| left.contains_key(offset) || self.may_go(&all, *offset))
    }

    /// What a read from `offset` on has got, of this after compaction.
    pub(super) fn check_compacted(&self, offset: i64, got: &Bytes) {
        let (all, left) = (self.records_from(0), records([got.clone()]));
        for (offset, record) in &left {
            assert_eq!(all.get(offset), Some(record), "at {offset}");
        }
        let end = left.keys().next_back().copied().unwrap_or(offset);
        for (offset, record) in all.range(offset..end.max(offset)) {
            assert!(
                left.contains_key(offset) || self.may_go(&all, *offset),
                "{record:?} at {offset} is missing"
            );
        }
    }

    fn may_go(&self, all: &BTreeMap<i64, Plain>, offset: i64) -> bool {
        let (key, value, _) = &all[&offset];
        value.is_none() || self.largest[key.as_ref().unwrap()] > offset
    }
}
