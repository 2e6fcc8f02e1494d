//! A broker that is killed again and again while six producers write: acks=all and acks=1, synced and buffered topics,
//! compaction and retention at work.
//!
//! What outlives the end of a process: everything that was acknowledged. `cargo xtask kill9` runs it for long.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset};

use super::{Place, Settings, config, consume, consumer, create_topic_with};
use crate::PATIENCE;
use crate::node::Node;

const PARTITIONS: i32 = 3;
/// What each writer may send between two kills.
const PORTION: u64 = 500;
/// Keys of the compacted topic.
const KEYS: u64 = 50;

/// Closed by its full index, a segment has some hundred bytes.
const SMALL: [(&str, &str); 3] =
    [("segment.index.bytes", "80"), ("index.interval.bytes", "100"), ("file.delete.delay.ms", "100")];

#[derive(Clone, Copy, Debug)]
struct Topic {
    name: &'static str,
    settings: Settings<'static>,
}

const TOPICS: [Topic; 4] = [
    Topic { name: "synced", settings: &[] },
    Topic { name: "buffered", settings: &[("bourn.durability", "buffered")] },
    Topic {
        name: "compacted",
        settings: &[("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")],
    },
    Topic { name: "retained", settings: &[("retention.bytes", "50000")] },
];
const COMPACTED: usize = 2;
const RETAINED: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Writer {
    topic: usize,
    idempotent: bool,
}

const WRITERS: [Writer; 6] = [
    Writer { topic: 0, idempotent: true },
    Writer { topic: 0, idempotent: false },
    Writer { topic: 1, idempotent: true },
    Writer { topic: 1, idempotent: false },
    Writer { topic: COMPACTED, idempotent: true },
    Writer { topic: RETAINED, idempotent: true },
];

/// A record: which writer's, and its number.
type Id = (usize, u64);

/// How many records have a result, of all writers.
#[derive(Default)]
struct Progress {
    count: Mutex<u64>,
    changed: Condvar,
}

impl Progress {
    fn wait_for(&self, target: u64) {
        let count = self.count.lock().unwrap();
        let (count, waited) =
            self.changed.wait_timeout_while(count, PATIENCE, |count| *count < target).unwrap();
        assert!(!waited.timed_out(), "{} of {target} records have a result", *count);
    }
}

/// What became of the records of one writer.
struct Ledger {
    results: Mutex<Vec<(u64, Result<Place, RDKafkaErrorCode>)>>,
    progress: Arc<Progress>,
}

impl ClientContext for Ledger {}

impl ProducerContext for Ledger {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap()),
        };
        self.results.lock().unwrap().push((number as u64, result));
        *self.progress.count.lock().unwrap() += 1;
        self.progress.changed.notify_all();
    }
}

fn producer(node: &Node, writer: Writer, progress: &Arc<Progress>) -> BaseProducer<Ledger> {
    let settings: Settings<'_> = match writer.idempotent {
        true => &[("enable.idempotence", "true")],
        false => &[("acks", "1")],
    };
    let mut config = config(node, settings);
    config.set("linger.ms", "1").set("batch.num.messages", "20").set("message.timeout.ms", "300000");
    let ledger = Ledger { results: Mutex::default(), progress: Arc::clone(progress) };
    BaseProducer::from_config_and_context(&config, ledger).unwrap()
}

/// Writes what it may until it is told to stop, and then waits for all results.
fn write(producer: &BaseProducer<Ledger>, writer: usize, allowed: &AtomicU64, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) || number < allowed.load(Ordering::Relaxed) {
        if number < allowed.load(Ordering::Relaxed) && producer.in_flight_count() < 400 {
            let (key, value) = (key(number), value((writer, number)));
            let record = BaseRecord::with_opaque_to(
                TOPICS[WRITERS[writer].topic].name,
                usize::try_from(number).unwrap(),
            );
            let record = record.partition(partition(number)).key(key.as_bytes()).payload(value.as_bytes());
            producer.send(record).map_err(|(error, _)| error).unwrap();
            number += 1;
            producer.poll(Duration::ZERO);
        } else {
            producer.poll(Duration::from_millis(2));
        }
    }
    producer.flush(PATIENCE).unwrap();
}

fn partition(number: u64) -> i32 {
    i32::try_from(number % PARTITIONS.unsigned_abs() as u64).unwrap()
}

fn key(number: u64) -> String {
    format!("key {}", number % KEYS)
}

fn value((writer, number): Id) -> String {
    let filler = usize::try_from(number * 37 % 300).unwrap();
    format!("{writer}/{number}/{:x<filler$}", "")
}

fn parse(value: &[u8]) -> Id {
    let text = std::str::from_utf8(value).unwrap();
    let mut parts = text.split('/');
    let id = (parts.next().unwrap().parse().unwrap(), parts.next().unwrap().parse().unwrap());
    assert_eq!(text, self::value(id), "a record is what was sent");
    id
}

/// What a topic holds, by place.
type Held = BTreeMap<Place, Id>;

/// Everything that the reader has seen so far, and where it goes on.
struct Reader {
    seen: [Held; TOPICS.len()],
    next: BTreeMap<(usize, i32), i64>,
}

impl Reader {
    /// Reads on to the ends. A place that was seen before holds what it held.
    fn read_on(&mut self, node: &Node) {
        for (topic, plan) in TOPICS.iter().enumerate() {
            for partition in 0..PARTITIONS {
                let next = self.next.entry((topic, partition)).or_default();
                if topic == RETAINED {
                    *next = log_start(node, topic, partition).max(*next);
                }
                for (offset, sample) in consume(node, plan.name, partition, Offset::Offset(*next)) {
                    let id = parse(&sample.value.unwrap());
                    let before = self.seen[topic].insert((partition, offset), id);
                    assert!(before.is_none_or(|before| before == id), "{}-{partition}@{offset}", plan.name);
                    *next = offset + 1;
                }
            }
        }
    }
}

fn held(node: &Node, topic: usize) -> Held {
    let mut held = Held::new();
    for partition in 0..PARTITIONS {
        for (offset, sample) in consume(node, TOPICS[topic].name, partition, Offset::Beginning) {
            held.insert((partition, offset), parse(&sample.value.unwrap()));
        }
    }
    held
}

fn log_start(node: &Node, topic: usize, partition: i32) -> i64 {
    consumer(node, &[]).fetch_watermarks(TOPICS[topic].name, partition, PATIENCE).unwrap().0
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}

#[test]
fn what_is_acknowledged_outlives_kill_9() {
    let kills = from_environment("BOURN_KILLS", 3);
    let seed = from_environment("BOURN_KILL_SEED", 1);
    let mut node = Node::with(&["log.cleaner.backoff.ms=50", "log.retention.check.interval.ms=50"]);
    for (index, topic) in TOPICS.iter().enumerate() {
        let small = SMALL.iter().filter(|_| index >= COMPACTED);
        let new = NewTopic::new(topic.name, PARTITIONS, TopicReplication::Fixed(1));
        create_topic_with(
            &node,
            topic.settings.iter().chain(small).fold(new, |new, (name, value)| new.set(name, value)),
        );
    }
    let progress = Arc::new(Progress::default());
    let producers = WRITERS.map(|writer| producer(&node, writer, &progress));
    let (allowed, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut reader = Reader { seen: Default::default(), next: BTreeMap::new() };
    let mut chance = Chance(seed);
    std::thread::scope(|scope| {
        for (index, producer) in producers.iter().enumerate() {
            let (allowed, stop) = (&allowed, &stop);
            scope.spawn(move || write(producer, index, allowed, stop));
        }
        // A kill takes the writers along when something is wrong, or nothing would end.
        let _stops = StopsAtTheEnd(&stop);
        let mut killed_at = 0;
        for kill in 1..=kills {
            let all = allowed.fetch_add(PORTION, Ordering::Relaxed) + PORTION;
            let all = all * WRITERS.len() as u64;
            killed_at += 1 + chance.below(all - killed_at);
            progress.wait_for(killed_at);
            node.kill();
            if chance.below(4) == 0 {
                node.kill_while_it_starts(chance.below(2000));
            }
            node.restart();
            reader.read_on(&node);
            if kills > 20 {
                println!("{kill} kills, {killed_at} of {all} acknowledged");
            }
        }
    });
    let results = producers.map(|producer| std::mem::take(&mut *producer.context().results.lock().unwrap()));
    check_in_the_end(&mut node, &mut reader, &results);
    let acknowledged: usize = results.iter().map(Vec::len).sum();
    println!("seed {seed}: {kills} kills, {acknowledged} records acknowledged, all there");
}

struct StopsAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopsAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

type Results = Vec<(u64, Result<Place, RDKafkaErrorCode>)>;

fn check_in_the_end(node: &mut Node, reader: &mut Reader, results: &[Results]) {
    reader.read_on(node);
    until(|| (0..PARTITIONS).all(|partition| log_start(node, RETAINED, partition) > 0), "retention goes on");
    let written = results[4].len();
    until(|| held(node, COMPACTED).len() < written, "compaction goes on");
    node.stop();
    node.restart();
    for (topic, plan) in TOPICS.iter().enumerate() {
        // Retention may move the start while this is read: the start is asked for behind it.
        let held = held(node, topic);
        let starts: Vec<i64> = (0..PARTITIONS).map(|partition| log_start(node, topic, partition)).collect();
        let is_left = |(partition, offset): &Place| *offset >= starts[usize::try_from(*partition).unwrap()];
        for (place, id) in reader.seen[topic].iter().filter(|(place, _)| is_left(place)) {
            let now = held.get(place);
            let is_same = now.is_none_or(|now| now == id) && (topic == COMPACTED || now.is_some());
            assert!(is_same, "{} {place:?} held {id:?} and holds {now:?}", plan.name);
        }
        check_offsets(topic, &held);
        let newest: BTreeMap<(i32, String), i64> =
            held.iter().map(|((partition, offset), id)| ((*partition, key(id.1)), *offset)).collect();
        for (writer, results) in
            results.iter().enumerate().filter(|(writer, _)| WRITERS[*writer].topic == topic)
        {
            for (number, result) in results {
                let place =
                    result.unwrap_or_else(|error| panic!("writer {writer}, record {number}: {error}"));
                let is_there = held.get(&place) == Some(&(writer, *number));
                let is_superseded = topic == COMPACTED && newest[&(place.0, key(*number))] > place.1;
                assert!(
                    is_there || is_superseded || !is_left(&place),
                    "record {number} of writer {writer} was acknowledged at {} {place:?}, where {:?} is",
                    plan.name,
                    held.get(&place)
                );
            }
        }
    }
}

/// Offsets without gaps, and what idempotent producers write once and in order.
fn check_offsets(topic: usize, held: &Held) {
    let name = TOPICS[topic].name;
    let mut before: Option<&Place> = None;
    let mut last: BTreeMap<(i32, usize), u64> = BTreeMap::new();
    let mut once = BTreeSet::new();
    for (place, (writer, number)) in held {
        let follows = before.is_none_or(|before| before.0 != place.0 || before.1 + 1 == place.1);
        assert!(follows || topic == COMPACTED, "{name}: after {before:?} comes {place:?}");
        before = Some(place);
        if WRITERS[*writer].idempotent {
            assert!(once.insert((*writer, *number)), "{name}: {number} of writer {writer} is there twice");
            let last = last.insert((place.0, *writer), *number);
            assert!(
                last.is_none_or(|last| last < *number),
                "{name} {place:?}: {number} comes after {last:?}"
            );
        }
    }
}

/// Looks again until it holds; each look takes a while.
fn until(mut holds: impl FnMut() -> bool, what: &str) {
    const LOOKS: usize = 5000;
    assert!((0..LOOKS).any(|_| holds()), "{what}");
}
