//! Starts the shards over what the log directories hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use host::{Host, Place, Task};
use protocol::Uuid;
use protocol::ids::Offset;
use storage::PartitionKey;
use storage::log::Recovered;
use storage::segment::OpenFiles;
use tokio::sync::{mpsc, watch};

use super::broken::Broken;
use super::cleaner::Cleaners;
use super::directory::{Directory, DirectoryParts, SendToCommitter};
use super::housekeeping::{Removal, Removals};
use super::memory::Budget;
use super::message::Message;
use super::shard::{Common, Shard};
use super::{Shards, ShardsOptions, shard_of};

/// Why the shards did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error("log.dirs is empty")]
    NoDirectories,
    #[error("recovery did not come to its end: {0}")]
    Lane(std::io::Error),
}

/// What a start has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    pub partitions: usize,
    /// Partitions that cannot be served.
    pub broken: usize,
    /// Batches that only the journal had.
    pub batches: usize,
    pub bytes: usize,
    /// The last stop was a clean one, in every directory.
    pub clean: bool,
    /// The ids of the log directories that work, in the order of `log.dirs`.
    pub directory_ids: Vec<Uuid>,
    /// The others, and why they do not.
    pub offline: Vec<(PathBuf, String)>,
    pub elapsed: Duration,
}

/// A directory with its committer and the partitions that were found in it.
pub(super) struct StartDirectory {
    pub(super) path: PathBuf,
    pub(super) committer: SendToCommitter,
    /// The committer's task, for the stop.
    pub(super) task: Option<Task>,
    pub(super) found: Vec<(PartitionKey, Result<Recovered, Broken>)>,
    /// Directories that were on their way out when the process ended.
    pub(super) deleted: Vec<PathBuf>,
}

/// Mailboxes come before committers, which report into them.
pub(super) struct Mailboxes {
    senders: Arc<[mpsc::UnboundedSender<Message>]>,
    receivers: Vec<mpsc::UnboundedReceiver<Message>>,
}

impl Mailboxes {
    pub(super) fn new(shards: usize) -> Self {
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..shards.max(1)).map(|_| mpsc::unbounded_channel()).unzip();
        Self { senders: senders.into(), receivers }
    }

    pub(super) fn senders(&self) -> Arc<[mpsc::UnboundedSender<Message>]> {
        self.senders.clone()
    }
}

/// Threads that sync the segments of a directory (decision 0001 has the figures).
const SYNC_LANES: usize = 4;

/// Spawns a task for each mailbox.
pub(super) fn launch(
    host: &Host,
    options: &ShardsOptions,
    mailboxes: Mailboxes,
    directories: Vec<StartDirectory>,
    recovery: RecoveryReport,
) -> Shards {
    let Mailboxes { senders, receivers } = mailboxes;
    let open = Arc::new(OpenFiles::new(options.open_files_max));
    let common = Arc::new(common(options, &directories, &recovery));
    let mut parts = Vec::new();
    let mut committers = Vec::new();
    let mut owned: Vec<Owned> = senders.iter().map(|_| Owned::default()).collect();
    for (dir, directory) in directories.into_iter().enumerate() {
        for (key, recovered) in directory.found {
            if let Some(owned) = owned.get_mut(shard_of(&key, senders.len())) {
                owned.add(&common.paths, dir, key, recovered);
            }
        }
        for path in directory.deleted {
            if let Some(first) = owned.first_mut() {
                first.removals.push(host.now(), dir, Removal::Directory(path));
            }
        }
        committers.extend(directory.task);
        parts.push(parts_of(host, directory.path, directory.committer, &open));
    }
    for (index, (mailbox, owned)) in receivers.into_iter().zip(owned).enumerate() {
        let Owned { found, broken, removals, empty_copies } = owned;
        let directories = directories_of(&parts, index, empty_copies);
        let shard = Shard {
            common: common.clone(),
            mailbox,
            peers: senders.clone(),
            index,
            partitions: BTreeMap::new(),
            found,
            broken,
            lost: BTreeMap::new(),
            directories,
            reads_lane: host.disk.lane("segment reads"),
            open: open.clone(),
            groups: super::groups::Groups::default(),
            reads: super::read::Reads::default(),
            parked: std::collections::VecDeque::new(),
            evictable: std::collections::VecDeque::new(),
            removals,
            scrub: super::scrub::Scrub::new(host.now(), options.scrub),
            next_tick: host.now(),
            next_retention: host.now().after(options.retention_check_interval),
            next_reminder: host.now().after(super::reminders::REMINDER),
            swept: None,
            stopping: None,
            stop_pass: None,
            written_out: None,
            ended: false,
            squeeze_at: host.now(),
            host: host.clone(),
        };
        host.spawn(Place::Shard(index), "shard", shard.run());
    }
    let cleaners = Cleaners::start(host, &senders, &open, options.cleaner, options.disk_reserve_bytes);
    let (committers, recovery) = (committers.into(), Arc::new(recovery));
    Shards { mailboxes: senders, common, recovery, committers, cleaners }
}

/// The log directories as shard `index` sees them, without what is empty there and has records elsewhere.
fn directories_of(
    parts: &[DirectoryParts],
    index: usize,
    empty_copies: Vec<(usize, PartitionKey)>,
) -> Vec<Directory> {
    let mut directories: Vec<Directory> =
        parts.iter().map(|parts| Directory::new(parts.clone(), index)).collect();
    for (dir, key) in empty_copies {
        if let Some(directory) = directories.get_mut(dir) {
            directory.forget(key);
        }
    }
    directories
}

fn parts_of(host: &Host, path: PathBuf, committer: SendToCommitter, open: &Arc<OpenFiles>) -> DirectoryParts {
    DirectoryParts {
        path,
        committer,
        writes: host.disk.lane("segment writes"),
        removals: host.disk.background_lane("removals"),
        syncs: (0..SYNC_LANES).map(|_| host.disk.lane("segment syncs")).collect(),
        open: open.clone(),
    }
}

fn common(options: &ShardsOptions, directories: &[StartDirectory], recovery: &RecoveryReport) -> Common {
    let offline: Vec<String> = recovery.offline.iter().map(|(path, _)| path.display().to_string()).collect();
    let lost = if offline.is_empty() {
        OnceLock::new()
    } else {
        OnceLock::from(format!("{} was offline at the start", offline.join(", ")))
    };
    let cordoned = |dir: &StartDirectory| AtomicBool::new(options.cordoned.contains(&dir.path));
    let count = |dir: &StartDirectory| AtomicUsize::new(dir.found.len());
    Common {
        budget: Budget::new(options.memory_bytes_max),
        paths: directories.iter().map(|directory| directory.path.clone()).collect(),
        ids: recovery.directory_ids.clone(),
        partitions: directories.iter().map(count).collect(),
        cordoned: directories.iter().map(cordoned).collect(),
        offline: watch::Sender::new(vec![None; directories.len()]),
        producer_id_expiration_ms: AtomicU64::new(options.producer_id_expiration_ms),
        retention_check_interval: options.retention_check_interval,
        disk_reserve_bytes: options.disk_reserve_bytes,
        lost,
        settled: AtomicBool::new(false),
        scrub: options.scrub,
        strays: Mutex::default(),
    }
}

/// What one shard gets of what was found on disk.
#[derive(Default)]
struct Owned {
    found: BTreeMap<PartitionKey, (usize, Recovered)>,
    broken: BTreeMap<PartitionKey, (usize, Broken)>,
    removals: Removals,
    /// What another directory has with records in it.
    empty_copies: Vec<(usize, PartitionKey)>,
}

impl Owned {
    fn add(
        &mut self,
        paths: &[PathBuf],
        dir: usize,
        key: PartitionKey,
        recovered: Result<Recovered, Broken>,
    ) {
        match recovered {
            Ok(recovered) => {
                let found = match self.found.remove(&key) {
                    Some(other) => self.choose(paths, key, other, (dir, recovered)),
                    None => (dir, recovered),
                };
                self.found.insert(key, found);
            }
            Err(broken) => drop(self.broken.insert(key, (dir, broken))),
        }
    }

    /// Of two copies the one with more records; the other one is not touched, and forgotten if it has none. (Starts without one
    /// of the directories have made such copies once.)
    fn choose(
        &mut self,
        paths: &[PathBuf],
        key: PartitionKey,
        one: (usize, Recovered),
        other: (usize, Recovered),
    ) -> (usize, Recovered) {
        let (kept, left) = if one.1.log_end() < other.1.log_end() { (other, one) } else { (one, other) };
        let path = |dir: usize| paths.get(dir).map(|path| path.display().to_string()).unwrap_or_default();
        let (topic, ends) = (&kept.1.state().topic, [kept.1.log_end().0, left.1.log_end().0]);
        let (served, ignored) = (path(kept.0), path(left.0));
        tracing::error!(%topic, partition = key.partition, ?ends, served, ignored, "the partition is in two log directories");
        if left.1.log_end() == Offset(0) {
            self.empty_copies.push((left.0, key));
        }
        kept
    }
}
