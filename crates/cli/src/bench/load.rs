//! [`Load`]: the records that are written: what they look like, where they go, and the loop that writes them.

use std::time::Duration;

use bytes::Bytes;
use client::{Acks, Admin, Cluster, ProducerOptions, ProducerRecord};
use host::{Host, Place, real};
use protocol::records::Compression;
use protocol::{ErrorCode, Str};

use super::lane::Lane;
use super::plan::Schedule;
use super::progress::Progress;
use super::tally::{Shared, Tally, Times, sum};
use crate::context::{Globals, explain};
use crate::output;
use crate::produce::{AcksName, compression};
use crate::topic::name_value;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Load {
    /// Where to write; made if it is not there
    #[arg(default_value = "bench")]
    pub(super) topic: String,
    /// Partitions of a topic that is made
    #[arg(short, long, value_name = "COUNT", default_value_t = 6, value_parser = clap::value_parser!(i32).range(1..))]
    pub(super) partitions: i32,
    /// Replicas of a topic that is made; the broker's default if not given
    #[arg(short, long, value_name = "COUNT", value_parser = clap::value_parser!(i16).range(1..))]
    pub(super) replication_factor: Option<i16>,
    /// A config of a topic that is made; may be repeated
    #[arg(short, long = "config", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(super) configs: Vec<(String, String)>,
    /// Bytes of the value of a record, which are random letters; records have no key
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=64 << 20))]
    pub(super) record_size: u32,
    /// Producers, each with its own connections, on as many threads as there are cores
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) connections: u16,
    /// Who must have a record before it counts as written
    #[arg(long, value_enum, default_value_t = AcksName::All, value_name = "ACKS")]
    pub(super) acks: AcksName,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd; zstd:19 for a level
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = compression)]
    pub(super) compression: Compression,
    /// How many bytes of records one batch collects
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10)]
    pub(super) batch_bytes: usize,
    /// How long a batch waits to fill [default: 5; 0 for latency]
    #[arg(long, value_name = "MS")]
    pub(super) linger_ms: Option<u64>,
    /// What each producer keeps in memory before it waits
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    pub(super) buffer_bytes: usize,
    /// How long a record is tried
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(super) delivery_timeout_ms: u64,
}

/// What the loop has done.
pub(super) struct Written {
    pub(super) tally: Tally,
    /// How late records were handed to their producers: what this program could not keep up with, or the producers'
    /// buffers had no room for.
    pub(super) late: Times,
}

impl Load {
    pub(super) fn producer(&self, linger_ms: u64) -> ProducerOptions {
        let acks = self.acks.acks();
        let record = self.record_size as usize + (64 << 10);
        ProducerOptions {
            acks,
            idempotence: acks == Acks::All,
            compression: self.compression,
            batch_bytes: self.batch_bytes,
            linger: Duration::from_millis(linger_ms),
            delivery_timeout: Duration::from_millis(self.delivery_timeout_ms),
            block_max: Duration::from_millis(self.delivery_timeout_ms),
            request_bytes_max: record.max(4 << 20),
            buffer_bytes: self.buffer_bytes.max(record * 2).max(self.batch_bytes),
            create_topics: false,
            ..ProducerOptions::default()
        }
    }

    /// Threads beside the one that writes.
    pub(super) fn threads(&self) -> usize {
        threads_for(self.connections)
    }

    /// Makes the topic if it is not there, and says how many partitions it has.
    pub(super) async fn prepare(&self, cluster: &Cluster) -> anyhow::Result<usize> {
        let name = Str::from(&self.topic);
        let config = |(name, value): &(String, String)| (Str::from(name), Str::from(value));
        let topic = client::admin::NewTopic {
            name: name.clone(),
            partitions: Some(self.partitions),
            replication_factor: self.replication_factor,
            configs: self.configs.iter().map(config).collect(),
            ..client::admin::NewTopic::default()
        };
        let exists = |error: &client::Error| error.code() == Some(ErrorCode::TopicAlreadyExists);
        match cluster.topic(&name, false).await {
            Ok(topic) => return Ok(topic.partitions.len()),
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
            Err(error) => return Err(explain(error)),
        }
        for (_, result) in Admin::new(cluster).create_topics(&[topic], false).await.map_err(explain)? {
            match result {
                Err(error) if !exists(&error) => return Err(explain(error)),
                _ => {}
            }
        }
        // `true` also waits for what is being made.
        Ok(cluster.topic(&name, true).await.map_err(explain)?.partitions.len())
    }

    pub(super) fn lanes(
        &self,
        globals: &Globals,
        host: &Host,
        partitions: usize,
        options: &ProducerOptions,
    ) -> anyhow::Result<Vec<Lane>> {
        let lane = |number: u16| {
            Lane::start(globals, host, Place::Shard(usize::from(number)), partitions, options.clone())
        };
        (0..self.connections).map(lane).collect()
    }
}

/// As many as are of use.
pub(super) fn threads_for(connections: u16) -> usize {
    usize::from(connections).min(real::Options::default().shards)
}

/// Writes from this thread until the schedule ends; `value` makes the value of the record of a number.
///
/// Records go to the partitions in turn, as records with many keys would; a partition belongs to one producer if there
/// are no more producers than partitions.
pub(super) async fn write(
    host: &Host,
    topic: &Str,
    (lanes, partitions): (Vec<Lane>, usize),
    schedule: Schedule,
    mut value: impl FnMut(u64) -> Bytes,
) -> anyhow::Result<Written> {
    let tallies: Vec<Shared> = lanes.iter().map(|lane| lane.tally().clone()).collect();
    let progress = Progress::start(host, schedule, tallies);
    let streams = lanes.len().max(partitions) as u64;
    let (mut number, mut counted) = (0_u64, 0_u64);
    let mut late = Times::new();
    loop {
        let now = host.now();
        let due = schedule.due(number).unwrap_or(now);
        if !schedule.goes_on(due, counted) {
            break;
        }
        if due > now {
            // Blocks this thread: the timers of a reactor are too coarse, and nothing else runs here.
            real::block_for(due.since(now));
        }
        let stream = index(number % streams);
        let partition = stream % partitions.max(1);
        let Some(lane) = lanes.get(stream % lanes.len().max(1)) else { break };
        let value = value(number);
        let bytes = value.len() as u64;
        let record = ProducerRecord::new(topic.clone())
            .partition(i32::try_from(partition).unwrap_or(i32::MAX))
            .value(value);
        let is_counted = schedule.is_counted(due);
        lane.send(record, (partition, bytes), (due, is_counted)).await?;
        if is_counted {
            late.add(host.now().since(due));
            counted += 1;
        }
        number += 1;
    }
    let mut done = Vec::new();
    for lane in lanes {
        done.push(lane.finish().await?);
    }
    progress.finish();
    Ok(Written { tally: sum(&done), late })
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// Random letters, as Kafka's own benchmark writes; cut at another place for every record.
pub(super) struct Letters {
    text: Bytes,
    size: usize,
}

impl Letters {
    const VARIETY: usize = 1 << 20;

    pub(super) fn new(host: &Host, size: usize) -> Self {
        let mut text = vec![0; size + Self::VARIETY];
        host.rng.fill(&mut text);
        text.iter_mut().for_each(|byte| *byte = b'A' + *byte % 26);
        Self { text: text.into(), size }
    }

    pub(super) fn cut(&self, number: u64) -> Bytes {
        // A large prime, so that neighbours have nothing in common.
        let at = index(number.wrapping_mul(1_000_003) % Self::VARIETY as u64);
        self.text.slice(at..at + self.size)
    }
}

impl Load {
    /// What is written, on one line for people.
    pub(super) fn sentence(&self, partitions: usize, linger_ms: u64) -> String {
        format!(
            "{} in {}, {}, values of {}, acks={}, compression {}, batches of {} or {linger_ms} ms",
            self.topic,
            output::counted(partitions as u64, "partition"),
            output::counted(u64::from(self.connections), "producer"),
            output::bytes(u64::from(self.record_size)),
            self.acks.name(),
            self.compression.codec.name(),
            output::bytes(self.batch_bytes as u64),
        )
    }
}
