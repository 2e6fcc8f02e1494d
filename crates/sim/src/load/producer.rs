//! Writes bursts of records, and tells what became of each.

use std::time::Duration;

use client::{Producer, ProducerOptions};

use super::{Context, Working};
use crate::event::{Event, Log};
use crate::scenario::ProducerPlan;
use crate::value::Id;

/// After so many failures in a row the producer is made anew, as applications do.
const FAILURES_MAX: u64 = 20;

pub(super) async fn run(context: Context, index: usize) {
    let Some(plan) = context.scenario.producers.get(index).cloned() else { return };
    while !context.is_stopped() {
        let producer = start(&context, &plan);
        context.history.record(&Event::ProducerBegins { producer: index, n: context.made(index) });
        let partitions = context.partitions(plan.topic).unsigned_abs() as usize;
        let failures = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        while !context.is_stopped() && failures.load(std::sync::atomic::Ordering::Relaxed) < FAILURES_MAX {
            for _ in 0..context.dice.between(1, plan.burst) {
                if context.made(index) >= plan.records_max {
                    break;
                }
                let id = Id { producer: index, n: context.next_number(index) };
                send(&context, &producer, id, (&plan, partitions), &failures).await;
            }
            context.pause(context.dice.millis(1, plan.pause_ms)).await;
            if context.dice.between(0, 999) == 0 {
                break;
            }
        }
        // What is left of it goes on in the background.
        context.history.note(&format!("p{index} leaves its producer"));
    }
}

fn start(context: &Context, plan: &ProducerPlan) -> Producer {
    let options = ProducerOptions {
        acks: plan.acks,
        idempotence: plan.idempotent,
        compression: plan.codec.into(),
        batch_bytes: plan.batch_bytes,
        linger: plan.linger,
        buffer_bytes: plan.buffer_bytes,
        block_max: Duration::from_secs(10),
        in_flight_max: plan.in_flight,
        delivery_timeout: plan.delivery_timeout,
        create_topics: false,
        ..ProducerOptions::default()
    };
    Producer::start(&context.cluster(), options).expect("options of our own")
}

async fn send(
    context: &Context,
    producer: &Producer,
    id: Id,
    (plan, partitions): (&ProducerPlan, usize),
    failures: &std::sync::Arc<std::sync::atomic::AtomicU64>,
) {
    use std::sync::atomic::Ordering::Relaxed;
    let Some(topic) = context.scenario.topics.get(plan.topic) else { return };
    let partition = i32::try_from(context.dice.index(partitions)).unwrap_or(0);
    let log = Log { topic: topic.name.clone(), partition };
    context.history.record(&Event::Sent { id, log: log.clone() });
    let delivery =
        match producer.send(id.record(&topic.name, partition, plan.value_bytes, topic.compacted)).await {
            Ok(delivery) => delivery,
            Err(error) => {
                failures.fetch_add(1, Relaxed);
                context.history.record(&Event::Failed { id, error: error.to_string() });
                return;
            }
        };
    let (history, failures) = (context.history.clone(), failures.clone());
    let working = Working::begin(context);
    context.host.spawn(host::Place::Control, "delivery", async move {
        match delivery.await {
            Ok(delivered) => {
                failures.store(0, Relaxed);
                history.record(&Event::Acked { id, log, offset: delivered.offset.known() });
            }
            Err(error) => {
                failures.fetch_add(1, Relaxed);
                history.record(&Event::Failed { id, error: error.to_string() });
            }
        }
        drop(working);
    });
}
