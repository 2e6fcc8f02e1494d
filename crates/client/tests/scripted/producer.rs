//! Writing: each record once and in order, or an error that says why not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Acks, Delivered, Error, Producer, ProducerOptions, ProducerRecord};
use protocol::messages::init_producer_id_response::InitProducerIdResponse;
use protocol::messages::metadata_response::MetadataResponsePartition;
use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::produce_response::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use protocol::records::{Batches, Limits, Scratch};
use protocol::{ApiKey, ErrorCode};

use super::server::{Reply, Request, TOPIC, TOPIC_ID, World, metadata, run, usual};

/// One partition as a broker keeps it: sequences are checked, and the last five batches remembered.
#[derive(Default)]
struct Log {
    producer: Option<(i64, i16)>,
    next_sequence: i32,
    remembered: VecDeque<(i32, i64)>,
    values: Vec<u8>,
}

type Shared = Arc<Mutex<Log>>;

impl Log {
    fn append(&mut self, request: &ProduceRequest) -> Result<i64, ErrorCode> {
        let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
        let batch = Batches::new(records.to_bytes().unwrap()).next().unwrap().unwrap();
        let header = *batch.header();
        let producer = (header.producer_id.get(), header.producer_epoch.get());
        let sequence = header.base_sequence;
        if self.producer.is_some_and(|known| known.1 > producer.1) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if self.producer != Some(producer) {
            if sequence != 0 {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            (self.producer, self.next_sequence) = (Some(producer), 0);
            self.remembered.clear();
        }
        if let Some((_, offset)) = self.remembered.iter().find(|one| one.0 == sequence) {
            return Ok(*offset);
        }
        if sequence != self.next_sequence {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        let offset = i64::try_from(self.values.len()).unwrap();
        for record in batch.records(&mut Scratch::default(), &Limits::default()).unwrap() {
            self.values.push(record.unwrap().value.unwrap()[0]);
            self.next_sequence += 1;
        }
        self.remembered.push_back((sequence, offset));
        if self.remembered.len() > 5 {
            self.remembered.pop_front();
        }
        Ok(offset)
    }
}

fn answer(request: &Request, result: Result<i64, ErrorCode>) -> Reply {
    let part = PartitionProduceResponse {
        error_code: result.err().map_or(0, ErrorCode::code),
        base_offset: result.unwrap_or(-1),
        log_append_time_ms: -1,
        ..Default::default()
    };
    let topic =
        TopicProduceResponse { topic_id: TOPIC_ID, partition_responses: vec![part], ..Default::default() };
    request.answer(&ProduceResponse { responses: vec![topic], ..Default::default() })
}

/// One record a batch.
fn options() -> ProducerOptions {
    ProducerOptions { batch_bytes: 1, linger: Duration::ZERO, ..ProducerOptions::default() }
}

/// Writes the numbers below `count`, all at once.
async fn write(world: &World, options: ProducerOptions, count: u8) -> Vec<Result<Delivered, Error>> {
    let producer = Producer::start(&world.cluster(), options).unwrap();
    let mut deliveries = Vec::new();
    for number in 0..count {
        deliveries.push(producer.send(ProducerRecord::new(TOPIC).value(vec![number])).await.unwrap());
    }
    let mut results = Vec::new();
    for delivery in deliveries {
        results.push(delivery.await);
    }
    results
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The connection breaks before the batch is written.
    LostRequest,
    /// The connection breaks after the batch was written.
    LostAnswer,
    /// The batch is written and the answer never comes.
    Silence,
    Refusal(ErrorCode),
    /// An answer that says nothing about the partition.
    Forgotten,
}

#[test]
fn whatever_is_retried_is_written_once_and_in_order() {
    let refusals = [ErrorCode::NotEnoughReplicas, ErrorCode::NotLeaderOrFollower, ErrorCode::RequestTimedOut]
        .map(Fault::Refusal);
    let others = [Fault::LostRequest, Fault::LostAnswer, Fault::Silence, Fault::Forgotten];
    for fault in refusals.into_iter().chain(others) {
        for at in [0, 3, 7, 19] {
            let (log, mut number) = (Shared::default(), 0);
            let kept = Arc::clone(&log);
            let script = move |request: &Request| {
                if request.key != ApiKey::Produce {
                    return None;
                }
                number += 1;
                let append = || log.lock().unwrap().append(&request.read());
                Some(match fault {
                    _ if number != at + 1 => answer(request, append()),
                    Fault::LostRequest => Reply::HangUp,
                    Fault::LostAnswer => append().map_or(Reply::HangUp, |_| Reply::HangUp),
                    Fault::Silence => append().map_or(Reply::Silence, |_| Reply::Silence),
                    Fault::Refusal(code) => answer(request, Err(code)),
                    Fault::Forgotten => request.answer(&ProduceResponse::default()),
                })
            };
            run(script, async |world| {
                let results = write(world, options(), 20).await;
                let offsets: Vec<i64> =
                    results.iter().map(|one| one.as_ref().unwrap().offset.get()).collect();
                assert!(offsets.iter().copied().eq(0..20), "{fault:?} at {at}: {offsets:?}");
                assert!(kept.lock().unwrap().values.iter().copied().eq(0..20), "{fault:?} at {at}");
            });
        }
    }
}

#[test]
fn a_new_leader_is_found_and_written_to() {
    let (log, mut leader) = (Shared::default(), 1);
    let kept = Arc::clone(&log);
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => Some(request.answer(&metadata(leader))),
        ApiKey::Produce if request.node == 1 => {
            leader = 2;
            Some(answer(request, Err(ErrorCode::NotLeaderOrFollower)))
        }
        ApiKey::Produce => Some(answer(request, log.lock().unwrap().append(&request.read()))),
        _ => None,
    };
    run(script, async |world| {
        let results = write(world, options(), 20).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(kept.lock().unwrap().values.iter().copied().eq(0..20));
    });
}

#[test]
fn a_broker_that_has_forgotten_the_producer_gets_a_new_epoch() {
    let (log, mut number) = (Shared::default(), 0);
    let kept = Arc::clone(&log);
    let script = move |request: &Request| {
        (request.key == ApiKey::Produce).then(|| {
            number += 1;
            let mut log = log.lock().unwrap();
            if number == 8 {
                // All of its records have been deleted, say.
                (log.producer, log.next_sequence) = (None, 0);
                log.remembered.clear();
            }
            answer(request, log.append(&request.read()))
        })
    };
    run(script, async |world| {
        let results = write(world, options(), 20).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let log = kept.lock().unwrap();
        assert!(log.values.iter().copied().eq(0..20), "{:?}", log.values);
        assert_eq!(log.producer, Some((7, 1)));
    });
}

#[test]
fn trying_ends_with_the_delivery_timeout_and_says_why() {
    let script = |request: &Request| {
        (request.key == ApiKey::Produce).then(|| answer(request, Err(ErrorCode::NotEnoughReplicas)))
    };
    run(script, async |world| {
        let options = ProducerOptions { delivery_timeout: Duration::from_secs(10), ..options() };
        let error = write(world, options, 1).await.remove(0).unwrap_err();
        assert!(matches!(&error, Error::Expired { ms: 10_000, .. }), "{error}");
        assert!(error.to_string().contains("NOT_ENOUGH_REPLICAS"), "{error}");
        assert!(world.seconds() <= 10, "{}", world.seconds());
        let attempts = world.count(ApiKey::Produce);
        assert!((8..=25).contains(&attempts), "with pauses up to a second: {attempts}");
    });
}

#[test]
fn what_is_refused_for_good_is_not_repeated() {
    let script = |request: &Request| {
        (request.key == ApiKey::Produce).then(|| answer(request, Err(ErrorCode::TopicAuthorizationFailed)))
    };
    run(script, async |world| {
        let error = write(world, options(), 1).await.remove(0).unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::TopicAuthorizationFailed));
        assert!(error.to_string().starts_with("t-0: "), "{error}");
        assert_eq!(world.count(ApiKey::Produce), 1);
    });
}

#[test]
fn without_a_producer_id_nothing_can_be_written() {
    let script = |request: &Request| {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        (request.key == ApiKey::InitProducerId)
            .then(|| request.answer(&InitProducerIdResponse { error_code, ..Default::default() }))
    };
    run(script, async |world| {
        for result in write(world, options(), 3).await {
            assert_eq!(result.unwrap_err().code(), Some(ErrorCode::ClusterAuthorizationFailed));
        }
    });
}

#[test]
fn a_producer_id_is_asked_for_until_there_is_one() {
    let (log, mut left) = (Shared::default(), 3);
    let script = move |request: &Request| match request.key {
        ApiKey::InitProducerId if left > 0 => {
            left -= 1;
            let error_code = ErrorCode::CoordinatorLoadInProgress.code();
            Some(request.answer(&InitProducerIdResponse { error_code, ..Default::default() }))
        }
        ApiKey::Produce => Some(answer(request, log.lock().unwrap().append(&request.read()))),
        _ => None,
    };
    run(script, async |world| {
        assert!(write(world, options(), 3).await.iter().all(Result::is_ok));
        assert_eq!(world.count(ApiKey::InitProducerId), 4);
    });
}

#[test]
fn batches_that_are_too_large_for_the_topic_are_halved() {
    let log = Shared::default();
    let kept = Arc::clone(&log);
    let script = move |request: &Request| {
        (request.key == ApiKey::Produce).then(|| {
            let produce: ProduceRequest = request.read();
            let records = produce.topic_data[0].partition_data[0].records.clone().unwrap();
            match records.len() {
                len if len > 130 => answer(request, Err(ErrorCode::MessageTooLarge)),
                _ => answer(request, log.lock().unwrap().append(&produce)),
            }
        })
    };
    run(script, async |world| {
        let options = ProducerOptions { batch_bytes: 16 << 10, ..options() };
        let results = write(world, options, 50).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(kept.lock().unwrap().values.iter().copied().eq(0..50));
    });
}

#[test]
fn a_hostile_answer_fails_its_records_and_no_others() {
    let (log, mut number) = (Shared::default(), 0);
    let script = move |request: &Request| {
        (request.key == ApiKey::Produce).then(|| {
            number += 1;
            match number {
                1 => Reply::Send(
                    [&[0, 0, 0, 5][..], &request.correlation_id.to_be_bytes(), &[9]].concat().into(),
                ),
                _ => answer(request, log.lock().unwrap().append(&request.read())),
            }
        })
    };
    run(script, async |world| {
        let options = ProducerOptions { in_flight_max: 1, ..options() };
        let results = write(world, options, 3).await;
        assert!(matches!(results[0], Err(Error::Malformed { .. })), "{results:?}");
        assert!(results[1..].iter().all(Result::is_ok), "{results:?}");
    });
}

/// Without acks a record counts as written when the stream has taken it. It counted when it was queued, so that whoever
/// ended behind a flush lost what was queued; and a broker that read nothing stopped the producer for ever.
#[test]
fn without_acks_a_record_is_written_when_it_has_left() {
    run(
        |request| (request.key == ApiKey::Produce).then_some(Reply::Deaf),
        async |world| {
            let options = ProducerOptions {
                acks: Acks::None,
                idempotence: false,
                delivery_timeout: Duration::from_secs(60),
                ..options()
            };
            let producer = Producer::start(&world.cluster(), options).unwrap();
            // More than the stream holds. The broker reads the first one of each connection.
            let record = ProducerRecord::new(TOPIC).value(vec![0; 500_000]);
            producer.send(record.clone()).await.unwrap().await.unwrap();
            assert_eq!(world.seconds(), 0);
            producer.send(record).await.unwrap().await.unwrap();
            assert_eq!(world.seconds(), 30, "on another connection, when this one is given up");
        },
    );
}

#[test]
fn what_the_cluster_knows_is_not_asked_again() {
    let log = Shared::default();
    let script = move |request: &Request| {
        (request.key == ApiKey::Produce).then(|| answer(request, log.lock().unwrap().append(&request.read())))
    };
    run(script, async |world| {
        let cluster = world.cluster();
        cluster.topic(&TOPIC.into(), true).await.unwrap();
        let producer = Producer::start(&cluster, options()).unwrap();
        let record = ProducerRecord::new(TOPIC).value(vec![0]);
        producer.send(record).await.unwrap().await.unwrap();
        assert_eq!(world.count(ApiKey::Metadata), 1);
    });
}

#[test]
fn records_for_partitions_without_a_leader_wait_for_one() {
    let (log, mut asked) = (Shared::default(), 0);
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => {
            asked += 1;
            Some(usual(request, if asked < 4 { -1 } else { 2 }))
        }
        ApiKey::Produce => Some(answer(request, log.lock().unwrap().append(&request.read()))),
        _ => None,
    };
    run(script, async |world| {
        assert!(write(world, options(), 3).await.iter().all(Result::is_ok));
        assert!(world.seen.lock().unwrap().iter().all(|seen| seen.0 != ApiKey::Produce || seen.2 == 2));
    });
}

#[test]
fn a_partition_that_was_added_is_found_and_one_that_is_not_there_refused() {
    let mut written = false;
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => {
            let mut known = metadata(1);
            if written {
                let first = known.topics[0].partitions[0].clone();
                known.topics[0].partitions.push(MetadataResponsePartition { partition_index: 1, ..first });
            }
            Some(request.answer(&known))
        }
        ApiKey::Produce => {
            written = true;
            let index = request.read::<ProduceRequest>().topic_data[0].partition_data[0].index;
            let part =
                PartitionProduceResponse { index, base_offset: i64::from(index), ..Default::default() };
            let partition_responses = vec![part];
            let topic =
                TopicProduceResponse { topic_id: TOPIC_ID, partition_responses, ..Default::default() };
            Some(request.answer(&ProduceResponse { responses: vec![topic], ..Default::default() }))
        }
        _ => None,
    };
    run(script, async |world| {
        let producer = Producer::start(&world.cluster(), options()).unwrap();
        let send = async |partition| {
            let record =
                ProducerRecord { partition: Some(partition), ..ProducerRecord::new(TOPIC).value("x") };
            let before = world.count(ApiKey::Metadata);
            let result = producer.send(record).await.unwrap().await;
            (result.map(|delivered| delivered.offset.get()), world.count(ApiKey::Metadata) - before)
        };
        assert_eq!(send(0).await.0.unwrap(), 0);
        for (partition, known, fetches) in
            [(1, true, 1), (0, true, 0), (1, true, 0), (2, false, 1), (-1, false, 0)]
        {
            let (result, fetched) = send(partition).await;
            assert_eq!((result.is_ok(), fetched), (known, fetches), "{partition}: {result:?}");
        }
        let (refused, _) = send(7).await;
        assert!(refused.unwrap_err().to_string().ends_with("has 2 partitions, there is no partition 7"));
    });
}
