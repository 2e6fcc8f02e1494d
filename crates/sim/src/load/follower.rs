//! Writes to the topics of the admin client and reads them, while they are deleted and made again.
//!
//! Each life of a topic is a log of its own for the checkers: `<name>/<id>`.

use std::time::Duration;

use client::{Producer, ProducerOptions};
use protocol::{Offset, Str};

use super::Context;
use super::fetch::Fetcher;
use crate::event::{Event, Log};
use crate::scenario::Extra;
use crate::value::Id;

pub(super) async fn run(context: Context) {
    let cluster = context.cluster();
    let reader = context.reader();
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(5),
        block_max: Duration::from_secs(2),
        create_topics: false,
        ..ProducerOptions::default()
    };
    let producer = Producer::start(&cluster, options).expect("options of our own");
    while !context.is_stopped() {
        let name = Str::from(format!("short{}", context.dice.index(3)));
        let mut fetcher = Fetcher::new(&cluster, &context.history, reader, &name);
        if let Ok((id, partitions)) = fetcher.look_up().await {
            fetcher.called = Str::from(format!("{name}/{id}"));
            fetcher.positions = (0..partitions).map(|partition| (partition, Offset::ZERO)).collect();
            for _ in 0..context.dice.between(1, 10) {
                write(&context, &producer, &name, partitions).await;
                if fetcher.fetch(id, &context.dice, 10).await.is_ok_and(|refused| !refused.is_empty()) {
                    break;
                }
            }
        }
        context.pause(context.dice.millis(1, 300)).await;
    }
}

/// Sends a few records and waits for some of the answers.
async fn write(context: &Context, producer: &Producer, name: &Str, partitions: i32) {
    let mut deliveries = Vec::new();
    for _ in 0..context.dice.between(0, 5) {
        let partition = context.dice.index(partitions.unsigned_abs() as usize);
        let partition = i32::try_from(partition).unwrap_or(0);
        let id = Id { producer: context.scenario.number_of(Extra::Follower), n: context.next_extra() };
        let log = Log { topic: name.clone(), partition };
        context.history.record(&Event::Sent { id, log: log.clone() });
        match producer.send(id.record(name, partition, None, false)).await {
            Ok(delivery) => deliveries.push((id, log, delivery)),
            Err(error) => context.history.record(&Event::Failed { id, error: error.to_string() }),
        }
    }
    for (id, log, delivery) in deliveries {
        match delivery.await {
            // The offset is one of whichever life the topic has.
            Ok(_) => context.history.record(&Event::Acked { id, log, offset: None }),
            Err(error) => context.history.record(&Event::Failed { id, error: error.to_string() }),
        }
    }
}
