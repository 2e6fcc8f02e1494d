//! Measures a start after `kill -9`:
//! `cargo run --release -p bourn-broker --example recovery -- DIR [MB] [PARTITIONS] [JOURNAL_MIB]`.
//!
//! A child process writes MB megabytes (10,000) in batches of 16 KiB to PARTITIONS partitions (1,000), acks=all, and is
//! killed while it writes. The journal has JOURNAL_MIB at most (256). Then this process opens the directory, three times,
//! and says how long that took and what was found.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use broker::shard::{Acks, Append, PartitionSpec, Refusal, Shards, ShardsOptions};
use host::{Host, real};
use protocol::Uuid;
use protocol::ids::{LeaderEpoch, TopicId};
use protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use storage::{LogConfig, PartitionKey};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Partitions that one request writes to, and requests under way.
const AT_ONCE: i32 = 50;
const REQUESTS: usize = 8;
const VALUE_BYTES: usize = 16_000;

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |n: usize, default: &str| arguments.get(n).map_or(default, String::as_str).to_owned();
    let dir = argument(0, ".");
    let (megabytes, partitions, journal_mib) =
        (argument(1, "10000"), argument(2, "1000"), argument(3, "256"));
    let options = ShardsOptions {
        log_dirs: vec![PathBuf::from(&dir).join("recovery")],
        journal_bytes_max: journal_mib.parse::<u64>()? << 20,
        ..ShardsOptions::default()
    };
    if arguments.get(4).is_some_and(|last| last == "fill") {
        let (megabytes, partitions) = (megabytes.parse()?, partitions.parse()?);
        return real::run(real::Options::default(), |host| fill(host, options, megabytes, partitions))?;
    }
    let mut child = Command::new(std::env::current_exe()?)
        .args([&dir, &megabytes, &partitions, &journal_mib, "fill"])
        .stdout(Stdio::piped())
        .spawn()?;
    let lines = child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines());
    let mut filled = false;
    for line in lines {
        let line = line?;
        println!("{line}");
        filled = line.starts_with("filled");
        if filled {
            break;
        }
    }
    child.kill()?;
    child.wait()?;
    if !filled {
        return Err("the process that writes ended before it had written everything".into());
    }
    for _ in 0..3 {
        let (options, began) = (options.clone(), Instant::now());
        let started = real::run(real::Options::default(), |host| async move {
            let shards = Shards::start(&host, options).await?;
            Ok::<_, Error>((began.elapsed(), shards.recovery().clone()))
        });
        let (elapsed, recovery) = started??;
        println!("started in {elapsed:.2?}: {recovery:?}");
    }
    Ok(())
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::ONE), partition }
}

fn refused(refusal: Refusal) -> Error {
    format!("{refusal:?}").into()
}

/// Writes for ever, and says so once there are `megabytes`.
async fn fill(host: Host, options: ShardsOptions, megabytes: usize, partitions: i32) -> Result<(), Error> {
    let shards = Shards::start(&host, options).await?;
    let opens = (0..partitions).map(|partition| {
        let (topic, config) = (Arc::from("bench"), Arc::new(LogConfig::default()));
        shards.open(PartitionSpec {
            key: key(partition),
            topic,
            leader_epoch: LeaderEpoch(0),
            config,
            directory: Uuid::ZERO,
        })
    });
    for open in opens.collect::<Vec<_>>() {
        open.await.map_err(refused)?;
    }
    let value = vec![7; VALUE_BYTES];
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(&NewRecord { timestamp: 1, value: Some(&value), ..NewRecord::default() })?;
    let batch = builder.build_valid()?;
    let began = Instant::now();
    let mut under_way = VecDeque::new();
    let (mut written, mut next, mut said) = (0, 0, false);
    loop {
        let appends = (0..AT_ONCE).map(|n| Append::trusted(key((next + n) % partitions), batch.clone()));
        under_way.push_back(shards.append(Acks::All, appends.collect()));
        next = (next + AT_ONCE) % partitions;
        if under_way.len() < REQUESTS {
            continue;
        }
        let Some(oldest) = under_way.pop_front() else { continue };
        for (_, result) in oldest.await {
            result.map_err(refused)?;
            written += VALUE_BYTES;
        }
        if !said && written / 1_000_000 >= megabytes {
            said = true;
            println!("filled {megabytes} MB in {:.1?}", began.elapsed());
        }
    }
}
