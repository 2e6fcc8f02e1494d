//! The metadata directory: who it belongs to, and that nobody else uses it.
//!
//! Invariants:
//! * A new directory gets its quorum state first and `meta.properties` last: the second says that all is there.
//! * A directory that is only half there is refused, for it may have voted or held what was acknowledged.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use host::disk::Lock;
use host::{Files, Host};
use protocol::Uuid;

use crate::error::{Doing, Error};
use crate::log::{self, Opened, StateFile};
use crate::options::{Bootstrap, Identity, Options};
use crate::properties::MetaProperties;

/// The node id of a new directory when nobody gives one.
const DEFAULT_NODE_ID: i32 = 1;

/// A directory that is locked, known and read.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) lock: Box<dyn Lock>,
    pub(crate) identity: Identity,
    pub(crate) log: Opened,
}

impl Directory {
    /// Opens or makes the metadata directory of data directory `dir`. Blocking: for start only.
    pub(crate) fn open(host: &Host, dir: &Path, options: &Options) -> Result<Self, Error> {
        let files = &*host.disk.files();
        let log_dir = dir.join(log::DIR_NAME);
        let properties = MetaProperties::load(files, dir)?;
        if let Some(properties) = &properties {
            properties.check(dir, options.cluster_id.as_deref(), options.node_id)?;
        }
        let has_state =
            files.exists(&log_dir.join(log::STATE_FILE_NAME)).doing("look for the metadata log")?;
        if let Some(properties) = properties.as_ref().filter(|_| !has_state) {
            return Err(Error::LogMissing {
                file: MetaProperties::path(dir),
                log: log_dir,
                cluster_id: properties.cluster_id.clone(),
            });
        }
        create_durably(files, &log_dir)?;
        let lock = lock(files, &log_dir)?;
        sync_names(files, dir)?;
        if !has_state {
            create_state(host, files, &log_dir)?;
        }
        files.sync_dir(&log_dir).doing("sync the metadata log directory")?;
        let loaded = StateFile::load(files, &log_dir)?;
        let raft_id = loaded.state_file.raft_id;
        let log = log::open(files, &log_dir, loaded)?;
        let properties = match properties {
            Some(properties) => properties,
            None if log.is_pristine() => create_properties(host, files, dir, options)?,
            None => return Err(Error::IdentityMissing { file: MetaProperties::path(dir) }),
        };
        let MetaProperties { cluster_id, node_id, directory_id } = properties;
        Ok(Self { lock, identity: Identity { cluster_id, node_id, directory_id, raft_id }, log })
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.log.dir.clone()
    }
}

fn lock(files: &dyn Files, log_dir: &Path) -> Result<Box<dyn Lock>, Error> {
    match files.lock(&log_dir.join(".lock")) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(Error::Locked { dir: log_dir.to_owned() }),
        other => other.doing("lock the metadata directory"),
    }
}

/// Makes a directory and what is missing above it, and makes their names durable: a log under a name that a power
/// loss takes away is lost.
fn create_durably(files: &dyn Files, dir: &Path) -> Result<(), Error> {
    let mut parents = Vec::new();
    for dir in dir.ancestors() {
        if dir.as_os_str().is_empty() || files.exists(dir).doing("look for a directory")? {
            break;
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        parents.push(parent.unwrap_or(Path::new(".")));
    }
    files.create_dir_all(dir).doing("create the metadata directory")?;
    parents.iter().rev().try_for_each(|parent| files.sync_dir(parent)).doing("sync a directory")
}

/// Syncs the names of the metadata directory and of its data directory, which a start that was killed may have made, or one that
/// ended because it could not sync them: this one would count on names that a power loss takes away.
fn sync_names(files: &dyn Files, dir: &Path) -> Result<(), Error> {
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty())
        && let Err(error) = files.sync_dir(parent)
    {
        use ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
        if !matches!(error.kind(), PermissionDenied | InvalidInput | ReadOnlyFilesystem | Unsupported) {
            return Err(error).doing("sync the parent of the data directory");
        }
        // It may be closed to this user; then somebody else made the directory, some time ago.
        tracing::debug!(%error, "cannot sync the parent of the data directory");
    }
    files.sync_dir(dir).doing("sync the data directory")
}

/// Mints the raft id.
fn create_state(host: &Host, files: &dyn Files, log_dir: &Path) -> Result<(), Error> {
    // Zero looks like an id that was never set.
    let raft_id = std::iter::repeat_with(|| host.rng.next_u64()).find(|id| *id != 0).unwrap_or(1);
    StateFile::create(files, log_dir, raft_id).map(drop)
}

fn create_properties(
    host: &Host,
    files: &dyn Files,
    dir: &Path,
    options: &Options,
) -> Result<MetaProperties, Error> {
    let cluster_id = match (&options.cluster_id, options.bootstrap) {
        (Some(cluster_id), _) => cluster_id.clone(),
        (None, Bootstrap::Create) => random_uuid(host).to_string(),
        (None, Bootstrap::Join) => return Err(Error::ClusterIdNeeded),
    };
    let node_id = options.node_id.unwrap_or(DEFAULT_NODE_ID);
    let properties = MetaProperties { cluster_id, node_id, directory_id: random_uuid(host) };
    properties.store(files, dir)?;
    Ok(properties)
}

fn random_uuid(host: &Host) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        host.rng.fill(&mut bytes);
        if let Some(uuid) = Uuid::from_random(bytes) {
            return uuid;
        }
    }
}
