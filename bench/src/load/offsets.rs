//! [`Offsets`]: commits of many groups over a few connections, each with some requests in flight, by hand: a client for each of
//! ten thousand groups would be most of the load.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{Outcome, PATIENCE};

#[derive(Args)]
pub(super) struct Offsets {
    #[arg(long)]
    groups: u32,
    /// Of the topic, in each commit
    #[arg(long)]
    partitions: u32,
    /// Commits of each group
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    #[arg(long, default_value_t = 4)]
    connections: u32,
    #[arg(long, default_value_t = 16)]
    in_flight: u32,
    /// Asks for what was committed instead, until every group has its offsets
    #[arg(long)]
    fetch: bool,
}

const COMMIT: (i16, i16) = (8, 2);
const FETCH: (i16, i16) = (9, 2);
const COORDINATOR: (i16, i16) = (10, 0);
/// The coordinator is being loaded, is not there yet, or is not this one yet.
const WAITS: [i16; 3] = [14, 15, 16];

impl Offsets {
    pub(super) fn run(&self, bootstrap: &str, topic: &str) -> Result<Outcome> {
        let began = Instant::now();
        self.wait_for_coordinator(bootstrap)?;
        // The first time, it makes the topic of the offsets; nobody measures that.
        let began = if self.fetch { began } else { Instant::now() };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.connections)
                .map(|number| scope.spawn(move || self.work(bootstrap, topic, number)))
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
        })?;
        let commits = u64::from(self.groups) * u64::from(self.rounds);
        Ok(Outcome {
            records: commits * u64::from(self.partitions),
            bytes: 0,
            seconds: began.elapsed().as_secs_f64(),
            requests: Some(commits),
            latency_ms: None,
        })
    }

    fn wait_for_coordinator(&self, bootstrap: &str) -> Result<()> {
        let mut connection = Connection::open(bootstrap)?;
        let began = Instant::now();
        loop {
            connection.send(COORDINATOR, &string(&group(0)))?;
            let answer = connection.receive()?;
            match i16_at(&answer, 0)? {
                0 => return Ok(()),
                code if WAITS.contains(&code) => std::thread::sleep(Duration::from_millis(20)),
                code => bail!("FindCoordinator answered {code}"),
            }
            ensure!(began.elapsed() < PATIENCE, "no coordinator");
        }
    }

    /// Every group whose number falls to this connection.
    fn work(&self, bootstrap: &str, topic: &str, number: u32) -> Result<()> {
        let mut connection = Connection::open(bootstrap)?;
        let began = Instant::now();
        for round in 0..self.rounds {
            let mut groups: Vec<u32> = (number..self.groups).step_by(self.connections as usize).collect();
            while !groups.is_empty() {
                let mut again = Vec::new();
                for some in groups.chunks(self.in_flight as usize) {
                    for at in some {
                        let kind = if self.fetch { FETCH } else { COMMIT };
                        connection.send(kind, &self.request(topic, *at, round))?;
                    }
                    for at in some {
                        if self.must_ask_again(&connection.receive()?)? {
                            again.push(*at);
                        }
                    }
                }
                groups = again;
                ensure!(began.elapsed() < PATIENCE, "{} groups have no answer", groups.len());
            }
        }
        Ok(())
    }

    fn request(&self, topic: &str, at: u32, round: u32) -> Vec<u8> {
        let mut body = string(&group(at));
        if !self.fetch {
            body.extend((-1_i32).to_be_bytes()); // no generation
            body.extend(string("")); // no member
            body.extend((-1_i64).to_be_bytes()); // kept for as long as the broker says
        }
        body.extend(1_u32.to_be_bytes());
        body.extend(string(topic));
        body.extend(self.partitions.to_be_bytes());
        for partition in 0..self.partitions {
            body.extend(partition.to_be_bytes());
            if !self.fetch {
                body.extend(i64::from(round + 1).to_be_bytes());
                body.extend(string(""));
            }
        }
        body
    }

    /// Whether the coordinator is not ready; any other error is one.
    fn must_ask_again(&self, answer: &[u8]) -> Result<bool> {
        if self.fetch {
            let last = answer.len().checked_sub(2).context("the answer is short")?;
            let code = i16_at(answer, last)?;
            ensure!(code == 0 || WAITS.contains(&code), "OffsetFetch answered {code}");
            return Ok(code != 0);
        }
        // One topic: its name, and for each partition the index and the error.
        let name = usize::try_from(i16_at(answer, 4)?)?;
        let mut again = false;
        for partition in 0..self.partitions as usize {
            let code = i16_at(answer, 4 + 2 + name + 4 + partition * 6 + 4)?;
            ensure!(code == 0 || WAITS.contains(&code), "OffsetCommit answered {code}");
            again |= code != 0;
        }
        Ok(again)
    }
}

fn group(at: u32) -> String {
    format!("bench-group-{at:06}")
}

fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(0);
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn i16_at(answer: &[u8], at: usize) -> Result<i16> {
    let bytes = answer.get(at..at + 2).context("the answer is short")?;
    Ok(i16::from_be_bytes(bytes.try_into()?))
}

struct Connection {
    stream: TcpStream,
    sent: u32,
}

impl Connection {
    fn open(bootstrap: &str) -> Result<Self> {
        let stream = TcpStream::connect(bootstrap)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, sent: 0 })
    }

    fn send(&mut self, (key, version): (i16, i16), body: &[u8]) -> Result<()> {
        let mut frame = u32::try_from(10 + body.len())?.to_be_bytes().to_vec();
        frame.extend(key.to_be_bytes());
        frame.extend(version.to_be_bytes());
        frame.extend(self.sent.to_be_bytes());
        frame.extend((-1_i16).to_be_bytes()); // no client id
        frame.extend(body);
        self.sent = self.sent.wrapping_add(1);
        Ok(self.stream.write_all(&frame)?)
    }

    /// What follows the correlation id of the next answer.
    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let size = usize::try_from(u32::from_be_bytes(size))?;
        ensure!((4..1 << 24).contains(&size), "an answer of {size} bytes");
        let mut answer = vec![0; size];
        self.stream.read_exact(&mut answer)?;
        Ok(answer.split_off(4))
    }
}
