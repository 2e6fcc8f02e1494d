//! Reads everything with the consumer of the client library, from the earliest offset on, and now and then again.

use std::time::Duration;

use client::{Consumer, ConsumerOptions, Error, Isolation, OutOfRange, Start, TopicPartition};
use protocol::ErrorCode;

use super::{Context, seen};
use crate::event::{Event, Log, Reader};

pub(super) async fn run(context: Context) {
    let reader = context.reader();
    let cluster = context.cluster();
    while !context.is_stopped() {
        context.history.record(&Event::ReaderBegins { reader });
        let is_committed = context.scenario.transactors > 0 && context.dice.chance(60);
        let options = ConsumerOptions {
            wait_max: context.dice.millis(0, 500),
            fetch_bytes_max: context.dice.pick(&[1000, 100_000, 10 << 20]),
            partition_bytes_max: context.dice.pick(&[1, 10_000, 1 << 20]),
            out_of_range: OutOfRange::Fail,
            isolation: if is_committed { Isolation::Committed } else { Isolation::Uncommitted },
            ..ConsumerOptions::default()
        };
        let mut consumer = Consumer::new(&cluster, options);
        if let Err(error) = read(&context, &mut consumer, reader, is_committed).await {
            context.history.note(&format!("r{reader}: {error}"));
            report(&context, &consumer, reader, &error);
            context.pause(context.dice.millis(10, 1000)).await;
        }
    }
}

/// Reads until it is told to stop, or feels like beginning anew.
async fn read(
    context: &Context,
    consumer: &mut Consumer,
    reader: Reader,
    is_committed: bool,
) -> Result<(), Error> {
    let mut starts = Vec::new();
    for (index, topic) in context.scenario.topics.iter().enumerate() {
        for partition in 0..context.partitions(index) {
            starts.push((TopicPartition::new(topic.name.clone(), partition), Start::Earliest));
        }
    }
    consumer.assign(starts).await?;
    while !context.is_stopped() && !context.dice.chance(1) {
        let Some(chunk) = consumer.poll(Duration::from_millis(500)).await? else { continue };
        let log = Log { topic: chunk.partition.topic.clone(), partition: chunk.partition.partition };
        let (records, high_watermark) = (seen(&chunk.records), chunk.high_watermark);
        if is_committed {
            let (log, records) = (log.clone(), records.clone());
            context.history.record(&Event::Committed { reader, log, records });
        }
        context.history.record(&Event::Chunk { reader, log, high_watermark, records });
    }
    Ok(())
}

/// Some errors must never be.
fn report(context: &Context, consumer: &Consumer, reader: Reader, error: &Error) {
    if matches!(error, Error::Corrupt { .. } | Error::Malformed { .. }) {
        context.history.violate("what is read is what was sent", error.to_string());
    }
    if error.code() != Some(ErrorCode::OffsetOutOfRange) {
        return;
    }
    for (index, topic) in context.scenario.topics.iter().enumerate() {
        for partition in 0..context.partitions(index) {
            let log = Log { topic: topic.name.clone(), partition };
            let subject = format!("{}-{partition}:", topic.name);
            let position = consumer.position(&TopicPartition::new(topic.name.clone(), partition));
            if let Some(position) = position.filter(|_| error.to_string().starts_with(&subject)) {
                context.history.record(&Event::OutOfRange { reader, log, position });
            }
        }
    }
}
