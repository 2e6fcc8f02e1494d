//! Transactions: begun, ended, cut off and compacted, and what readers of committed records see of them.

use protocol::records::{Batches, Limits, Records, Scratch, TxnMarker};
use storage::log::AbortedIn;
use storage::producers::{AbortedTransaction, ProducerState, Producers, next_sequence};

use super::model::Plain;
use super::*;

/// Of each partition. The epoch of every other one grows with each transaction.
pub(super) const PRODUCERS: u8 = 4;

fn producer(partition: u8, slot: u8) -> ProducerId {
    ProducerId(100 + i64::from(partition) * 10 + i64::from(slot))
}

impl World {
    /// A batch of a transaction, which begins with it if none is open.
    pub(super) fn transact(&mut self, partition: u8, slot: u8, records: u8, bytes: u16) {
        if self.log(partition).is_cutting() {
            return;
        }
        let id = producer(partition, slot);
        let known = self.state_of(partition, id);
        let last = known.as_ref().and_then(|state| state.batches.back());
        let options = BatchOptions {
            producer_id: id,
            producer_epoch: ProducerEpoch(known.as_ref().map_or(0, |state| state.epoch)),
            base_sequence: last.map_or(0, |mark| next_sequence(mark.last_sequence)),
            transactional: true,
            ..BatchOptions::default()
        };
        self.stamp += 1;
        let batch = self.batch(options, records, bytes);
        self.take(partition, batch);
    }

    /// The end of a transaction, whether one is open or not.
    pub(super) fn end(&mut self, partition: u8, slot: u8, commit: bool) {
        if self.log(partition).is_cutting() {
            return;
        }
        let id = producer(partition, slot);
        let known = self.state_of(partition, id).unwrap_or_else(|| ProducerState::new(0, 0));
        let grows = slot % 2 == 1 && known.transaction.is_some();
        let epoch = ProducerEpoch(known.epoch + i16::from(grows));
        let marker = TxnMarker { commit, coordinator_epoch: self.epoch };
        self.stamp += 1;
        let batch = marker.to_batch(id, epoch, i64::from(self.stamp) * 10, false).unwrap();
        let origin = Origin::Marker { transaction_version: if slot % 2 == 1 { 2 } else { 1 } };
        let now_ms = i64::from(self.stamp);
        let outcome = self.log(partition).append_from(origin, batch, 0, now_ms).unwrap();
        let Outcome::Appended { end, entry, .. } = outcome else { panic!("{outcome:?}") };
        self.submit(entry, Meaning::Append(end));
    }

    fn state_of(&mut self, partition: u8, id: ProducerId) -> Option<ProducerState> {
        let known = self.log(partition).producers();
        known.iter().find(|(known, _)| *known == id).map(|(_, state)| state.clone())
    }

    /// The logs know of transactions what their batches say.
    pub(super) fn check_transactions(&self, models: &BTreeMap<PartitionKey, Model>) {
        for (key, model) in models {
            let Some(log) = self.logs.get(key).filter(|log| !log.is_cutting()) else { continue };
            let is_cleaned = self.cleaned.contains(key);
            // Of a transaction whose marker was cut off, compaction or retention may have taken everything else before.
            let is_known = !(model.truncated && (is_cleaned || model.start > 0));
            if is_known {
                check_producers(key, log.producers(), model);
                check_stable(key, log, model);
            }
            let (start, stable) = (log.log_start(), log.last_stable_offset());
            let aborted = self.aborted(log, start, stable);
            let (mut got, mut offset) = (Vec::new(), start);
            while offset < stable {
                let bytes = self.read(log, offset.0, stable, 700);
                let batches: Vec<_> = Batches::new(bytes).map(Result::unwrap).collect();
                let Some(last) = batches.last() else { break };
                offset = last.header().next_offset();
                got.extend(batches);
            }
            let got = committed(&got, &aborted, start.0);
            model.check_committed(key, start.0, stable.0, &got, is_cleaned);
            // Of a part of it, enough is told for that part.
            let middle = Offset(start.0 + (stable.0 - start.0) / 2);
            let behind = self.aborted(log, middle, stable);
            let of_part: Vec<_> = aborted.iter().filter(|one| one.last_offset >= middle).copied().collect();
            assert_eq!(behind, of_part, "{key} from {middle} on");
        }
    }

    pub(super) fn aborted(&self, log: &Log, start: Offset, end: Offset) -> Vec<AbortedTransaction> {
        match log.aborted_in(start, end) {
            AbortedIn::Known(known) => known,
            AbortedIn::Cold(search) => search.run(&*self.files).unwrap(),
        }
    }
}

fn check_stable(key: &PartitionKey, log: &Log, model: &Model) {
    let mut producers = model.producers.clone();
    let high_watermark = log.high_watermark();
    producers.settle(high_watermark, high_watermark);
    let undecided = producers.first_unstable().unwrap_or(high_watermark);
    let expected = undecided.max(log.log_start()).min(high_watermark);
    assert_eq!(log.last_stable_offset(), expected, "last stable offset of {key}");
}

/// A truncation that took all batches of a producer that are remembered may have made it unknown, but nobody forgets what is
/// open.
fn check_producers(key: &PartitionKey, found: &Producers, model: &Model) {
    let found: BTreeMap<_, _> = found.iter().collect();
    for (id, expected) in model.producers.iter() {
        // A snapshot gives a batch the time of the marker behind it.
        let last = |state: &ProducerState| {
            state.batches.back().map(|mark| (mark.first_sequence, mark.last_sequence, mark.base_offset))
        };
        let Some(state) = found.get(&id) else {
            assert!(
                model.truncated && expected.transaction.is_none(),
                "{key} has forgotten {id}: {expected:?}"
            );
            continue;
        };
        assert_eq!(state.transaction, expected.transaction, "{key}: {id}");
        let is_forgotten = model.truncated && state.batches.is_empty();
        assert!(
            is_forgotten || last(state) == last(expected),
            "{key}: {state:?} of {id} is not {expected:?}"
        );
        if !model.truncated {
            let epochs = |state: &ProducerState| (state.epoch, state.coordinator_epoch);
            assert_eq!(epochs(state), epochs(expected), "{key}: {id}");
        }
    }
}

/// What a consumer of committed records delivers, in Kafka's way.
pub(super) fn committed(
    batches: &[ValidBatch],
    aborted: &[AbortedTransaction],
    from: i64,
) -> BTreeMap<i64, Plain> {
    let mut left: Vec<_> = aborted.iter().map(|one| (one.first_offset, one.producer_id)).collect();
    left.sort_unstable();
    let (mut left, mut gone) = (VecDeque::from(left), BTreeSet::new());
    let mut all = BTreeMap::new();
    for batch in batches {
        let header = batch.header();
        while let Some((_, id)) = left.pop_front_if(|(first, _)| *first <= header.last_offset()) {
            gone.insert(id);
        }
        if header.attributes.is_control() {
            if TxnMarker::of(batch).unwrap().is_some_and(|marker| !marker.commit) {
                gone.remove(&header.producer_id);
            }
            continue;
        }
        if header.attributes.is_transactional() && gone.contains(&header.producer_id) {
            continue;
        }
        for record in Records::open(batch, &mut Scratch::new(), &Limits::default()).unwrap() {
            let record = record.unwrap();
            if record.offset.0 >= from {
                all.insert(record.offset.0, (record.key, record.value, record.timestamp));
            }
        }
    }
    all
}
