//! Writes records in transactions over several partitions, commits some and aborts others, over raw requests, as producers
//! of both versions of transactions do (KIP-98, KIP-890).
//!
//! Invariants: a transaction is asked to be committed only when all of it is acknowledged, and never asked for both ends. What
//! became of an end that was not answered is left open.

use std::collections::BTreeMap;
use std::time::Duration;

use client::{Cluster, Error, Isolation, ProducerRecord};
use protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use protocol::messages::end_txn_request::EndTxnRequest;
use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use protocol::records::{BatchBuilder, BatchOptions, HeaderRef, NewRecord};
use protocol::wire::Request;
use protocol::{ErrorCode, Offset, ProducerEpoch, ProducerId, RecordSet, Str};

use super::Context;
use super::fetch::Fetcher;
use crate::event::{Event, Log, Reader, Transaction};
use crate::scenario::Extra;
use crate::value::Id;

/// How long a transaction may stay open.
const TIMEOUT_MS: i32 = 4_000;
/// Attempts at one request.
const ATTEMPTS: usize = 12;

pub(super) async fn run(context: Context, index: usize) {
    let cluster = context.cluster();
    let transactional_id = if context.scenario.zombies { "tx".to_owned() } else { format!("tx{index}") };
    let reader = context.reader();
    let mut number = 0;
    while !context.is_stopped() {
        let this = Transactor {
            context: &context,
            cluster: &cluster,
            index,
            reader,
            id: Str::from(transactional_id.clone()),
        };
        if let Err(error) = this.live(&mut number).await {
            context.history.note(&format!("t{index}: {error}"));
        }
        context.pause(context.dice.millis(1, 200)).await;
    }
}

struct Transactor<'a> {
    context: &'a Context,
    cluster: &'a Cluster,
    index: usize,
    /// As who it reads within its transactions.
    reader: Reader,
    id: Str,
}

/// A producer's identity, and what it sends next.
struct Producer {
    id: ProducerId,
    epoch: ProducerEpoch,
    /// Whether partitions are added by their first batch, and every transaction has an epoch of its own.
    second: bool,
    sequences: BTreeMap<Log, i32>,
}

impl Transactor<'_> {
    /// From a new identity to the first error, or until it feels like beginning anew.
    async fn live(&self, number: &mut u64) -> Result<(), Error> {
        let dice = &self.context.dice;
        let mut producer = self.begin().await?;
        while !self.context.is_stopped() && !dice.chance(3) {
            *number += 1;
            let life = self.context.next_extra();
            let transaction = Transaction { transactor: self.index, life, number: *number };
            let ends = self.fill(&mut producer, transaction).await;
            let commit = ends.is_ok() && dice.chance(70);
            if let Err(error) = &ends {
                self.context.history.note(&format!("{transaction}: {error}"));
            }
            if dice.chance(3) {
                return Ok(());
            }
            self.end(&mut producer, transaction, commit).await?;
            if ends.is_err() && !producer.second {
                // Which sequence comes next is not known any more.
                return Ok(());
            }
            self.context.pause(dice.millis(0, 40)).await;
        }
        Ok(())
    }

    async fn begin(&self) -> Result<Producer, Error> {
        // It is the search for the coordinator that creates its topic.
        let of_transactions = 1;
        let search = FindCoordinatorRequest {
            key: self.id.clone(),
            key_type: of_transactions,
            coordinator_keys: Vec::new(),
        };
        self.ask(2, &search, |response| response.error_code).await?;
        let request = InitProducerIdRequest {
            transactional_id: Some(self.id.clone()),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let code = |response: &<InitProducerIdRequest as Request>::Response| response.error_code;
        let response = self.ask(5, &request, code).await?;
        let (id, epoch) = (ProducerId(response.producer_id), ProducerEpoch(response.producer_epoch));
        let second = self.context.dice.chance(60);
        Ok(Producer { id, epoch, second, sequences: BTreeMap::new() })
    }

    /// Sends the records of a transaction.
    async fn fill(&self, producer: &mut Producer, transaction: Transaction) -> Result<(), Error> {
        let dice = &self.context.dice;
        for _ in 0..dice.between(1, 4) {
            let topic = dice.index(self.context.scenario.topics.len());
            let partitions = self.context.partitions(topic).unsigned_abs() as usize;
            let partition = i32::try_from(dice.index(partitions)).unwrap_or(0);
            let Some(plan) = self.context.scenario.topics.get(topic) else { continue };
            if dice.chance(30) {
                self.read(transaction, &plan.name, partition).await?;
            }
            let log = Log { topic: plan.name.clone(), partition };
            if !producer.second {
                self.add(producer, &log).await?;
            }
            let ids: Vec<Id> = (0..dice.between(1, 5)).map(|_| self.next_id()).collect();
            for id in &ids {
                self.context.history.record(&Event::Sent { id: *id, log: log.clone() });
                self.context.history.record(&Event::Joined { transaction, id: *id, log: log.clone() });
            }
            let records: Vec<ProducerRecord> = ids
                .iter()
                .map(|id| id.record(&plan.name, partition, Some(dice.between(0, 300)), true))
                .collect();
            let base = self.produce(producer, &log, &records).await?;
            for (id, nth) in ids.into_iter().zip(0..) {
                let offset = base.map(|base| base + nth);
                self.context.history.record(&Event::Written { transaction, id, offset });
                // Compaction takes what is aborted, however new it is.
                if !plan.compacted {
                    self.context.history.record(&Event::Acked { id, log: log.clone(), offset });
                }
            }
            self.context.pause(dice.pick(&[0, 0, 0, 0, 1, 5, 5, 20, 50, 800]).millis()).await;
        }
        Ok(())
    }

    /// Reads what is committed, from anywhere.
    async fn read(&self, transaction: Transaction, topic: &Str, partition: i32) -> Result<(), Error> {
        let Context { history, dice, .. } = self.context;
        let mut fetcher = Fetcher::new(self.cluster, history, self.reader, topic);
        fetcher.isolation = Isolation::Committed;
        let (id, _) = fetcher.look_up().await?;
        let position = Offset(dice.between(0, self.context.made_by_others() / 2).cast_signed());
        fetcher.positions.insert(partition, position);
        history.record(&Event::ReadsFor { reader: self.reader, transaction });
        for _ in 0..dice.between(1, 3) {
            for (partition, code) in fetcher.fetch(id, dice, 0).await? {
                if code == ErrorCode::OffsetOutOfRange {
                    history.note(&format!("{transaction}: {topic}-{partition} is not so long"));
                    fetcher.rewind(partition).await?;
                    history.record(&Event::ReadsFor { reader: self.reader, transaction });
                }
            }
        }
        Ok(())
    }

    fn next_id(&self) -> Id {
        let producer = self.context.scenario.number_of(Extra::Transactor) + self.index;
        Id { producer, n: self.context.next_extra() }
    }

    async fn add(&self, producer: &Producer, log: &Log) -> Result<(), Error> {
        let topic = AddPartitionsToTxnTopic { name: log.topic.clone(), partitions: vec![log.partition] };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.id.clone(),
            v3_and_below_producer_id: producer.id.get(),
            v3_and_below_producer_epoch: producer.epoch.get(),
            v3_and_below_topics: vec![topic],
            ..AddPartitionsToTxnRequest::default()
        };
        let code = |response: &<AddPartitionsToTxnRequest as Request>::Response| {
            let results = response.results_by_topic_v3_and_below.iter();
            results
                .flat_map(|topic| &topic.results_by_partition)
                .map(|one| one.partition_error_code)
                .next()
                .unwrap_or(0)
        };
        self.ask(3, &request, code).await.map(drop)
    }

    /// Where the batch begins. A batch that was written before may be too old for the broker to tell.
    async fn produce(
        &self,
        producer: &mut Producer,
        log: &Log,
        records: &[ProducerRecord],
    ) -> Result<Option<Offset>, Error> {
        let sequence = producer.sequences.entry(log.clone()).or_default();
        let mut builder = BatchBuilder::new(BatchOptions {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: *sequence,
            transactional: true,
            ..BatchOptions::default()
        });
        for record in records {
            let header = |header: &client::Header| (header.key.as_bytes().to_vec(), header.value.clone());
            let headers: Vec<_> = record.headers.iter().map(header).collect();
            let headers: Vec<HeaderRef<'_>> =
                headers.iter().map(|(key, value)| HeaderRef { key, value: value.as_deref() }).collect();
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            let timestamp = record.timestamp.unwrap_or(-1);
            builder.append(&NewRecord { timestamp, key, value, headers: &headers }).expect("it fits");
        }
        let batch = builder.build().expect("it is not empty");
        let part = PartitionProduceData { index: log.partition, records: Some(RecordSet::from(batch)) };
        let topic = TopicProduceData {
            name: log.topic.clone(),
            partition_data: vec![part],
            ..TopicProduceData::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.id.clone()),
            acks: -1,
            timeout_ms: 2_000,
            topic_data: vec![topic],
        };
        let part = |response: &<ProduceRequest as Request>::Response| {
            let part = response.responses.first().and_then(|topic| topic.partition_responses.first());
            part.map_or((-1, -1), |part| (part.error_code, part.base_offset))
        };
        let version = if producer.second { 12 } else { 11 };
        let response = self.ask(version, &request, |response| part(response).0).await?;
        *sequence += i32::try_from(records.len()).unwrap_or(0);
        Ok(Some(Offset(part(&response).1)).filter(|base| *base >= Offset::ZERO))
    }

    async fn end(
        &self,
        producer: &mut Producer,
        transaction: Transaction,
        commit: bool,
    ) -> Result<(), Error> {
        let request = EndTxnRequest {
            transactional_id: self.id.clone(),
            producer_id: producer.id.get(),
            producer_epoch: producer.epoch.get(),
            committed: commit,
        };
        self.context.history.record(&Event::EndBegins { transaction, commit });
        let version = if producer.second { 5 } else { 3 };
        let response = self.ask(version, &request, |response| response.error_code).await?;
        self.context.history.record(&Event::Ended { transaction, commit });
        if producer.second {
            producer.id = ProducerId(response.producer_id);
            producer.epoch = ProducerEpoch(response.producer_epoch);
            producer.sequences.clear();
        }
        Ok(())
    }

    /// Asks until there is an answer that is none to ask again after.
    async fn ask<R: Request>(
        &self,
        version: i16,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, Error> {
        let mut last = Error::Invalid("nothing was asked".to_owned());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                // Not cut short by the end of the run: a transaction that is begun is ended.
                self.context.host.clock.sleep(self.context.dice.millis(5, 400)).await;
            }
            let answer = async {
                let connection = self.cluster.any().await?;
                connection.call_in(version, request, Duration::from_secs(2)).await
            };
            match answer.await {
                Ok(response) => match ErrorCode::from(code(&response)) {
                    ErrorCode::None => return Ok(response),
                    code if code.is_retriable() || code == ErrorCode::ConcurrentTransactions => {
                        last = Error::Invalid(format!("{} again and again", code.name()));
                    }
                    code => return Err(Error::Invalid(code.name().to_owned())),
                },
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

trait Millis {
    fn millis(self) -> Duration;
}

impl Millis for u64 {
    fn millis(self) -> Duration {
        Duration::from_millis(self)
    }
}
