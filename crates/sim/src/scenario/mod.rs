//! [`Scenario`]: what a run consists of, drawn from its seed before it begins.

mod family;
mod fault;
mod knob;
mod producer;
mod rot;
mod topic;

use std::fmt;
use std::time::Duration;

use client::Acks;
use host::sim::Faults;
use metadata::config::{BrokerConfig, StaticConfig};
use protocol::Str;

pub use self::family::Family;
pub(crate) use self::fault::Fault;
pub(crate) use self::knob::Knob;
pub(crate) use self::producer::ProducerPlan;
pub(crate) use self::rot::Rot;
pub(crate) use self::topic::TopicPlan;
use crate::dice::Dice;

/// Where the broker listens.
pub(crate) const BROKER: &str = "broker";
pub(crate) const PORT: u16 = 9092;

/// Everything about a run that does not change in it.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) family: Family,
    pub(crate) topics: Vec<TopicPlan>,
    pub(crate) producers: Vec<ProducerPlan>,
    pub(crate) consumers: usize,
    pub(crate) watchers: usize,
    /// Makes, fills, grows and deletes topics.
    pub(crate) admin: bool,
    /// Writes to the admin's topics and reads them while they come and go.
    pub(crate) follower: bool,
    /// Write in transactions, perhaps under one transactional id, each fencing the other off.
    pub(crate) transactors: usize,
    pub(crate) zombies: bool,
    /// Asks for much and takes it slowly.
    pub(crate) sluggard: bool,
    pub(crate) shards: usize,
    pub(crate) log_dirs: usize,
    pub(crate) journal_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) disk: Faults,
    /// The mean pause between two faults.
    pub(crate) calm: Duration,
    pub(crate) faults: Vec<Fault>,
    /// What changes at rest.
    pub(crate) rot: Option<Rot>,
}

/// What writes beside the producers of the plan; their numbers are behind those.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extra {
    Admin,
    Follower,
    Probe,
    /// The first of them.
    Transactor,
}

impl Scenario {
    pub(crate) fn draw(dice: &Dice, family: Option<Family>) -> Self {
        let family = family.unwrap_or_else(|| Family::draw(dice));
        let mixed = Self::mixed(dice, family);
        match family {
            Family::Mixed | Family::Retention | Family::Compaction | Family::Configs => mixed,
            Family::Transactions => Self::transacting(dice, mixed),
            Family::Directories => Self { log_dirs: dice.index(3) + 2, ..mixed },
            Family::Crowd => Self::crowd(dice, mixed),
            Family::Rot => Self::rotting(dice, mixed),
            Family::Steps => Self::steps(dice, mixed),
        }
    }

    fn mixed(dice: &Dice, family: Family) -> Self {
        let retained = if family == Family::Retention { 80 } else { 15 };
        let compacted = if family == Family::Compaction { 80 } else { 10 };
        let operated = if family == Family::Configs { 90 } else { 10 };
        let topics: Vec<TopicPlan> = (0..dice.between(1, 3))
            .map(|n| TopicPlan::draw(dice, n, dice.chance(retained), dice.chance(compacted)))
            .map(|plan| if dice.chance(operated) { plan.operated(dice) } else { plan })
            .collect();
        let producers = (0..dice.between(2, 4)).map(|_| ProducerPlan::draw(dice, topics.len())).collect();
        let mut faults: Vec<Fault> = Fault::ALL.into_iter().filter(|_| dice.chance(40)).collect();
        if faults.is_empty() {
            faults.push(Fault::PowerLoss);
        }
        let admin = dice.chance(70);
        let transacts = !matches!(family, Family::Crowd | Family::Rot | Family::Steps);
        Self {
            family,
            producers,
            topics,
            consumers: dice.index(2) + 1,
            watchers: dice.index(2) + 1,
            admin,
            follower: admin && dice.chance(60),
            transactors: if transacts && dice.chance(30) { dice.index(2) + 1 } else { 0 },
            zombies: transacts && dice.chance(20),
            sluggard: dice.chance(30),
            shards: dice.index(3) + 1,
            log_dirs: if dice.chance(20) { 2 } else { 1 },
            journal_bytes: dice.pick(&[8 << 20, 16 << 20, 64 << 20]),
            memory_bytes: dice.pick(&[4 << 20, 64 << 20]),
            disk: Faults::draw_benign(dice.number()),
            calm: dice.skewed_millis(500, 8000),
            faults,
            rot: None,
        }
    }

    /// Ten times as much as the memory for records and the journal take, over many partitions.
    fn crowd(dice: &Dice, mixed: Self) -> Self {
        let count = dice.between(2, 6);
        let bytes = dice.pick(&[24 << 20, 64 << 20, 100 << 20]) / count;
        let mut disk = mixed.disk;
        if dice.chance(50) {
            disk.slow_ppm = 0;
        }
        let all = [Fault::SlowDisk, Fault::Kill, Fault::PowerLoss, Fault::CleanStop, Fault::ClientCrash];
        Self {
            topics: vec![TopicPlan::crowded(dice)],
            producers: (0..count).map(|_| ProducerPlan::crowding(dice, bytes)).collect(),
            consumers: 1,
            watchers: 1,
            admin: dice.chance(20),
            follower: false,
            transactors: 0,
            shards: dice.index(4) + 1,
            log_dirs: dice.pick(&[1, 1, 2, 3]),
            journal_bytes: dice.pick(&[1, 8 << 20, 16 << 20]),
            memory_bytes: dice.pick(&[4 << 20, 4 << 20, 16 << 20]),
            disk,
            calm: Duration::from_millis(dice.pick(&[2000, 10_000])),
            faults: all.into_iter().filter(|_| dice.chance(40)).collect(),
            ..mixed
        }
    }

    /// Several write in transactions to the same partitions, and little else happens there.
    fn transacting(dice: &Dice, mixed: Self) -> Self {
        Self {
            transactors: dice.index(4) + 1,
            zombies: dice.chance(40),
            producers: mixed.producers.into_iter().take(1).collect(),
            watchers: 2,
            admin: false,
            follower: false,
            ..mixed
        }
    }

    /// Closed segments come early, and nothing else keeps records from being read.
    fn rotting(dice: &Dice, mixed: Self) -> Self {
        let others = [Fault::SlowDisk, Fault::Reset, Fault::Latency, Fault::ClientCrash, Fault::Pause];
        let ends = [Fault::Rot, Fault::Rot, Fault::Kill, Fault::PowerLoss, Fault::CleanStop];
        let compacted = dice.chance(20);
        let topics = mixed.topics.iter().zip(0..);
        Self {
            topics: topics
                .map(|(_, n)| TopicPlan::draw(dice, n, false, compacted).in_small_segments(dice))
                .collect(),
            admin: false,
            follower: false,
            transactors: 0,
            faults: ends.into_iter().chain(others.into_iter().filter(|_| dice.chance(30))).collect(),
            rot: Some(dice.pick(&Rot::ALL)),
            ..mixed
        }
    }

    /// Little of everything.
    fn steps(dice: &Dice, mixed: Self) -> Self {
        let topic = |n, retained, compacted| TopicPlan {
            partitions: i32::try_from(dice.between(1, 2)).unwrap_or(1),
            ..TopicPlan::draw(dice, n, retained, compacted).in_small_segments(dice)
        };
        let topics = vec![topic(0, true, false), topic(1, dice.chance(30), true), topic(2, false, false)];
        let plan = |topic| ProducerPlan {
            topic,
            pause_ms: 60,
            burst: 4,
            value_bytes: Some(100),
            records_max: 60,
            delivery_timeout: Duration::from_secs(60),
            ..ProducerPlan::draw(dice, topics.len())
        };
        let plans = [0, 1, 2].map(plan);
        Self {
            producers: plans.to_vec(),
            topics,
            consumers: 1,
            watchers: 1,
            admin: dice.chance(50),
            follower: false,
            transactors: 0,
            sluggard: false,
            shards: dice.index(2) + 1,
            log_dirs: if dice.chance(30) { 2 } else { 1 },
            journal_bytes: 8 << 20,
            memory_bytes: 4 << 20,
            disk: Faults::default(),
            faults: Vec::new(),
            ..mixed
        }
    }

    /// Whether damaged files may keep records from being read.
    pub(crate) fn may_miss_records(&self) -> bool {
        self.rot.is_some_and(Rot::may_cost_records)
    }

    pub(crate) fn number_of(&self, extra: Extra) -> usize {
        self.producers.len() + extra as usize
    }

    pub(crate) fn is_transactor(&self, producer: usize) -> bool {
        producer >= self.number_of(Extra::Transactor)
    }

    /// Who this writer's producer id was given to: transactors of one id have one.
    pub(crate) fn owner_of_id(&self, writer: usize) -> usize {
        if self.zombies { writer.min(self.number_of(Extra::Transactor)) } else { writer }
    }

    pub(crate) fn log_dir(&self, index: usize) -> String {
        format!("/data{index}")
    }

    /// Whether retention may take records from the front of this topic at some time.
    pub(crate) fn is_retained(&self, name: &Str) -> bool {
        self.topic(name).is_some_and(|topic| topic.retained)
    }

    /// Whether records may be gone from the front of this topic, by retention or by request.
    pub(crate) fn loses_front(&self, name: &Str) -> bool {
        self.topic(name).is_some_and(|topic| topic.retained || topic.trimmed)
    }

    /// Whether superseded records may be gone from this topic at some time.
    pub(crate) fn is_compacted(&self, name: &Str) -> bool {
        self.topic(name).is_some_and(|topic| topic.compacted)
    }

    /// Whether records of this topic may have the time of their append.
    pub(crate) fn is_restamped(&self, name: &Str) -> bool {
        self.topic(name).is_some_and(|topic| topic.knobs.contains(&Knob::TimestampType))
    }

    /// Whether somebody changes configs and deletes records.
    pub(crate) fn has_operator(&self) -> bool {
        self.topics.iter().any(|topic| topic.trimmed || !topic.knobs.is_empty())
    }

    pub(crate) fn topic(&self, name: &Str) -> Option<&TopicPlan> {
        self.topics.iter().find(|topic| topic.name == *name)
    }

    /// Whether what is acknowledged in this topic is synced at all times. Topics of the admin client have the default.
    pub(crate) fn is_synced(&self, name: &Str) -> bool {
        self.topic(name).is_none_or(|topic| topic.synced && !topic.knobs.contains(&Knob::Durability))
    }

    /// Whether this producer writes each record once. The [extra](Extra) ones do.
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
            ("log.dirs", (0..self.log_dirs).map(|index| self.log_dir(index)).collect::<Vec<_>>().join(",")),
            ("auto.create.topics.enable", "false".to_owned()),
            ("log.retention.ms", "-1".to_owned()),
            ("log.retention.check.interval.ms", "300".to_owned()),
            ("log.cleaner.backoff.ms", "200".to_owned()),
            ("transaction.state.log.num.partitions", "3".to_owned()),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000".to_owned()),
            ("bourn.disk.reserve.bytes", "65536".to_owned()),
            ("bourn.scrub.interval.ms", if self.rot.is_some() { "1000" } else { "604800000" }.to_owned()),
        ] {
            statics.set(name, value);
        }
        let (mut config, _) = BrokerConfig::load(&statics).expect("a configuration of our own");
        // Smaller than anybody may configure them, so that short runs reach the limits.
        config.directories.journal_max_bytes = self.journal_bytes;
        config.limits.memory_max_bytes = self.memory_bytes;
        (statics, config)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "family {}", self.family)?;
        for topic in &self.topics {
            let kind = if topic.synced { "synced" } else { "buffered" };
            writeln!(
                f,
                "topic {}: {} partitions, {kind}, {:?}, changing {:?}, trimmed: {}",
                topic.name, topic.partitions, topic.configs, topic.knobs, topic.trimmed
            )?;
        }
        for (index, plan) in self.producers.iter().enumerate() {
            writeln!(f, "producer p{index}: {plan:?}")?;
        }
        let Self { consumers, watchers, admin, follower, sluggard, transactors, zombies, .. } = self;
        writeln!(
            f,
            "{consumers} consumers, {watchers} watchers, admin: {admin}, follower: {follower}, sluggard: {sluggard}, \
             {transactors} transactors, of one id: {zombies}"
        )?;
        let Self { shards, log_dirs, journal_bytes, memory_bytes, .. } = self;
        writeln!(
            f,
            "{shards} shards, {log_dirs} directories, journal {journal_bytes} bytes, memory {memory_bytes} bytes"
        )?;
        writeln!(f, "disk: {:?}", self.disk)?;
        write!(f, "about every {} ms one of {:?}", self.calm.as_millis(), self.faults)?;
        self.rot.map_or(Ok(()), |rot| write!(f, ", rot of {rot:?}"))
    }
}
