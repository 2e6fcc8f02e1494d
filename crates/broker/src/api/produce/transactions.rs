//! Batches of transactions: whose they are, and whether they may be appended.

use protocol::{ErrorCode, Str};

use super::super::Call;
use super::super::handler::Turn;
use super::Sorted;
use crate::shard::Append;
use crate::transactions::{Asker, verify};

/// From this version on a producer knows TRANSACTION_ABORTABLE (KIP-890).
const ABORTABLE: i16 = 11;
/// From this version on the first batch adds its partition to the transaction, by version 2 of transactions (KIP-890).
const ADDS_PARTITIONS: i16 = 12;

impl Sorted {
    /// Refuses what the coordinator of its transaction does not agree to. The connection's next request has to wait until this
    /// one's batches have gone to their shards: it may have the next batches of the same transaction.
    pub(super) async fn verify(
        &mut self,
        call: &Call,
        transactional_id: Option<&Str>,
        turn: Option<Turn>,
    ) -> Option<Turn> {
        let is_transactional = |append: &Append| append.batch.header().attributes.is_transactional();
        if !self.appends.iter().any(is_transactional) {
            return turn;
        }
        let Some(transactional_id) = transactional_id else {
            // Kafka has nobody to authorise, and says so for all of the request.
            for place in std::mem::take(&mut self.places) {
                self.refused.push((place, ErrorCode::TransactionalIdAuthorizationFailed.into()));
            }
            self.appends.clear();
            return turn;
        };
        let turn = turn.or_else(|| Some(call.client.take_turn()));
        let (adds, knows_abortable) = (call.version >= ADDS_PARTITIONS, call.version >= ABORTABLE);
        let asker = Asker { transactional_id, adds, knows_abortable };
        let view = call.broker.metadata.view();
        let name = |append: &Append| {
            let topic = view.image.topic_by_id(append.key.topic_id);
            topic.map_or(Str::EMPTY, |topic| topic.name().clone())
        };
        let names: Vec<Str> = self.appends.iter().map(name).collect();
        let outcomes = verify(&call.broker, &asker, &names, &mut self.appends).await;
        let (appends, places) = (std::mem::take(&mut self.appends), std::mem::take(&mut self.places));
        for ((append, place), outcome) in appends.into_iter().zip(places).zip(outcomes) {
            match outcome {
                Ok(()) => {
                    self.appends.push(append);
                    self.places.push(place);
                }
                Err(refusal) => self.refused.push((place, refusal.into())),
            }
        }
        turn
    }
}
