//! Opens the log directories, recovers what they hold, and starts the shards over it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::{Files, Host, Op, Place};
use storage::directory::{self, Opened, RecoveredPartition};
use storage::journal::Options as JournalOptions;
use storage::log::{Recovered, recover};
use storage::segment::OpenFiles;
use storage::segment::names::DELETED_DIR_SUFFIX;
use storage::{Error, PartitionKey};

use super::broken::Broken;
use super::committer;
use super::message::Message;
use super::start::{Mailboxes, RecoveryReport, StartDirectory, StartError, launch};
use super::{Shards, ShardsOptions};
use crate::random;

/// Threads that recover the partitions of a directory.
const RECOVERY_LANES: usize = 4;
/// Of each of them. A partition's files are needed one after the other, and not again.
const RECOVERY_OPEN_FILES: usize = 16;

/// A directory and its partitions, or why they cannot be served.
struct Found {
    opened: Opened,
    partitions: Partitions,
    deleted: Vec<PathBuf>,
}

impl Shards {
    /// Opens the log directories (made if they are not there), recovers them and starts the shards. A directory that
    /// cannot be used is left out, as in Kafka, and said so; without any there is no start.
    pub async fn start(host: &Host, options: ShardsOptions) -> Result<Self, StartError> {
        if options.log_dirs.is_empty() {
            return Err(StartError::NoDirectories);
        }
        let began = host.now();
        let opening: Vec<_> = options.log_dirs.iter().map(|path| open(host, &options, path)).collect();
        let mut recovering = Vec::new();
        for opened in opening {
            recovering.push(opened.await.map(|opened| Recovering::begin(host, opened)));
        }
        let mailboxes = Mailboxes::new(host.tasks.shards());
        let mut directories = Vec::new();
        let mut recovery = RecoveryReport { clean: true, ..RecoveryReport::default() };
        let mut first_error = None;
        for (path, recovering) in options.log_dirs.iter().zip(recovering) {
            let found = match async { recovering?.found().await }.await {
                Ok(found) => found,
                // Whose it is must be sorted out before anything is written.
                Err(error @ StartError::Storage(Error::Locked { .. })) => return Err(error),
                Err(error) => {
                    tracing::error!(dir = %path.display(), "the log directory is offline, the others are not touched by that: {error}");
                    recovery.offline.push((path.clone(), error.to_string()));
                    first_error.get_or_insert(error);
                    continue;
                }
            };
            note(&found, &mut recovery);
            directories.push(start_directory(host, &options, directories.len(), &mailboxes, found));
        }
        if let Some(error) = first_error.filter(|_| directories.is_empty()) {
            return Err(error);
        }
        recovery.elapsed = host.now().since(began);
        Ok(launch(host, &options, mailboxes, directories, recovery))
    }
}

fn start_directory(
    host: &Host,
    options: &ShardsOptions,
    dir: usize,
    mailboxes: &Mailboxes,
    found: Found,
) -> StartDirectory {
    let senders = mailboxes.senders();
    let shards = senders.len();
    let report = move |shard: usize, report| {
        if let Some(mailbox) = senders.get(shard) {
            // A shard that has ended needs no reports.
            let _ = mailbox.send(Message::Report(report));
        }
    };
    let path = found.opened.path.clone();
    let committer_options = committer::Options::new(options.disk_reserve_bytes);
    let (committer, task) = committer::start(
        host,
        Place::Shard(dir),
        dir,
        found.opened,
        committer_options,
        shards,
        Arc::new(report),
    );
    StartDirectory { path, committer, task: Some(task), found: found.partitions, deleted: found.deleted }
}

fn open(
    host: &Host,
    options: &ShardsOptions,
    path: &Path,
) -> impl Future<Output = Result<(Opened, Vec<PathBuf>), StartError>> + Send + use<> {
    let journal = JournalOptions { bytes_max: options.journal_bytes_max, ..Default::default() };
    let (path, id) = (path.to_owned(), random::uuid(host));
    run(host, move |files| {
        let opened = directory::open(files, &path, journal, id)?;
        let deleted = deleted(files, &opened.path);
        Ok((opened, deleted))
    })
}

/// A directory whose partitions are being recovered, several at once: most of it is many small system calls, and
/// waiting for the disk.
struct Recovering<F> {
    opened: Opened,
    deleted: Vec<PathBuf>,
    parts: Vec<F>,
}

type Partitions = Vec<(PartitionKey, Result<Recovered, Broken>)>;

impl Recovering<()> {
    fn begin(
        host: &Host,
        (mut opened, deleted): (Opened, Vec<PathBuf>),
    ) -> Recovering<impl Future<Output = Result<Partitions, StartError>> + Send + use<>> {
        let mut left = std::mem::take(&mut opened.partitions);
        let share = left.len().div_ceil(RECOVERY_LANES);
        let mut parts = Vec::new();
        while !left.is_empty() {
            let part = left.split_off(left.len().saturating_sub(share));
            let (path, open) = (opened.path.clone(), OpenFiles::new(RECOVERY_OPEN_FILES));
            parts.push(run(host, move |files| {
                Ok(part.into_iter().map(|partition| recover_one(files, &open, &path, partition)).collect())
            }));
        }
        Recovering { opened, deleted, parts }
    }
}

impl<F: Future<Output = Result<Partitions, StartError>>> Recovering<F> {
    async fn found(self) -> Result<Found, StartError> {
        let mut partitions = Vec::new();
        for part in self.parts {
            partitions.extend(part.await?);
        }
        Ok(Found { opened: self.opened, partitions, deleted: self.deleted })
    }
}

fn recover_one(
    files: &dyn Files,
    open: &OpenFiles,
    log_dir: &Path,
    partition: RecoveredPartition,
) -> (PartitionKey, Result<Recovered, Broken>) {
    let RecoveredPartition { state, entries, damage, .. } = partition;
    let (key, topic) = (state.key, state.topic.clone());
    let positions = entries.iter().map(|(position, _)| *position);
    let oldest_needed = positions.chain(damage.as_ref().map(|damage| damage.position)).min();
    let is_damaged = damage.is_some();
    let recovered = match damage {
        Some(damage) => {
            let (path, offset) = (damage.path.display(), damage.offset);
            Err(format!("{path}: damaged at byte {offset}: an entry that was synced cannot be read"))
        }
        None => {
            recover(files, open, log_dir, state, entries.iter().cloned()).map_err(|error| error.to_string())
        }
    };
    if let Err(why) = &recovered {
        tracing::error!(%topic, partition = key.partition, "the partition is offline: {why}");
    }
    let bodies = || entries.into_iter().map(|(_, body)| body).collect();
    let again = |why| Broken::new(topic, why, oldest_needed, (!is_damaged).then(bodies));
    (key, recovered.map_err(again))
}

/// What was on its way out when the process ended. Removing it takes milliseconds for each, and can wait.
fn deleted(files: &dyn Files, path: &Path) -> Vec<PathBuf> {
    // A directory that cannot be listed has been refused before.
    let entries = files.read_dir(path).unwrap_or_default();
    let deleted = entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with(DELETED_DIR_SUFFIX));
    deleted.map(|entry| path.join(&entry.name)).collect()
}

fn note(found: &Found, recovery: &mut RecoveryReport) {
    let of_journal = &found.opened.found;
    let path = found.opened.path.display();
    if let Some(cut) = &of_journal.cut {
        let (file, offset, round) = (cut.path.display(), cut.offset, cut.round);
        tracing::warn!(dir = %path, "the journal was cut at round {round}, byte {offset} of {file}: it was not synced");
    }
    if !of_journal.clean {
        let (rounds, bytes) = (of_journal.rounds, of_journal.journal_bytes);
        tracing::info!(dir = %path, rounds, bytes, "the last stop was not a clean one: the journal was replayed");
    }
    recovery.directory_ids.push(found.opened.meta.directory_id);
    recovery.clean &= of_journal.clean;
    recovery.partitions += found.partitions.len();
    for (_, partition) in &found.partitions {
        match partition {
            Ok(partition) => {
                recovery.batches += partition.batches();
                recovery.bytes += partition.bytes();
            }
            Err(_) => recovery.broken += 1,
        }
    }
}

/// Runs blocking work in a lane of its own, from now on.
fn run<T: Send + 'static, W: FnOnce(&dyn Files) -> Result<T, Error> + Send + 'static>(
    host: &Host,
    work: W,
) -> impl Future<Output = Result<T, StartError>> + Send + use<T, W> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let ran = host.disk.lane("recovery").run(Op::Call(Box::new(move |files| {
        // Nobody waits for it if the start was given up.
        let _ = send.send(work(files));
        Ok(bytes::Bytes::new())
    })));
    async move {
        match (ran.await, receive.await) {
            (_, Ok(result)) => result.map_err(StartError::from),
            (Err(error), Err(_)) => Err(StartError::Lane(error)),
            (Ok(_), Err(_)) => Err(StartError::Lane(std::io::Error::other("no result"))),
        }
    }
}
