//! Makes, fills, grows, lists and deletes topics, and asks for producer ids.

use std::time::Duration;

use client::admin::NewTopic;
use client::{Admin, Cluster, Error, Isolation, OffsetSpec, Producer, ProducerOptions, TopicPartition};
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::{ErrorCode, Offset, ProducerId, Str, TopicId};

use super::Context;
use crate::event::{Event, Log};
use crate::scenario::Extra;
use crate::value::Id;

/// Partitions to which a topic of the scenario grows.
const PARTITIONS_MAX: i32 = 12;

struct Hand {
    context: Context,
    cluster: Cluster,
    admin: Admin,
    reader: usize,
    /// Topics that are there, as far as is known. One whose change had no answer is looked up again.
    topics: Vec<(Str, TopicId)>,
}

pub(super) async fn run(context: Context) {
    let cluster = context.cluster();
    let admin = Admin::new(&cluster).with_timeout(Duration::from_secs(2));
    let reader = context.reader();
    let mut hand = Hand { context, cluster, admin, reader, topics: Vec::new() };
    while !hand.context.is_stopped() {
        let result = match hand.context.dice.index(6) {
            0 | 1 if hand.topics.len() < 3 => hand.make().await,
            2 | 3 if !hand.topics.is_empty() => hand.delete().await,
            4 => hand.grow().await,
            5 => hand.ask_for_id().await,
            _ => hand.list().await,
        };
        if let Err(error) = result {
            hand.context.history.note(&format!("admin: {error}"));
        }
        hand.context.pause(hand.context.dice.skewed_millis(5, 2000)).await;
    }
}

impl Hand {
    /// Names are used again on purpose.
    async fn make(&mut self) -> Result<(), Error> {
        let name = Str::from(format!("short{}", self.context.dice.index(3)));
        if self.topics.iter().any(|(taken, _)| *taken == name) {
            return Ok(());
        }
        let partitions = i32::try_from(self.context.dice.between(1, 3)).unwrap_or(1);
        let topic = NewTopic { name: name.clone(), partitions: Some(partitions), ..NewTopic::default() };
        let made = self.admin.create_topics(&[topic], false).await?;
        let id = match made.into_iter().next() {
            Some((_, Ok(made))) => made.id,
            // Some earlier attempt, or one whose deletion was never answered.
            Some((_, Err(error))) if error.code() == Some(ErrorCode::TopicAlreadyExists) => {
                return self.list().await;
            }
            Some((_, Err(error))) => return Err(error),
            None => return Ok(()),
        };
        self.context.history.record(&Event::TopicMade { topic: name.clone(), id });
        self.topics.push((name.clone(), id));
        let ends =
            (0..partitions).map(|index| (TopicPartition::new(name.clone(), index), OffsetSpec::Latest));
        for (partition, end) in
            self.admin.list_offsets(ends.collect::<Vec<_>>(), Isolation::default()).await?
        {
            let end = end?.offset.unwrap_or(Offset::ZERO);
            // Somebody else may write to it already.
            if end != Offset::ZERO && !self.context.scenario.follower {
                let log = Log { topic: partition.topic, partition: partition.partition };
                self.context.history.record(&Event::NotEmpty { log, end });
            }
        }
        self.fill(&name, partitions).await
    }

    async fn fill(&mut self, name: &Str, partitions: i32) -> Result<(), Error> {
        let options = ProducerOptions {
            delivery_timeout: Duration::from_secs(5),
            create_topics: false,
            ..ProducerOptions::default()
        };
        let producer = Producer::start(&self.cluster, options)?;
        let mut deliveries = Vec::new();
        for _ in 0..self.context.dice.between(1, 30) {
            let partitions = usize::try_from(partitions).unwrap_or(1);
            let partition = i32::try_from(self.context.dice.index(partitions)).unwrap_or(0);
            let number = self.context.scenario.number_of(Extra::Admin);
            let id = Id { producer: number, n: self.context.next_extra() };
            let log = Log { topic: name.clone(), partition };
            self.context.history.record(&Event::Sent { id, log });
            deliveries.push(producer.send(id.record(name, partition, None, false)).await?);
        }
        for delivery in deliveries {
            delivery.await?;
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), Error> {
        let index = self.context.dice.index(self.topics.len());
        let (name, id) = self.topics.swap_remove(index);
        match self.admin.delete_topics(std::slice::from_ref(&name)).await?.into_iter().next() {
            Some((_, Ok(()))) => self.context.history.record(&Event::TopicDeleted { topic: name, id }),
            Some((_, Err(error))) => return Err(error),
            None => {}
        }
        Ok(())
    }

    async fn grow(&mut self) -> Result<(), Error> {
        let index = self.context.dice.index(self.context.scenario.topics.len());
        let Some(plan) = self.context.scenario.topics.get(index) else { return Ok(()) };
        let count = self.context.partitions(index) + 1;
        if count > PARTITIONS_MAX {
            return Ok(());
        }
        let grown = self.admin.create_partitions(&[(plan.name.clone(), count)], false).await?;
        let described = self.admin.describe_topics(std::slice::from_ref(&plan.name)).await?;
        let partitions = described.into_iter().next().map(|(_, topic)| topic).transpose()?;
        let found = partitions.map_or(0, |topic| i32::try_from(topic.partitions.len()).unwrap_or(0));
        if grown.iter().all(|(_, result)| result.is_ok()) && found < count {
            let text = format!("{} was grown to {count} partitions and has {found}", plan.name);
            self.context.history.violate("a change that was answered stays", text);
        }
        self.context.has_grown(index, found);
        Ok(())
    }

    async fn ask_for_id(&mut self) -> Result<(), Error> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..InitProducerIdRequest::default()
        };
        let response = self.cluster.any().await?.call(&request).await?;
        if ErrorCode::from(response.error_code) == ErrorCode::None {
            let id = ProducerId(response.producer_id);
            self.context.history.record(&Event::ProducerIdGiven { id });
        }
        Ok(())
    }

    async fn list(&mut self) -> Result<(), Error> {
        self.context.history.record(&Event::ListBegins { reader: self.reader });
        let listed = self.admin.list_topics().await?;
        let topics: Vec<(Str, TopicId)> = listed.into_iter().map(|topic| (topic.name, topic.id)).collect();
        let is_ours = |(name, _): &&(Str, TopicId)| name.as_str().starts_with("short");
        let found: Vec<(Str, TopicId)> = topics.iter().filter(is_ours).cloned().collect();
        if let Some(missing) = self.topics.iter().find(|topic| !found.contains(topic)) {
            let text = format!("{}, {}, was made and is not listed", missing.0, missing.1);
            self.context.history.violate("a change that was answered stays", text);
        }
        self.topics = found;
        self.context.history.record(&Event::Listed { reader: self.reader, topics });
        Ok(())
    }
}
