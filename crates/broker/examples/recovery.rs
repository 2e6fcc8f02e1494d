//! Measures a start after `kill -9`:
//! `cargo run --release -p bourn-broker --example recovery -- DIR [MB] [PARTITIONS] [JOURNAL_MIB]`.
//!
//! A child process writes MB megabytes (10,000) in batches of 16 KiB to PARTITIONS partitions (1,000), acks=all, and is
//! killed while it writes. The journal has JOURNAL_MIB at most (256). Then this process opens the directory, three times,
//! and says how long that took and what was found.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use broker::shard::{Acks, Append, PartitionSpec, Shards, ShardsOptions};
use host::{Host, real};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use storage::{LogConfig, PartitionKey};

/// Partitions that one request writes to.
const AT_ONCE: usize = 50;
const VALUE_BYTES: usize = 16_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |n: usize, default: &str| arguments.get(n).map_or(default.to_owned(), String::clone);
    let dir = PathBuf::from(argument(0, "."));
    let (megabytes, partitions) =
        (argument(1, "10000").parse().unwrap(), argument(2, "1000").parse().unwrap());
    let journal_mib: u64 = argument(3, "256").parse().unwrap();
    let options = ShardsOptions {
        log_dirs: vec![dir.join("recovery")],
        journal_bytes_max: journal_mib << 20,
        ..ShardsOptions::default()
    };
    if argument(4, "") == "fill" {
        real::run(real::Options::default(), |host| fill(host, options, megabytes, partitions)).unwrap();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&argument(0, "."), &megabytes.to_string(), &partitions.to_string()])
        .args([&journal_mib.to_string(), "fill"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        println!("{line}");
        if line.starts_with("filled") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for _ in 0..3 {
        let began = Instant::now();
        let options = options.clone();
        let found = real::run(real::Options::default(), |host| async move {
            let shards = Shards::start(&host, options).await.unwrap();
            (shards.recovery().clone(), began.elapsed())
        });
        let (recovery, elapsed) = found.unwrap();
        println!("started in {elapsed:.2?}: {recovery:?}");
    }
}

fn key(partition: usize) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::ONE), partition: partition as i32 }
}

async fn fill(host: Host, options: ShardsOptions, megabytes: usize, partitions: usize) {
    let shards = Shards::start(&host, options).await.unwrap();
    let opens = (0..partitions).map(|partition| {
        let (topic, config) = (Arc::from("bench"), Arc::new(LogConfig::default()));
        shards.open(PartitionSpec { key: key(partition), topic, leader_epoch: LeaderEpoch(0), config })
    });
    for open in opens.collect::<Vec<_>>() {
        open.await.unwrap();
    }
    let value = vec![7; VALUE_BYTES];
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(&NewRecord { timestamp: 1, value: Some(&value), ..NewRecord::default() }).unwrap();
    let batch = builder.build_valid().unwrap();
    let began = Instant::now();
    let mut under_way = std::collections::VecDeque::new();
    let (mut written, mut next, mut said) = (0, 0, false);
    loop {
        let appends =
            (0..AT_ONCE).map(|n| Append { key: key((next + n) % partitions), batch: batch.clone() });
        under_way.push_back(shards.append(Acks::All, appends.collect()));
        next += AT_ONCE;
        if under_way.len() < 8 {
            continue;
        }
        for (_, result) in under_way.pop_front().unwrap().await {
            result.unwrap();
            written += VALUE_BYTES;
        }
        if !said && written / 1_000_000 >= megabytes {
            said = true;
            println!("filled {megabytes} MB in {:.1?}", began.elapsed());
        }
    }
}
