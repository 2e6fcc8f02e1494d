//! `bourn consume`

mod failures;
mod from;
mod group;
mod template;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::bail;
use client::{Chunk, Cluster, Consumer, ConsumerOptions, Isolation, OutOfRange, Start, TopicPartition};
use host::Host;
use protocol::{ErrorCode, Str};

use self::failures::Failures;
pub(crate) use self::from::From;
use self::group::GroupArgs;
use self::template::Template;
use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Consume {
    topic: String,
    /// Where to begin: earliest, latest, an offset, -N for N before the end, a time as 2026-11-23T14:05Z, or @MS
    #[arg(long, value_name = "START", default_value = "earliest", allow_hyphen_values = true)]
    from: From,
    /// Read only these partitions
    #[arg(short, long = "partition", value_name = "PARTITION,...", value_delimiter = ',')]
    partitions: Vec<i32>,
    /// How a record is written: json, or text with %s value, %k key, %h headers, %t topic, %p partition, %o offset,
    /// %T timestamp, %S %K %H their sizes, \n \t \xHH
    #[arg(long, value_name = "FORMAT", default_value = "%s\\n", value_parser = Template::parse)]
    format: Template,
    /// Wait for new records instead of ending at the end
    #[arg(long)]
    follow: bool,
    /// End after so many records
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Leave out records of transactions that are open or were aborted
    #[arg(long)]
    committed: bool,
    #[command(flatten)]
    member: GroupArgs,
}

impl Consume {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let format = if globals.is_json() { Template::Json } else { self.format.clone() };
        if self.count == Some(0) {
            return Ok(());
        }
        globals.with_cluster(async |host, cluster| match &self.member.group {
            Some(group) => self.read_as_member(group, &host, &cluster, &format).await,
            None => self.read(&host, &cluster, &format).await,
        })
    }

    fn options(&self) -> ConsumerOptions {
        ConsumerOptions {
            until_end: !self.follow,
            // A start that is given is meant.
            out_of_range: OutOfRange::Fail,
            isolation: if self.committed { Isolation::Committed } else { Isolation::Uncommitted },
            patience: if self.follow { None } else { Some(Duration::from_secs(60)) },
            ..ConsumerOptions::default()
        }
    }

    async fn read(&self, host: &Host, cluster: &Cluster, format: &Template) -> anyhow::Result<()> {
        let topic = Str::from(&self.topic);
        let count = cluster.topic(&topic, false).await.map_err(explain)?.partitions.len();
        let known = 0..i32::try_from(count).unwrap_or(i32::MAX);
        let partitions: Vec<i32> =
            if self.partitions.is_empty() { known.clone().collect() } else { self.partitions.clone() };
        if let Some(wrong) = partitions.iter().find(|partition| !known.contains(partition)) {
            bail!("topic {topic} has {count} partitions, from 0 on; there is no partition {wrong}");
        }
        let mut consumer = Consumer::new(cluster, self.options());
        let start = self.from.start();
        let keys: Vec<TopicPartition> =
            partitions.iter().map(|partition| TopicPartition::new(topic.clone(), *partition)).collect();
        let starts = keys.iter().map(|key| (key.clone(), start));
        consumer.assign(starts.collect()).await.map_err(explain)?;
        check_start(&consumer, &keys, start)?;
        self.copy(host, &mut consumer, format).await
    }

    async fn copy(&self, host: &Host, consumer: &mut Consumer, format: &Template) -> anyhow::Result<()> {
        let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut failures = Failures::default();
        loop {
            // What is there is shown before more is waited for.
            let chunk = match consumer.poll(FLUSH_AFTER).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) if !self.follow && consumer.is_at_end() => break,
                Ok(None) => {
                    output::written(out.flush())?;
                    failures.look(host.now(), consumer, self.follow)?;
                    continue;
                }
                Err(error) => {
                    output::written(out.flush())?;
                    return Err(fetch_error(error));
                }
            };
            failures.look(host.now(), consumer, self.follow)?;
            let Chunk { partition, records, .. } = chunk;
            for record in records.iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                output::written(format.write(&mut out, &partition, record))?;
            }
            left = left.saturating_sub(records.len() as u64);
            if left == 0 {
                break;
            }
            if self.follow {
                output::written(out.flush())?;
            }
        }
        output::written(out.flush())
    }
}

/// An offset that no partition has reached yet is a mistake; that some have not is none.
fn check_start(consumer: &Consumer, keys: &[TopicPartition], start: Start) -> anyhow::Result<()> {
    let Start::Offset(offset) = start else { return Ok(()) };
    let ends = keys.iter().filter_map(|key| consumer.end(key).map(|end| (key, end)));
    match ends.max_by_key(|(_, end)| *end) {
        Some((key, end)) if end < offset => bail!(
            "there is no offset {offset} yet, the furthest end is that of {key}, {end}; read from `--from earliest`, \
             or `--from -N` for the last N records"
        ),
        _ => Ok(()),
    }
}

const BUFFER: usize = 256 << 10;
const FLUSH_AFTER: Duration = Duration::from_millis(100);

fn fetch_error(error: client::Error) -> anyhow::Error {
    match error.code() {
        Some(ErrorCode::OffsetOutOfRange) => {
            anyhow::anyhow!("{error}; read from `--from earliest`, or deleted records were asked for")
        }
        _ => explain(error),
    }
}
