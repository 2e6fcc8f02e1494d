//! [`verify`]: whether batches of transactions may be appended (KIP-890).

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator::Producer;
use protocol::records::NO_SEQUENCE;
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};
use storage::PartitionKey;

use super::Verification;
use crate::Broker;
use crate::coordinators::{Groups, Kind};
use crate::shard::{Append, Asked, Guard, Origin, Question, Refusal, Verified};

/// Who wants to append.
#[derive(Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) transactional_id: &'a Str,
    /// Partitions become part of the transaction with their first batch.
    pub(crate) adds: bool,
    /// The producer knows TRANSACTION_ABORTABLE.
    pub(crate) knows_abortable: bool,
}

/// Has the coordinator of their transaction agree to `appends`, as far as it has not yet. `names` are their topics. Answers, in
/// their order, why it does not.
///
/// Nothing else that the producer sends may overtake them meanwhile: the caller has its connection wait.
pub(crate) async fn verify(
    broker: &Arc<Broker>,
    asker: &Asker<'_>,
    names: &[Str],
    appends: &mut [Append],
) -> Vec<Result<(), Refusal>> {
    let transactional: Vec<usize> = (0..appends.len()).filter(|at| is_transactional(appends, *at)).collect();
    let mut outcomes: Vec<Result<(), Refusal>> = appends.iter().map(|_| Ok(())).collect();
    let is_asked_for = broker.metadata.view().config.transactions.partition_verification;
    // Who adds its partitions so is never trusted: nobody else would, and the transaction would not end there.
    if transactional.is_empty() || (!is_asked_for && !asker.adds) {
        return outcomes;
    }
    let producers: BTreeSet<_> = transactional.iter().filter_map(|at| producer(appends, *at)).collect();
    let [(producer_id, producer_epoch)] = Vec::from_iter(producers)[..] else {
        let message = Some("the request has transactional records of more than one producer".to_owned());
        return vec![Err(Refusal { code: ErrorCode::InvalidProducerIdMapping, message }); appends.len()];
    };
    let questions = transactional.iter().filter_map(|at| appends.get(*at));
    let questions = questions.map(|append| {
        let header = append.batch.header();
        let question = Question {
            producer_id,
            epoch: producer_epoch.0,
            first_sequence: header.base_sequence,
            epoch_per_transaction: asker.adds,
        };
        (append.key, question)
    });
    let asked = broker.shards.ask_about(questions.collect()).await;
    let unknown: Vec<(usize, Asked)> = transactional.into_iter().zip(asked).collect();
    let mut new = Vec::new();
    for (at, asked) in unknown {
        let guard = match asked {
            Ok(guard) => guard,
            Err(refusal) => {
                set(&mut outcomes, at, Err(refusal));
                continue;
            }
        };
        let name = names.get(at).cloned().unwrap_or_default();
        new.extend(guard.and(appends.get(at)).map(|append| (at, (name, append.key.partition))));
        guard_with(appends, at, guard);
    }
    if new.is_empty() {
        return outcomes;
    }
    let partitions = new.iter().map(|(_, partition)| partition.clone()).collect();
    let transactional_id = asker.transactional_id.detached();
    let adds = asker.adds;
    let verification = Verification { transactional_id, producer_id, producer_epoch, partitions, adds };
    let codes = ask(broker, &verification).await;
    for ((at, _), code) in new.into_iter().zip(codes) {
        set(&mut outcomes, at, said(asker, code));
    }
    outcomes
}

/// As [`verify`], of offsets in a transaction, before their batch is there: the coordinator of their group makes it. `key` is the
/// partition that keeps the group.
pub(crate) async fn verify_offsets(
    broker: &Arc<Broker>,
    asker: &Asker<'_>,
    producer: Producer,
    key: PartitionKey,
) -> Result<Verified, ErrorCode> {
    let is_asked_for = broker.metadata.view().config.transactions.partition_verification;
    if !is_asked_for && !asker.adds {
        return Ok(Verified::Trusted);
    }
    let question = Question {
        producer_id: producer.id,
        epoch: producer.epoch.0,
        first_sequence: NO_SEQUENCE,
        epoch_per_transaction: asker.adds,
    };
    let asked = broker.shards.ask_about(vec![(key, question)]).await.pop();
    let guard = match asked {
        Some(Ok(guard)) => guard,
        Some(Err(refusal)) => return Err(refusal.code),
        None => return Err(ErrorCode::UnknownServerError),
    };
    if guard.is_some() {
        let verification = Verification {
            transactional_id: asker.transactional_id.detached(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            partitions: vec![(Str::from_static(Groups::TOPIC), key.partition)],
            adds: asker.adds,
        };
        let code = ask(broker, &verification).await.pop().unwrap_or(ErrorCode::UnknownServerError);
        match code {
            ErrorCode::None => {}
            ErrorCode::ProducerFenced => return Err(ErrorCode::InvalidProducerEpoch),
            ErrorCode::TransactionAbortable if !asker.knows_abortable => {
                return Err(ErrorCode::InvalidTxnState);
            }
            code => return Err(code),
        }
    }
    Ok(Verified::By(guard))
}

fn is_transactional(appends: &[Append], at: usize) -> bool {
    appends.get(at).is_some_and(|append| append.batch.header().attributes.is_transactional())
}

fn producer(appends: &[Append], at: usize) -> Option<(ProducerId, ProducerEpoch)> {
    let header = appends.get(at)?.batch.header();
    Some((header.producer_id, header.producer_epoch))
}

fn guard_with(appends: &mut [Append], at: usize, guard: Option<Guard>) {
    if let Some(append) = appends.get_mut(at) {
        append.origin = Origin::Producer { verified: Verified::By(guard) };
    }
}

fn set(outcomes: &mut [Result<(), Refusal>], at: usize, outcome: Result<(), Refusal>) {
    if let Some(place) = outcomes.get_mut(at) {
        *place = outcome;
    }
}

/// Asks the coordinator. While it is still completing the transaction before, which takes milliseconds, it lets whoever wants
/// to begin the next one wait.
async fn ask(broker: &Arc<Broker>, verification: &Verification) -> Vec<ErrorCode> {
    broker.transactions.verify(&broker.metadata.view(), verification).await
}

/// What a producer is told when the coordinator says so.
fn said(asker: &Asker<'_>, code: ErrorCode) -> Result<(), Refusal> {
    let refused = |code: ErrorCode, message: String| Err(Refusal { code, message: Some(message) });
    match code {
        ErrorCode::None => Ok(()),
        ErrorCode::ProducerFenced => Err(ErrorCode::InvalidProducerEpoch.into()),
        ErrorCode::TransactionAbortable if !asker.knows_abortable => {
            refused(ErrorCode::InvalidTxnState, "the partition was not added to the transaction".to_owned())
        }
        ErrorCode::InvalidTxnState => {
            refused(ErrorCode::InvalidTxnState, "the partition was not added to the transaction".to_owned())
        }
        // Producers come back with it, whatever their age, and do not look for another leader.
        ErrorCode::NetworkException
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => not_verified(code),
        ErrorCode::ConcurrentTransactions if !asker.adds => not_verified(code),
        code => Err(code.into()),
    }
}

fn not_verified(code: ErrorCode) -> Result<(), Refusal> {
    let message =
        format!("could not find out whether the partition was added to the transaction: {}", code.name());
    Err(Refusal { code: ErrorCode::NotEnoughReplicas, message: Some(message) })
}
