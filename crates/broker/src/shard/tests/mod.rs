//! Shards on a simulated machine, with a journal that takes everything and can be held up.

mod appends;
mod journal;
mod scrub;
mod segments;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host::sim::{NodeOptions, Sim};
use host::{FileRef, Host, OpenMode};
use protocol::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, TopicId};
use protocol::records::{BatchBuilder, BatchHeader, BatchOptions, NewRecord, ValidBatch};
use protocol::wire::Piece;
use protocol::{ErrorCode, RecordSet, Uuid};
use storage::journal::{Report, ToCommitter};
use storage::{Durability, LogConfig, PartitionKey, Position};

use super::message::Message;
use super::start::{Mailboxes, StartDirectory, launch};
use super::*;

/// Reports at once, or when it is let go.
#[derive(Clone, Default)]
struct FakeCommitter {
    state: Arc<Mutex<Fake>>,
}

#[derive(Default)]
struct Fake {
    mailboxes: Option<Arc<[mpsc::UnboundedSender<Message>]>>,
    held: bool,
    /// For each shard: the last entry submitted.
    last: std::collections::BTreeMap<usize, u64>,
    position: u64,
    stopped: usize,
    released: Vec<Option<Position>>,
    entries: usize,
}

impl FakeCommitter {
    fn take(&self, message: ToCommitter) {
        let mut fake = self.state.lock().unwrap();
        match message {
            ToCommitter::Submit(submit) => {
                fake.entries += 1;
                fake.position += submit.entry.journal_bytes() as u64;
                fake.last.insert(submit.shard, submit.seq);
                if !fake.held {
                    fake.sync();
                }
            }
            ToCommitter::Stopped { .. } => fake.stopped += 1,
            ToCommitter::Released(released) => fake.released.push(released.oldest_needed),
            ToCommitter::CheckpointPart(_) | ToCommitter::CheckpointSoon | ToCommitter::Failed { .. } => {}
        }
    }

    fn hold(&self) {
        self.state.lock().unwrap().held = true;
    }

    /// Writes what it holds and does not sync it. Gives the position where that ends.
    fn write(&self) -> Position {
        let fake = self.state.lock().unwrap();
        let position = Position(fake.position);
        for (shard, up_to_seq) in fake.last.clone() {
            let mailbox = &fake.mailboxes.as_ref().unwrap()[shard];
            mailbox.send(Message::Report(Report::Written { dir: 0, up_to_seq, position })).unwrap();
        }
        position
    }

    fn let_go(&self) {
        let mut fake = self.state.lock().unwrap();
        fake.held = false;
        fake.sync();
    }

    fn report(&self, report: &Report) {
        self.state.lock().unwrap().report(report);
    }
}

impl Fake {
    fn sync(&mut self) {
        for (shard, up_to_seq) in std::mem::take(&mut self.last) {
            let mailbox = &self.mailboxes.as_ref().unwrap()[shard];
            let position = Position(self.position);
            mailbox.send(Message::Report(Report::Written { dir: 0, up_to_seq, position })).unwrap();
            mailbox.send(Message::Report(Report::Synced { dir: 0, up_to_seq })).unwrap();
        }
    }

    fn report(&self, report: &Report) {
        for mailbox in self.mailboxes.as_ref().unwrap().iter() {
            mailbox.send(Message::Report(report.clone())).unwrap();
        }
    }
}

struct Bench {
    host: Host,
    shards: Shards,
    committer: FakeCommitter,
}

fn bench(host: &Host, options: &ShardsOptions) -> Bench {
    let mailboxes = Mailboxes::new(host.tasks.shards());
    let committer = FakeCommitter::default();
    committer.state.lock().unwrap().mailboxes = Some(mailboxes.senders());
    let send = committer.clone();
    let directory = StartDirectory {
        path: PathBuf::from("/data"),
        committer: Arc::new(move |message| send.take(message)),
        task: None,
        found: Vec::new(),
        deleted: Vec::new(),
    };
    host.disk.files().create_dir_all(Path::new("/data")).unwrap();
    let shards = launch(host, options, mailboxes, vec![directory], RecoveryReport::default());
    Bench { host: host.clone(), shards, committer }
}

fn on_bench<F: Future<Output = ()>>(options: &ShardsOptions, test: impl FnOnce(Bench) -> F) {
    let sim = Sim::new(7);
    let host = sim.node("one", NodeOptions::default());
    sim.block_on_node("one", test(bench(&host, options)));
}

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic_id: TopicId(Uuid::ONE), partition }
}

fn spec(partition: i32, config: LogConfig) -> PartitionSpec {
    let config = Arc::new(config);
    let (topic, leader_epoch) = (Arc::from("flights"), LeaderEpoch(0));
    PartitionSpec { key: key(partition), topic, leader_epoch, config, directory: Uuid::ZERO }
}

fn batch_of(options: BatchOptions, records: usize, value: &[u8]) -> ValidBatch {
    let mut builder = BatchBuilder::new(options);
    for n in 0..records {
        let record = NewRecord { timestamp: 1000 + n as i64, value: Some(value), ..NewRecord::default() };
        builder.append(&record).unwrap();
    }
    builder.build_valid().unwrap()
}

fn batch() -> ValidBatch {
    batch_of(BatchOptions::default(), 2, &[7; 100])
}

fn small_segments() -> LogConfig {
    LogConfig {
        segment_bytes: 2_000,
        index_interval_bytes: 200,
        file_delete_delay_ms: 5_000,
        ..LogConfig::default()
    }
}

impl Bench {
    /// Is under way when this returns.
    fn append(
        &self,
        acks: Acks,
        partition: i32,
        batch: ValidBatch,
    ) -> impl Future<Output = Result<i64, ErrorCode>> + Send + use<> {
        let results = self.shards.append(acks, vec![Append::trusted(key(partition), batch)]);
        async move {
            let (_, result) = results.await.into_iter().next().unwrap();
            result.map(|appended| appended.base_offset.0).map_err(|refusal| refusal.code)
        }
    }

    async fn read(&self, partition: i32, offset: i64, bytes_max: usize) -> ReadReply {
        let read = read(partition, offset, bytes_max);
        self.shards.read(vec![read], bytes_max, true, None).await.remove(0)
    }

    /// Base offsets of all batches, read as a consumer does.
    async fn read_all(&self, partition: i32) -> Vec<i64> {
        let mut all = Vec::new();
        let mut offset = 0;
        loop {
            let reply = self.read(partition, offset, 700).await;
            assert_eq!(reply.error, ErrorCode::None);
            let headers = headers(&reply.records);
            let Some(last) = headers.last() else { return all };
            offset = last.next_offset().0;
            all.extend(headers.iter().map(|header| header.base_offset.0));
        }
    }

    async fn status(&self, partition: i32) -> PartitionStatus {
        self.shards.status(key(partition)).await.unwrap()
    }

    async fn sleep(&self, time: Duration) {
        self.host.clock.sleep(time).await;
    }
}

fn read(partition: i32, offset: i64, bytes_max: usize) -> Read {
    Read {
        key: key(partition),
        offset: Offset(offset),
        bytes_max,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        committed_only: false,
        from_file: false,
    }
}

pub(super) fn headers(records: &RecordSet) -> Vec<BatchHeader> {
    let mut bytes = Vec::new();
    records.pieces().iter().for_each(|piece| match piece {
        Piece::Bytes(piece) => bytes.extend_from_slice(piece),
        Piece::Extern(region) => {
            let file = region.handle.downcast_ref::<FileRef>().expect("a file");
            let mut part = vec![0; region.len];
            assert_eq!(file.read_at(&mut part, region.offset).unwrap(), region.len);
            bytes.extend_from_slice(&part);
        }
    });
    let mut bytes = bytes::Bytes::from(bytes);
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        headers.push(*ValidBatch::split_from(&mut bytes).unwrap().header());
    }
    headers
}

/// The future's value if it has one now.
fn futures_now<F: Future + ?Sized>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
