//! Producers of librdkafka: each a client with connections of its own, at a rate, with bursts; some send large records.

use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};

use super::{Counts, topic};

pub(super) const RECORD_BYTES: usize = 1000;
const LARGE_BYTES: usize = 900_000;
/// One of so many producers sends a large record every so often, beside its others.
const LARGE_OF: usize = 20;
const LARGE_EVERY: Duration = Duration::from_secs(10);
/// For so long of each minute there is so many times as much to send.
const BURST: Duration = Duration::from_secs(5);
const BURST_FACTOR: f64 = 8.0;
const MINUTE: Duration = Duration::from_secs(60);
/// Producers that one thread looks after.
const OF_A_THREAD: usize = 25;
const TICK: Duration = Duration::from_millis(20);

/// Producers have these in turn.
const CODECS: [&str; 5] = ["none", "lz4", "none", "zstd", "snappy"];

struct Written(Arc<Counts>);

impl ClientContext for Written {}

impl ProducerContext for Written {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        Counts::add(if result.is_ok() { &self.0.written } else { &self.0.refused }, 1);
    }
}

/// Answers how many threads these are.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    bootstrap: &str,
    bytes_a_second: u64,
    counts: &Arc<Counts>,
) -> Result<usize> {
    let mut all = Vec::new();
    for number in 0..count {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", bootstrap).set("acks", "all").set("linger.ms", "50");
        client.set("enable.idempotence", if number % 2 == 0 { "true" } else { "false" });
        client.set("compression.codec", CODECS.get(number % CODECS.len()).copied().unwrap_or("none"));
        client.set("queue.buffering.max.kbytes", "4096").set("message.max.bytes", "1000000");
        // A broker that is short of memory makes its clients wait, and takes everything in the end.
        client.set("message.timeout.ms", "300000").set("topic.metadata.refresh.interval.ms", "60000");
        all.push(BaseProducer::from_config_and_context(&client, Written(Arc::clone(counts)))?);
    }
    let rate = bytes_a_second as f64 / count as f64;
    let mut threads = 0;
    while !all.is_empty() {
        let share = all.split_off(all.len().saturating_sub(OF_A_THREAD));
        let share: Vec<_> = (all.len()..).map(topic).zip(share).collect();
        let counts = Arc::clone(counts);
        scope.spawn(move || write(&share, rate, &counts));
        threads += 1;
    }
    Ok(threads)
}

/// To a topic each.
fn write(producers: &[(String, BaseProducer<Written>)], rate: f64, counts: &Counts) {
    let (small, large) = (noise(RECORD_BYTES), noise(LARGE_BYTES));
    let (began, mut before) = (Instant::now(), Duration::ZERO);
    let mut owed = vec![0.0; producers.len()];
    let mut large_due = LARGE_EVERY;
    while !counts.is_over() {
        let now = began.elapsed();
        let in_burst = now.as_secs_f64() % MINUTE.as_secs_f64() < BURST.as_secs_f64();
        let more = rate * (now - before).as_secs_f64() * if in_burst { BURST_FACTOR } else { 1.0 };
        before = now;
        let is_large_due = now >= large_due;
        if is_large_due {
            large_due += LARGE_EVERY;
        }
        for (number, ((topic, producer), owed)) in producers.iter().zip(&mut owed).enumerate() {
            *owed += more;
            while *owed >= RECORD_BYTES as f64
                && producer.send(BaseRecord::<(), _>::to(topic).payload(&small)).is_ok()
            {
                *owed -= RECORD_BYTES as f64;
            }
            if is_large_due && number % LARGE_OF == 0 {
                // With a full queue it is left out.
                let _ = producer.send(BaseRecord::<(), _>::to(topic).payload(&large));
            }
            producer.poll(Duration::ZERO);
        }
        std::thread::sleep(TICK);
    }
}

/// Codecs make about half of it.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()[0] & 0x0f
    };
    (0..bytes).map(|_| next()).collect()
}
