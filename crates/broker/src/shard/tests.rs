//! Shards on a simulated machine, with a journal that takes everything and can be held up.

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
            ToCommitter::CheckpointPart(_) | ToCommitter::Failed { .. } => {}
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
    PartitionSpec { key: key(partition), topic: Arc::from("flights"), leader_epoch: LeaderEpoch(0), config }
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
        let results = self.shards.append(acks, vec![Append { key: key(partition), batch }]);
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

#[test]
fn appends_are_read_back_over_many_partitions() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..10 {
            bench.shards.open(spec(partition, small_segments())).await.unwrap();
        }
        for round in 0..30 {
            let appends = (0..10).map(|partition| Append { key: key(partition), batch: batch() }).collect();
            for (n, (of, result)) in (0..).zip(bench.shards.append(Acks::All, appends).await) {
                assert_eq!((of, result.unwrap().base_offset), (key(n), Offset(round * 2)));
            }
        }
        let expected: Vec<_> = (0..30).map(|round| round * 2).collect();
        for partition in 0..10 {
            assert_eq!(bench.read_all(partition).await, expected);
        }
        let reads = (0..10).rev().map(|partition| read(partition, 0, 1)).collect();
        let replies = bench.shards.read(reads, 10_000, true, None).await;
        assert_eq!(
            replies.iter().map(|reply| reply.key.partition).collect::<Vec<_>>(),
            (0..10).rev().collect::<Vec<_>>()
        );
        assert_eq!(replies.iter().filter(|reply| !reply.records.is_empty()).count(), 1, "one batch in all");
    });
}

#[test]
fn acks_wait_for_what_they_mean() {
    for durability in [Durability::Synced, Durability::Buffered] {
        on_bench(&ShardsOptions::default(), async |bench| {
            bench.shards.open(spec(0, LogConfig { durability, ..LogConfig::default() })).await.unwrap();
            bench.committer.hold();
            assert_eq!(bench.append(Acks::None, 0, batch()).await, Ok(0));
            let mut leader = Box::pin(bench.append(Acks::Leader, 0, batch()));
            let mut all = Box::pin(bench.append(Acks::All, 0, batch()));
            bench.sleep(Duration::from_millis(50)).await;
            let early = |future: &mut std::pin::Pin<_>| futures_now(future);
            assert_eq!(early(&mut leader), None);
            // A buffered topic answered at the append once, before anything was written: a kill lost what readers
            // had seen (simulator, seed 20).
            assert_eq!(early(&mut all), None);
            assert_eq!(bench.status(0).await.high_watermark, Offset(0));
            bench.committer.let_go();
            assert_eq!(leader.await, Ok(2));
            assert_eq!(all.await, Ok(4));
            assert_eq!(bench.status(0).await.high_watermark, Offset(6));
        });
    }
}

/// The future's value if it has one now.
fn futures_now<F: Future + ?Sized>(future: &mut std::pin::Pin<Box<F>>) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_duplicate_waits_for_its_original() {
    let idempotent = |sequence| {
        let options = BatchOptions {
            producer_id: ProducerId(3),
            producer_epoch: ProducerEpoch(0),
            base_sequence: sequence,
            ..BatchOptions::default()
        };
        batch_of(options, 2, b"v")
    };
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        assert_eq!(bench.append(Acks::All, 0, idempotent(0)).await, Ok(0));
        bench.committer.hold();
        let mut original = Box::pin(bench.append(Acks::All, 0, idempotent(2)));
        let mut duplicate = Box::pin(bench.append(Acks::All, 0, idempotent(2)));
        let old = bench.append(Acks::All, 0, idempotent(0));
        assert_eq!(futures_now(&mut original), None);
        assert_eq!(futures_now(&mut duplicate), None);
        assert_eq!(old.await, Ok(0), "its original is synced");
        assert_eq!(bench.append(Acks::All, 0, idempotent(9)).await, Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(futures_now(&mut duplicate), None);
        bench.committer.let_go();
        assert_eq!((original.await, duplicate.await), (Ok(2), Ok(2)));
        assert_eq!(bench.status(0).await.log_end_offset, Offset(4));
    });
}

#[test]
fn a_waiting_reader_hears_of_an_append() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        let waiter = ReadWaiter::unarmed();
        let replies = bench.shards.read(vec![read(0, 0, 1000)], 1000, true, Some(waiter.clone())).await;
        assert!(replies[0].records.is_empty());
        waiter.arm(2 * batch().size());
        let mut satisfied = Box::pin(async { waiter.satisfied().await });
        for expected in [None, Some(())] {
            bench.append(Acks::All, 0, batch()).await.unwrap();
            assert_eq!(futures_now(&mut satisfied), expected);
        }
    });
}

#[test]
fn leader_epochs_are_checked() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        bench.shards.lead(key(0), LeaderEpoch(2)).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        for (epoch, error) in
            [(1, ErrorCode::FencedLeaderEpoch), (2, ErrorCode::None), (3, ErrorCode::UnknownLeaderEpoch)]
        {
            let read = Read { current_leader_epoch: Some(LeaderEpoch(epoch)), ..read(0, 0, 1000) };
            assert_eq!(bench.shards.read(vec![read], 1000, true, None).await[0].error, error, "{epoch}");
        }
        for (offset, epoch, diverging) in
            [(2, 0, None), (3, 0, Some((0, 2))), (2, 1, Some((0, 2))), (4, 2, None)]
        {
            let read = Read { last_fetched_epoch: Some(LeaderEpoch(epoch)), ..read(0, offset, 1000) };
            let reply = bench.shards.read(vec![read], 1000, true, None).await.remove(0);
            let found = reply.diverging.map(|end| (end.leader_epoch.0, end.end_offset.0));
            assert_eq!(found, diverging, "{offset} in {epoch}");
        }
        let end = bench.shards.epoch_end(key(0), LeaderEpoch(1), None).await.unwrap();
        assert_eq!((end.leader_epoch, end.end_offset), (LeaderEpoch(0), Offset(2)));
        assert_eq!(bench.read(0, 5, 10).await.error, ErrorCode::OffsetOutOfRange);
        assert_eq!(bench.read(1, 0, 10).await.error, ErrorCode::NotLeaderOrFollower);
    });
}

#[test]
fn offsets_are_found_by_time() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, small_segments())).await.unwrap();
        for _ in 0..20 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(1)).await;
        for (query, offset, timestamp_ms) in [
            (OffsetQuery::Earliest, 0, -1),
            (OffsetQuery::Latest { committed_only: false }, 40, -1),
            (OffsetQuery::MaxTimestamp, 1, 1001),
            (OffsetQuery::AtTimestamp { timestamp_ms: 5 }, 0, 1000),
            (OffsetQuery::AtTimestamp { timestamp_ms: 1002 }, -1, -1),
        ] {
            let found = bench.shards.offset(key(0), query, None).await.unwrap();
            assert_eq!((found.offset.0, found.timestamp_ms), (offset, timestamp_ms), "{query:?}");
        }
    });
}

#[test]
fn little_memory_slows_appends_down_and_loses_none() {
    let options = ShardsOptions { memory_bytes_max: 200_000, ..ShardsOptions::default() };
    on_bench(&options, async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        let value = vec![5; 10_000];
        let appends: Vec<_> = (0..400)
            .map(|n| bench.append(Acks::All, n % 4, batch_of(BatchOptions::default(), 1, &value)))
            .collect();
        for append in appends {
            append.await.unwrap();
        }
        for partition in 0..4 {
            assert_eq!(bench.read_all(partition).await, (0..100).collect::<Vec<_>>());
        }
        assert!(bench.shards.common.budget.used() < 200_000, "{}", bench.shards.common.budget.used());
    });
}

#[test]
fn tails_of_quiet_partitions_come_into_their_segments() {
    on_bench(&ShardsOptions::default(), async |bench| {
        let files = bench.host.disk.files();
        let path = |partition| PathBuf::from(format!("/data/flights-{partition}/00000000000000000000.log"));
        let size = batch().size() as u64;
        for partition in 0..200 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        assert!(
            (0..200).all(|partition| !files.exists(&path(partition)).unwrap()),
            "written with each append"
        );
        bench.sleep(Duration::from_secs(10)).await;
        for partition in 0..200 {
            let file = files.open(&path(partition), OpenMode::READ).unwrap();
            assert_eq!(file.len().unwrap(), size, "partition {partition}");
        }
    });
}

#[test]
fn retention_and_deletion_remove_files() {
    let options =
        ShardsOptions { retention_check_interval: Duration::from_secs(60), ..ShardsOptions::default() };
    on_bench(&options, async |bench| {
        let files = bench.host.disk.files();
        let config = LogConfig { retention_bytes: Some(3_000), ..small_segments() };
        bench.shards.open(spec(0, config)).await.unwrap();
        for _ in 0..40 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(120)).await;
        let status = bench.status(0).await;
        assert!(status.log_start_offset > Offset(0) && status.size_bytes < 6_000, "{status:?}");
        assert_eq!(bench.read(0, 0, 10).await.error, ErrorCode::OffsetOutOfRange);
        let names = || -> Vec<String> {
            files
                .read_dir(Path::new("/data/flights-0"))
                .unwrap()
                .into_iter()
                .map(|entry| entry.name)
                .collect()
        };
        assert!(!names().iter().any(|name| name.starts_with("00000000000000000000.")), "{:?}", names());
        bench.shards.delete(key(0)).await.unwrap();
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::NotLeaderOrFollower));
        let list = || -> Vec<String> {
            files.read_dir(Path::new("/data")).unwrap().into_iter().map(|entry| entry.name).collect()
        };
        assert!(list().iter().any(|name| name.ends_with("-delete")), "{:?}", list());
        bench.sleep(Duration::from_secs(10)).await;
        assert_eq!(list(), Vec::<String>::new());
    });
}

#[test]
fn the_journal_gets_its_space_back() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..6 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        let large = vec![1; 50_000];
        for partition in 0..6 {
            // Half of them are stragglers.
            let value = if partition % 2 == 0 { &large[..] } else { &large[..10] };
            bench.append(Acks::All, partition, batch_of(BatchOptions::default(), 1, value)).await.unwrap();
        }
        let (before, head) = {
            let fake = bench.committer.state.lock().unwrap();
            (fake.entries, Position(fake.position))
        };
        bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: head, full: false });
        bench.sleep(Duration::from_secs(1)).await;
        let fake = bench.committer.state.lock().unwrap();
        assert_eq!(fake.entries, before + 3, "stragglers are submitted again");
        for released in &fake.released[fake.released.len() - 2..] {
            assert!(released.is_none_or(|position| position > head), "{released:?} of {head:?}");
        }
    });
}

/// A full journal asks for everything up to its end while its last rounds are still being synced. What they hold cannot
/// be written out yet; it was forgotten, the journal never got its space back, and all appends stood still.
#[test]
fn what_is_asked_for_before_the_journal_has_synced_it_is_written_out_then() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
        }
        bench.committer.hold();
        let waiting: Vec<_> = (0..4).map(|partition| bench.append(Acks::All, partition, batch())).collect();
        bench.sleep(Duration::from_millis(10)).await;
        let head = bench.committer.write();
        bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: head, full: true });
        bench.sleep(Duration::from_secs(3)).await;
        bench.committer.state.lock().unwrap().released.clear();
        bench.committer.let_go();
        for appended in waiting {
            appended.await.unwrap();
        }
        bench.sleep(Duration::from_secs(3)).await;
        let fake = bench.committer.state.lock().unwrap();
        let freed = |released: &&Option<Position>| released.is_none_or(|position| position > head);
        let told = fake.released.iter().filter(freed).count();
        assert_eq!(told, bench.host.tasks.shards(), "{:?} of {head:?}", fake.released);
    });
}

/// 1,000 partitions written as fast as they could be stood still for ever: the last round before the journal was full
/// had entries of one shard only, and the other believed that its waiting entries might lie where space was wanted.
#[test]
fn a_shard_without_a_part_in_the_last_round_gives_space_back_too() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..6 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        let written = Position(bench.committer.state.lock().unwrap().position);
        bench.committer.hold();
        let waiting: Vec<_> = (0..6).map(|partition| bench.append(Acks::All, partition, batch())).collect();
        bench.sleep(Duration::from_millis(10)).await;
        bench.committer.state.lock().unwrap().released.clear();
        bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: written, full: true });
        bench.sleep(Duration::from_secs(1)).await;
        let released = std::mem::take(&mut bench.committer.state.lock().unwrap().released);
        let shards = bench.host.tasks.shards();
        assert!(shards > 1 && released.len() >= shards, "{released:?} of {shards} shards");
        for released in released {
            assert!(released.is_some_and(|position| position > written), "{released:?} of {written:?}");
        }
        bench.committer.let_go();
        for appended in waiting {
            appended.await.unwrap();
        }
    });
}

#[test]
fn a_failed_journal_is_told_to_everybody() {
    on_bench(&ShardsOptions::default(), async |bench| {
        bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
        bench.append(Acks::All, 0, batch()).await.unwrap();
        bench.committer.hold();
        let waiting = bench.append(Acks::All, 0, batch());
        let failed = bench.shards.failed();
        let mut waiting = Box::pin(waiting);
        assert_eq!(futures_now(&mut waiting), None);
        bench.committer.report(&Report::Failed { dir: 0, error: Arc::from("it is broken") });
        assert_eq!(waiting.await, Err(ErrorCode::KafkaStorageError));
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::KafkaStorageError));
        assert_eq!(bench.read(0, 0, 10).await.error, ErrorCode::KafkaStorageError);
        assert!(failed.await.contains("it is broken"));
        assert!(bench.shards.open(spec(1, LogConfig::default())).await.is_err());
    });
}

#[test]
fn a_clean_stop_writes_everything_out() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        bench.shards.stop().await;
        assert_eq!(bench.committer.state.lock().unwrap().stopped, bench.host.tasks.shards());
        for partition in 0..4 {
            let path = format!("/data/flights-{partition}/00000000000000000000.log");
            let bytes = bench.host.disk.files().read(Path::new(&path), 10_000).unwrap();
            assert_eq!(bytes.len(), batch().size());
        }
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::NotLeaderOrFollower));
    });
}
