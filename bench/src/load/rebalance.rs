//! [`Rebalance`]: a group of many members, and how long it takes after one comes or goes until every partition has one
//! owner again, as evenly as can be.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance as Told};

use super::{Steps, apply};

#[derive(Args)]
pub(super) struct Rebalance {
    #[arg(long)]
    members: usize,
    #[arg(long)]
    partitions: i64,
}

/// For a group to settle.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const POLL: Duration = Duration::from_millis(100);

/// What one member owns, kept by the callbacks of its consumer.
#[derive(Default)]
struct Owned {
    changed: AtomicBool,
    count: AtomicI64,
    leave: AtomicBool,
}

struct Watch(Arc<Owned>);

impl ClientContext for Watch {}

impl ConsumerContext for Watch {
    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, _told: &Told<'_>) {
        self.0.changed.store(true, Ordering::Release);
    }
}

struct Member {
    owned: Arc<Owned>,
    thread: JoinHandle<Result<()>>,
}

impl Member {
    fn join(client: &ClientConfig, topic: &str) -> Result<Self> {
        let owned = Arc::new(Owned::default());
        let consumer: BaseConsumer<Watch> = client.create_with_context(Watch(owned.clone()))?;
        consumer.subscribe(&[topic])?;
        let shared = owned.clone();
        let thread = std::thread::spawn(move || {
            while !shared.leave.load(Ordering::Acquire) {
                if let Some(Err(error)) = consumer.poll(POLL) {
                    return Err(anyhow!("a member heard {error}"));
                }
                if shared.changed.swap(false, Ordering::AcqRel) {
                    let count = i64::try_from(consumer.assignment()?.count())?;
                    shared.count.store(count, Ordering::Release);
                }
            }
            drop(consumer);
            Ok(())
        });
        Ok(Self { owned, thread })
    }

    fn leave(self) -> Result<()> {
        self.owned.leave.store(true, Ordering::Release);
        self.thread.join().map_err(|_| anyhow!("a member panicked"))?
    }
}

impl Rebalance {
    pub(super) fn run(
        &self,
        client: &mut ClientConfig,
        configs: &[(String, String)],
        topic: &str,
    ) -> Result<Steps> {
        client.remove("acks");
        client.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        apply(client, configs);
        let mut steps = Steps::default();
        let mut began = Instant::now();
        let mut members: Vec<Member> =
            (0..self.members).map(|_| Member::join(client, topic)).collect::<Result<_>>()?;
        self.settle(&members)?;
        steps.put("form", began.elapsed());
        for _ in 0..5 {
            began = Instant::now();
            members.push(Member::join(client, topic)?);
            self.settle(&members)?;
            steps.put("join", began.elapsed());
            began = Instant::now();
            let leaver = members.pop().context("there is one")?;
            leaver.owned.leave.store(true, Ordering::Release);
            self.settle(&members)?;
            steps.put("leave", began.elapsed());
            leaver.leave()?;
        }
        for member in &members {
            member.owned.leave.store(true, Ordering::Release);
        }
        members.into_iter().try_for_each(Member::leave)?;
        Ok(steps)
    }

    /// Waits until the members share all partitions evenly.
    fn settle(&self, members: &[Member]) -> Result<()> {
        let began = Instant::now();
        loop {
            let counts: Vec<i64> =
                members.iter().map(|member| member.owned.count.load(Ordering::Acquire)).collect();
            let (least, most) =
                (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
            if counts.iter().sum::<i64>() == self.partitions && most - least <= 1 {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "the group does not settle: {counts:?}");
            ensure!(!members.iter().any(|member| member.thread.is_finished()), "a member has ended");
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
