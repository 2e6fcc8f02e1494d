//! [`Soak`]: many clients of all kinds for half an hour, and the memory of the broker meanwhile.
//!
//! Invariants:
//! * The clients are librdkafka's, and sockets that ask and never read.
//! * It passes if the broker was resident below the budget all the time, no more of it at the end than in the middle, and all
//!   that was to be written was written.
//!
//! Does not know: what the memory is for.

mod connections;
mod consumers;
mod plot;
mod producers;
mod samples;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use self::connections::Connections;
use self::samples::Samples;
use crate::compare::Broker;

/// The partitions are spread over so many topics, and each client is concerned with one: librdkafka pays for each partition that a
/// client knows of, and there are hundreds of clients.
const TOPICS: i32 = 10;
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often something is said.
const TELL_EVERY: u32 = 60;

#[derive(Args)]
pub(crate) struct Soak {
    #[arg(long, default_value = "target/release/bourn")]
    bourn: PathBuf,
    /// On the disk that is to be used; what is made in it is removed again
    #[arg(long, default_value = "bench/.cache/soak")]
    dir: PathBuf,
    #[arg(long, default_value_t = 1800)]
    seconds: u64,
    /// `bourn.memory.max.bytes`, which the whole process is to stay below
    #[arg(long, default_value_t = 256)]
    budget_mib: u64,
    /// Of all ten topics
    #[arg(long, default_value_t = 1000)]
    partitions: i32,
    #[arg(long, default_value_t = 200)]
    producers: usize,
    /// A quarter of them slow, a twentieth not reading at all
    #[arg(long, default_value_t = 200)]
    consumers: usize,
    /// Of all clients, and of others that do nothing or do not read what they have asked for
    #[arg(long, default_value_t = 2000)]
    connections: usize,
    /// What all producers write in a second, but for a burst of eight times as much each minute
    #[arg(long, default_value_t = 2)]
    mb_per_second: u64,
    /// A further config of the broker; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    configs: Vec<String>,
    /// Resident memory over time
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The same as numbers
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// What the clients have done so far.
#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    written: AtomicU64,
    refused: AtomicU64,
    read: AtomicU64,
}

impl Counts {
    fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    fn of(count: &AtomicU64) -> u64 {
        count.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Soak {
    pub(crate) fn run(&self) -> Result<()> {
        let bourn = std::fs::canonicalize(&self.bourn)
            .with_context(|| format!("{}: build it first", self.bourn.display()))?;
        std::fs::create_dir_all(&self.dir)?;
        let dir = std::fs::canonicalize(&self.dir)?.join("soak");
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        std::fs::create_dir_all(&dir)?;
        let mut configs = vec![format!("bourn.memory.max.bytes={}", self.budget_mib << 20)];
        configs.extend(self.configs.iter().cloned());
        let broker = Broker::bourn(&bourn, &configs, &dir)?;
        self.make_topics(&broker.bootstrap())?;
        let counts = Arc::new(Counts::default());
        let samples = self.load(&broker, &counts)?;
        broker.stop()?;
        std::fs::remove_dir_all(&dir)?;
        self.judge(&samples, &counts)
    }

    fn make_topics(&self, bootstrap: &str) -> Result<()> {
        let mut client = ClientConfig::new();
        let admin: AdminClient<DefaultClientContext> = client.set("bootstrap.servers", bootstrap).create()?;
        let names: Vec<String> = (0..TOPICS as usize).map(topic).collect();
        let topic = |name| {
            let topic = NewTopic::new(name, self.of_a_topic(), TopicReplication::Fixed(1));
            topic.set("retention.bytes", "1048576").set("segment.bytes", "1048576")
        };
        let topics: Vec<NewTopic<'_>> = names.iter().map(|name| topic(name)).collect();
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(60)));
        let mut waiting = std::pin::pin!(admin.create_topics(&topics, &options));
        // rdkafka answers on a thread of its own; nothing here is asynchronous otherwise.
        let made = loop {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            if let std::task::Poll::Ready(made) = waiting.as_mut().poll(&mut cx) {
                break made?;
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        ensure!(made.iter().all(Result::is_ok), "{made:?}");
        Ok(())
    }

    fn load(&self, broker: &Broker, counts: &Arc<Counts>) -> Result<Samples> {
        let bootstrap = broker.bootstrap();
        std::thread::scope(|scope| {
            // However this ends, the clients end, too.
            let _ends = EndsClients(counts);
            let clients = [
                producers::start(scope, self.producers, &bootstrap, self.rate(), counts)?,
                consumers::start(scope, self.consumers, &bootstrap, self.of_a_topic(), counts)?,
            ];
            let mut connections = Connections::new(broker.port(), broker.pid(), self.of_a_topic());
            connections.open_up_to(self.connections)?;
            eprintln!(
                "{} connections, {} threads of clients",
                connections.count()?,
                clients.iter().sum::<usize>()
            );
            let (began, mut samples) = (Instant::now(), Samples::default());
            let end = Duration::from_secs(self.seconds);
            for number in 0_u32.. {
                let at = SAMPLE_EVERY * number;
                if at > end {
                    break;
                }
                if let Some(early) = at.checked_sub(began.elapsed()) {
                    std::thread::sleep(early);
                }
                samples.take(broker.pid(), began.elapsed())?;
                if number.is_multiple_of(TELL_EVERY) {
                    let (read, written) = (Counts::of(&counts.read), Counts::of(&counts.written));
                    let open = connections.count()?;
                    eprintln!(
                        "{} s: {:.1} MiB resident, {written} records written, {read} read, {open} connections",
                        at.as_secs(),
                        samples.last()
                    );
                    connections.open_up_to(self.connections)?;
                }
            }
            Ok(samples)
        })
    }

    fn of_a_topic(&self) -> i32 {
        (self.partitions / TOPICS).max(1)
    }

    fn rate(&self) -> u64 {
        self.mb_per_second * 1_000_000
    }

    fn judge(&self, samples: &Samples, counts: &Counts) -> Result<()> {
        let (peak, growth) = (samples.peak(), samples.growth());
        let [written, refused, read] = [&counts.written, &counts.refused, &counts.read].map(Counts::of);
        println!(
            "{} s, {} producers, {} consumers, {} connections, {} partitions, {} MB/s: at most {peak:.1} MiB resident of {}, \
             {growth:+.1} MiB in the second half; {written} records written, {refused} refused, {read} read",
            self.seconds,
            self.producers,
            self.consumers,
            self.connections,
            self.partitions,
            self.mb_per_second,
            self.budget_mib
        );
        if let Some(path) = &self.svg {
            std::fs::write(path, plot::svg(samples, self.budget_mib as f64))?;
        }
        if let Some(path) = &self.csv {
            std::fs::write(path, samples.csv())?;
        }
        let expected = self.rate() * self.seconds / producers::RECORD_BYTES as u64;
        ensure!(peak <= self.budget_mib as f64, "more than the budget of {} MiB", self.budget_mib);
        ensure!(growth <= samples::GROWTH_MAX_MIB, "it grows in the second half");
        ensure!(written >= expected, "{written} of {expected} records were written");
        ensure!(refused == 0 && read >= written, "{refused} records were refused, {read} read");
        Ok(())
    }
}

/// The topic of the client with this number.
fn topic(number: usize) -> String {
    format!("soak-{}", number % TOPICS as usize)
}

struct EndsClients<'a>(&'a Counts);

impl Drop for EndsClients<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}
