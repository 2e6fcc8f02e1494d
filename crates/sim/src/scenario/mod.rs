//! [`Scenario`]: what a run consists of, drawn from its seed before it begins.

use std::fmt;
use std::time::Duration;

use client::Acks;
use host::sim::Faults;
use metadata::config::{BrokerConfig, StaticConfig};
use protocol::Str;
use protocol::records::Codec;

use crate::dice::Dice;

/// Where the broker listens.
pub(crate) const BROKER: &str = "broker";
pub(crate) const PORT: u16 = 9092;

#[derive(Clone, Debug)]
pub(crate) struct TopicPlan {
    pub(crate) name: Str,
    pub(crate) partitions: i32,
    pub(crate) synced: bool,
    pub(crate) configs: Vec<(Str, Str)>,
}

#[derive(Clone, Debug)]
pub(crate) struct ProducerPlan {
    /// Index of the topic it writes to.
    pub(crate) topic: usize,
    pub(crate) acks: Acks,
    pub(crate) idempotent: bool,
    pub(crate) in_flight: usize,
    pub(crate) codec: Codec,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    /// Longest pause between two bursts of records.
    pub(crate) pause_ms: u64,
    pub(crate) burst: u64,
}

/// Everything about a run that does not change in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) topics: Vec<TopicPlan>,
    pub(crate) producers: Vec<ProducerPlan>,
    pub(crate) consumers: usize,
    pub(crate) watchers: usize,
    pub(crate) admin: bool,
    pub(crate) shards: usize,
    pub(crate) journal_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk: Faults,
    /// The mean pause between two faults.
    pub(crate) calm: Duration,
    pub(crate) faults: Vec<Fault>,
}

/// Kinds of faults. A run has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    PowerLoss,
    DieAtOperation,
    CleanStop,
    FailedSync,
    FailedWrite,
    SlowDisk,
    FullDisk,
    Partition,
    Reset,
    Latency,
    Pause,
    ClockJump,
}

impl Fault {
    const ALL: [Self; 13] = [
        Self::Kill,
        Self::PowerLoss,
        Self::DieAtOperation,
        Self::CleanStop,
        Self::FailedSync,
        Self::FailedWrite,
        Self::SlowDisk,
        Self::FullDisk,
        Self::Partition,
        Self::Reset,
        Self::Latency,
        Self::Pause,
        Self::ClockJump,
    ];
}

impl Scenario {
    pub(crate) fn draw(dice: &Dice) -> Self {
        let topics: Vec<TopicPlan> = (0..dice.between(1, 3)).map(|n| TopicPlan::draw(dice, n)).collect();
        let producers = (0..dice.between(2, 4)).map(|_| ProducerPlan::draw(dice, topics.len())).collect();
        let mut faults: Vec<Fault> = Fault::ALL.into_iter().filter(|_| dice.chance(50)).collect();
        if faults.is_empty() {
            faults.push(Fault::PowerLoss);
        }
        Self {
            producers,
            topics,
            consumers: dice.index(2) + 1,
            watchers: dice.index(2) + 1,
            admin: dice.chance(70),
            shards: dice.index(3) + 1,
            journal_bytes: dice.pick(&[8 << 20, 16 << 20, 64 << 20]),
            memory_bytes: dice.pick(&[1 << 20, 4 << 20, 64 << 20]),
            disk: Faults::draw_benign(dice.number()),
            calm: dice.skewed_millis(500, 8000),
            faults,
        }
    }

    pub(crate) fn topic(&self, name: &Str) -> Option<&TopicPlan> {
        self.topics.iter().find(|topic| topic.name == *name)
    }

    /// Whether what is acknowledged in this topic is synced. Topics of the admin client have the default.
    pub(crate) fn is_synced(&self, name: &Str) -> bool {
        self.topic(name).is_none_or(|topic| topic.synced)
    }

    /// Whether this producer writes each record once. The writer of the admin client, behind the others, does.
    pub(crate) fn is_idempotent(&self, producer: usize) -> bool {
        self.producers.get(producer).is_none_or(|plan| plan.idempotent)
    }

    pub(crate) fn acks(&self, producer: usize) -> Acks {
        self.producers.get(producer).map_or(Acks::All, |plan| plan.acks)
    }

    pub(crate) fn broker_config(&self) -> (StaticConfig, BrokerConfig) {
        let mut statics = StaticConfig::new();
        for (name, value) in [
            ("listeners", format!("PLAINTEXT://:{PORT}")),
            ("advertised.listeners", format!("PLAINTEXT://{BROKER}:{PORT}")),
            ("log.dirs", "/data".to_owned()),
            ("auto.create.topics.enable", "false".to_owned()),
            ("log.retention.ms", "-1".to_owned()),
            ("bourn.disk.reserve.bytes", "65536".to_owned()),
        ] {
            statics.set(name, value);
        }
        let (mut config, _) = BrokerConfig::load(&statics).expect("a configuration of our own");
        // Smaller than anybody may configure them, so that short runs reach the limits.
        config.directories.journal_max_bytes = self.journal_bytes;
        config.limits.memory_max_bytes = self.memory_bytes.max(4 << 20);
        (statics, config)
    }
}

impl TopicPlan {
    fn draw(dice: &Dice, n: u64) -> Self {
        let synced = dice.chance(65);
        let text = |text: &str| Str::from(text.to_owned());
        let durability = if synced { "synced" } else { "buffered" };
        let mut configs = vec![(text("bourn.durability"), text(durability))];
        if dice.chance(50) {
            configs.push((text("segment.ms"), text(&dice.between(200, 20_000).to_string())));
        }
        if dice.chance(50) {
            configs.push((text("segment.bytes"), text("1048576")));
        }
        if dice.chance(30) {
            configs.push((text("index.interval.bytes"), text(&dice.between(0, 4096).to_string())));
        }
        let partitions = if dice.chance(20) { 8 } else { i32::try_from(dice.between(1, 3)).unwrap_or(1) };
        Self { name: text(&format!("t{n}")), partitions, synced, configs }
    }
}

impl ProducerPlan {
    fn draw(dice: &Dice, topics: usize) -> Self {
        let kind = dice.index(100);
        let (acks, idempotent) = match kind {
            0..60 => (Acks::All, true),
            60..75 => (Acks::All, false),
            _ => (Acks::Leader, false),
        };
        Self {
            topic: dice.index(topics),
            acks,
            idempotent,
            in_flight: dice.index(5) + 1,
            codec: if dice.chance(60) { Codec::None } else { dice.pick(&Codec::ALL) },
            batch_bytes: dice.pick(&[200, 2000, 16 << 10, 100 << 10]),
            linger: Duration::from_millis(dice.pick(&[0, 1, 5, 50])),
            pause_ms: dice.pick(&[20, 100, 500]),
            burst: dice.pick(&[1, 4, 20]),
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for topic in &self.topics {
            let kind = if topic.synced { "synced" } else { "buffered" };
            writeln!(
                f,
                "topic {}: {} partitions, {kind}, {:?}",
                topic.name, topic.partitions, topic.configs
            )?;
        }
        for (index, plan) in self.producers.iter().enumerate() {
            writeln!(f, "producer p{index}: {plan:?}")?;
        }
        writeln!(
            f,
            "{} consumers, {} watchers, admin: {}, {} shards, journal {} bytes, memory {} bytes",
            self.consumers, self.watchers, self.admin, self.shards, self.journal_bytes, self.memory_bytes
        )?;
        writeln!(f, "disk: {:?}", self.disk)?;
        write!(f, "about every {} ms one of {:?}", self.calm.as_millis(), self.faults)
    }
}
