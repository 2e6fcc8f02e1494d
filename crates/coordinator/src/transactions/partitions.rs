//! AddPartitionsToTxn, AddOffsetsToTxn, and what brokers ask before they let a producer write.

use protocol::{ErrorCode, Str};

use super::state::State;
use super::transaction::Transaction;
use super::{Reply, Topics, Turn, Verdict};
use crate::Producer;

/// Bytes of partitions that one transaction may have: its record has to fit a batch of the topic. Kafka's limit is the
/// topic's own, a mebibyte.
const PARTITIONS_BYTES_MAX: usize = 1 << 20;

impl Turn<'_> {
    pub(super) fn add(
        &mut self,
        id: &Str,
        producer: Producer,
        topics: &Topics,
        client_version: i16,
    ) -> Verdict {
        let added = |result| Verdict::Reply(Reply::Added(result));
        let known = match self.of_producer(id, producer) {
            Ok(known) => known,
            Err(error) => return added(Err(error)),
        };
        if known.state.is_completing() {
            return Verdict::Wait;
        }
        if known.state == State::Ongoing && known.has(topics) {
            return added(Ok(()));
        }
        let next = known.with(topics, client_version, self.now.wall_ms);
        if bytes_of(&next) > PARTITIONS_BYTES_MAX {
            return added(Err(ErrorCode::UnknownServerError));
        }
        let begins = known.state != State::Ongoing;
        let (start_ms, timeout_ms) = (next.start_ms, next.timeout_ms);
        self.emit(id, Some(next));
        if begins {
            self.set_deadline(id, start_ms, timeout_ms);
        }
        added(Ok(()))
    }

    pub(super) fn verify(&self, id: &Str, producer: Producer, topics: &Topics) -> Result<Topics, ErrorCode> {
        let known = self.of_producer(id, producer)?;
        if known.state.is_completing() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let missing = |(topic, partitions): &(Str, Vec<i32>)| {
            let own = known.partitions.get(topic);
            let is_missing = |partition: &&i32| own.is_none_or(|own| !own.contains(partition));
            let missing: Vec<i32> = partitions.iter().filter(is_missing).copied().collect();
            (!missing.is_empty()).then(|| (topic.clone(), missing))
        };
        Ok(topics.iter().filter_map(missing).collect())
    }

    /// The id, if it is with this producer.
    fn of_producer(&self, id: &Str, producer: Producer) -> Result<&Transaction, ErrorCode> {
        if id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        match self.logged.get(id) {
            Some(known) if known.producer_id != producer.id => Err(ErrorCode::InvalidProducerIdMapping),
            Some(known) if known.epoch != producer.epoch.0 => Err(ErrorCode::ProducerFenced),
            Some(known) => Ok(known),
            None => Err(ErrorCode::InvalidProducerIdMapping),
        }
    }
}

/// About what the partitions take in a record.
fn bytes_of(transaction: &Transaction) -> usize {
    let of_topic = |(topic, ids): (&Str, &std::collections::BTreeSet<i32>)| topic.len() + 16 + 4 * ids.len();
    transaction.partitions.iter().map(of_topic).fold(0, usize::saturating_add)
}
