//! Shards on the real machine: how fast they append, and how soon they are ready again after a kill.
//!
//! ```text
//! cargo bench -p bourn-broker --bench shards -- fill DIR [partitions] [MiB]     appends, then dies without a stop
//! cargo bench -p bourn-broker --bench shards -- start DIR                       starts over it, reads, stops
//! cargo bench -p bourn-broker --bench shards -- latency DIR [clients] [seconds] small appends with acks=all
//! ```
//!
//! Without arguments (as `cargo bench` and `cargo test` run it) it fills and starts a small directory of its own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use broker::shard::{Acks, Append, PartitionSpec, Read, Shards, ShardsOptions};
use host::real::{self, Options};
use host::{Host, Instant, Place};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, Offset, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, NewRecord, ValidBatch};
use storage::{LogConfig, PartitionKey};

/// Appends that are under way at once while filling.
const IN_FLIGHT: usize = 64;

fn key(partition: usize) -> PartitionKey {
    let topic_id = TopicId(Uuid::from_bytes(*b"benchmark of it!"));
    PartitionKey { topic_id, partition: i32::try_from(partition).unwrap() }
}

fn batch(records: usize, bytes: usize) -> ValidBatch {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let mut value = vec![0_u8; bytes];
    for (n, byte) in value.iter_mut().enumerate() {
        *byte = u8::try_from(n * 7 % 251).unwrap();
    }
    for n in 0..records {
        let timestamp = 1_700_000_000_000 + i64::try_from(n).unwrap();
        builder.append(&NewRecord { timestamp, value: Some(&value), ..NewRecord::default() }).unwrap();
    }
    builder.build_valid().unwrap()
}

async fn start(host: &Host, dir: &Path) -> Shards {
    let options = ShardsOptions { log_dirs: vec![dir.to_path_buf()], ..ShardsOptions::default() };
    let shards = Shards::start(host, options).await.unwrap();
    println!("recovered: {:?}", shards.recovery());
    shards
}

/// Opens and leads all partitions.
async fn open(shards: &Shards, partitions: usize, epoch: i32) {
    let config = Arc::new(LogConfig { segment_bytes: 16 << 20, ..LogConfig::default() });
    let open = |partition| {
        let (topic, config) = (Arc::from("bench"), config.clone());
        shards.open(PartitionSpec {
            key: key(partition),
            topic,
            leader_epoch: LeaderEpoch(epoch),
            config,
            directory: Uuid::ZERO,
        })
    };
    for opening in (0..partitions).map(open).collect::<Vec<_>>() {
        opening.await.unwrap();
    }
}

fn seconds(host: &Host, since: Instant) -> f64 {
    host.now().since(since).as_secs_f64()
}

async fn fill(host: &Host, dir: &Path, partitions: usize, mib: usize) {
    let shards = start(host, dir).await;
    open(&shards, partitions, 0).await;
    let batch = batch(64, 1000);
    let count = (mib << 20) / batch.size();
    let began = host.now();
    let mut under_way = std::collections::VecDeque::new();
    for n in 0..count {
        if under_way.len() == IN_FLIGHT {
            let first: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = under_way.pop_front().unwrap();
            for (_, result) in first.await {
                let result: Result<_, broker::shard::Refusal> = result;
                result.unwrap();
            }
        }
        // As from a socket: every batch in memory of its own.
        let append = Append::trusted(key(n % partitions), batch.copied_out());
        under_way.push_back(Box::pin(shards.append(Acks::All, vec![append])));
    }
    for append in under_way {
        append.await;
    }
    let time = seconds(host, began);
    println!("appended {mib} MiB to {partitions} partitions in {time:.2} s, {:.0} MiB/s", mib as f64 / time);
}

async fn start_again(host: &Host, dir: &Path) {
    let began = host.now();
    let shards = start(host, dir).await;
    let partitions = shards.recovery().partitions;
    let started = seconds(host, began);
    open(&shards, partitions, 1).await;
    println!(
        "{partitions} partitions recovered in {started:.3} s and led after {:.3} s",
        seconds(host, began)
    );
    let began = host.now();
    let mut bytes = 0;
    for partition in 0..partitions {
        let mut offset = Offset::ZERO;
        for _ in 0..4 {
            let read = Read {
                key: key(partition),
                offset,
                bytes_max: 1 << 20,
                current_leader_epoch: None,
                last_fetched_epoch: None,
                committed_only: false,
                from_file: false,
            };
            let reply = shards.read(vec![read], 1 << 20, true, None).await.remove(0);
            bytes += reply.records.len();
            offset += 64 * i64::try_from(reply.records.len() / 65_000).unwrap();
        }
    }
    println!("read {} MiB in regions of files in {:.3} s", bytes >> 20, seconds(host, began));
    let began = host.now();
    shards.stop().await;
    println!("stopped in {:.3} s", seconds(host, began));
}

async fn latency(host: &Host, dir: &Path, clients: usize, length: Duration) {
    let shards = start(host, dir).await;
    open(&shards, 16, 0).await;
    let end = host.now().after(length);
    let (count, (send, mut receive)) = (Arc::new(AtomicU64::new(0)), tokio::sync::mpsc::unbounded_channel());
    for client in 0..clients {
        let (shards, host, count, send) = (shards.clone(), host.clone(), count.clone(), send.clone());
        let batch = batch(1, 100);
        host.clone().spawn(Place::Shard(client), "client", async move {
            let mut times = Vec::new();
            while host.now() < end {
                let began = host.now();
                let append = Append::trusted(key(client % 16), batch.clone());
                shards.append(Acks::All, vec![append]).await.remove(0).1.unwrap();
                times.push(host.now().since(began));
                count.fetch_add(1, Ordering::Relaxed);
            }
            drop(send.send(times));
        });
    }
    drop(send);
    let mut all = Vec::new();
    while let Some(times) = receive.recv().await {
        all.extend(times);
    }
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    let rate = all.len() as f64 / length.as_secs_f64();
    println!(
        "{clients} clients: {rate:.0} appends/s, p50 {:?}, p99 {:?}, p99.9 {:?}",
        at(0.5),
        at(0.99),
        at(0.999)
    );
    shards.stop().await;
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |index: usize, default: usize| {
        arguments.get(index).map_or(default, |argument| argument.parse().expect("a number"))
    };
    let dir = PathBuf::from(arguments.get(1).map_or("", String::as_str));
    let options = Options::default();
    match arguments.first().map(String::as_str) {
        Some("fill") => {
            let (partitions, mib) = (number(2, 1000), number(3, 10 << 10));
            real::run(options, async |host| fill(&host, &dir, partitions, mib).await).unwrap();
            // As a kill: nobody has been told to stop.
            std::process::exit(0);
        }
        Some("start") => real::run(options, async |host| start_again(&host, &dir).await).unwrap(),
        Some("latency") => {
            let (clients, time) = (number(2, 16), Duration::from_secs(number(3, 5) as u64));
            real::run(options, async |host| latency(&host, &dir, clients, time).await).unwrap();
        }
        _ => {
            let dir = tempfile::tempdir().unwrap();
            real::run(Options::default(), async |host| fill(&host, dir.path(), 4, 8).await).unwrap();
            real::run(Options::default(), async |host| start_again(&host, dir.path()).await).unwrap();
        }
    }
}
