//! Follows topics by raw fetches, now and then again from the beginning or from somewhere it has been, and looks offsets
//! up by time.

use client::{Admin, Cluster, Error, Isolation, OffsetSpec, TopicPartition};
use protocol::{ErrorCode, Offset};

use super::Context;
use super::fetch::Fetcher;
use crate::event::{Event, Reader};
use crate::value::Id;

/// Partitions that are read at once.
const PARTITIONS_MAX: usize = 50;

pub(super) async fn run(context: Context) {
    let cluster = context.cluster();
    let reader = context.reader();
    while !context.is_stopped() {
        let topic = context.dice.index(context.scenario.topics.len());
        follow(&context, &cluster, reader, topic).await;
    }
}

/// Reads one topic for a while.
async fn follow(context: &Context, cluster: &Cluster, reader: Reader, topic: usize) {
    let Some(plan) = context.scenario.topics.get(topic) else { return };
    let mut fetcher = Fetcher::new(cluster, &context.history, reader, &plan.name);
    if context.scenario.transactors > 0 && context.dice.chance(60) {
        fetcher.isolation = Isolation::Committed;
    }
    let Ok((id, _)) = fetcher.look_up().await else {
        context.pause(context.dice.millis(10, 500)).await;
        return;
    };
    let partitions = context.partitions(topic).unsigned_abs() as usize;
    let first = context.dice.index(partitions.saturating_sub(PARTITIONS_MAX) + 1);
    for partition in (first..partitions).take(PARTITIONS_MAX) {
        fetcher.positions.insert(i32::try_from(partition).unwrap_or(0), Offset::ZERO);
    }
    context.history.record(&Event::Sought { reader });
    for _ in 0..context.dice.between(5, 200) {
        if context.is_stopped() {
            return;
        }
        let wait_ms = i32::try_from(context.dice.pick(&[0_u32, 10, 500])).unwrap_or(0);
        match fetcher.fetch(id, &context.dice, wait_ms).await {
            Ok(refused) => {
                let pause = !refused.is_empty();
                for refusal in refused {
                    refused_one(&mut fetcher, refusal).await;
                }
                if pause {
                    context.pause(context.dice.millis(5, 200)).await;
                }
            }
            Err(_) => context.pause(context.dice.millis(5, 300)).await,
        }
        if context.dice.chance(3) {
            for position in fetcher.positions.values_mut() {
                let back = context.dice.between(0, position.get().unsigned_abs());
                *position = Offset(back.cast_signed());
            }
            context.history.record(&Event::Sought { reader });
        }
        if context.dice.chance(5)
            && let Err(error) = look_up_by_time(context, &fetcher, topic).await
        {
            context.history.note(&format!("r{reader}: {error}"));
        }
        context.pause(context.dice.millis(0, 50)).await;
    }
}

async fn refused_one(fetcher: &mut Fetcher, (partition, code): (i32, ErrorCode)) {
    let log = fetcher.log(partition);
    let position = fetcher.positions.get(&partition).copied();
    if code == ErrorCode::OffsetOutOfRange
        && let Some(position) = position
    {
        fetcher.history.record(&Event::OutOfRange { reader: fetcher.reader, log, position });
        if let Err(error) = fetcher.rewind(partition).await {
            fetcher.history.note(&format!("r{}: {error}", fetcher.reader));
        }
    } else {
        fetcher.history.note(&format!("r{}: {log}: {}", fetcher.reader, code.name()));
    }
}

/// Asks for the first record at or after some time, as consumers do that start from one.
async fn look_up_by_time(context: &Context, fetcher: &Fetcher, topic: usize) -> Result<(), Error> {
    let writers = context.scenario.producers.iter().enumerate().filter(|(_, plan)| plan.topic == topic);
    let latest = writers.map(|(producer, _)| context.made(producer)).max().unwrap_or(0);
    let timestamp = Id { producer: 0, n: context.dice.between(0, latest + latest / 10) }.timestamp();
    let partition = context.dice.index(fetcher.positions.len());
    let Some((partition, _)) = fetcher.positions.iter().nth(partition) else { return Ok(()) };
    let end = fetcher.high_watermarks.get(partition).copied().unwrap_or_default();
    let asked = TopicPartition::new(fetcher.topic.clone(), *partition);
    let admin = Admin::new(&fetcher.cluster);
    let answers = admin.list_offsets([(asked, OffsetSpec::Timestamp(timestamp))], Isolation::default());
    for answer in answers.await?.into_values() {
        let (log, found) = (fetcher.log(*partition), answer?.offset);
        context.history.record(&Event::FoundByTime { log, timestamp, end, found });
    }
    Ok(())
}
