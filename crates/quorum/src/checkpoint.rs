//! Snapshots as files: `<index>-<term>.checkpoint`.
//!
//! Invariants:
//! * A checkpoint has its name only once it is whole and synced; older ones are removed after that.
//! * The newest one is the base of the log: if it is damaged there is no way back, and that is an error.
//! * A full disk only puts a checkpoint off: the log grows until there is room again.
//!
//! Does not know: what the state is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use host::{Files, Host, LaneRef, Op, OpenMode};

use crate::codec::{Malformed, Reader, crc32c, put_log_id, put_membership, take_log_id, take_membership};
use crate::error::{Doing, Error};
use crate::raft::{LogId, Snapshot, SnapshotMeta, StoredMembership};
use crate::state::Encode;

/// Largest checkpoint that is read.
const BYTES_MAX: u64 = 1 << 30;
/// Pieces of this size keep a long write from holding up the syncs of others.
const WRITE_BYTES: usize = 256 << 10;

/// How long a checkpoint waits for room on a full disk before it is tried again.
const FULL_DISK_WAIT: Duration = Duration::from_secs(5);

const MAGIC: &[u8; 8] = b"bournmck";
const VERSION: u16 = 1;
/// magic, version, reserved, checksum, length of the meta part
const HEADER_BYTES: usize = 8 + 2 + 2 + 4 + 4;

/// The checkpoints of one metadata directory.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    host: Host,
    dir: PathBuf,
    newest: Arc<Mutex<Option<SnapshotMeta>>>,
}

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) meta: SnapshotMeta,
    pub(crate) state: Bytes,
}

impl Checkpoints {
    /// Reads the newest checkpoint, if there is one. Blocking: for start only.
    pub(crate) fn open(host: &Host, dir: &Path) -> Result<(Self, Option<Checkpoint>), Error> {
        let files = host.disk.files();
        let mut names = Vec::new();
        for entry in files.read_dir(dir).doing("list the checkpoints")? {
            names.extend(id_of(&entry.name).map(|id| (id, dir.join(&entry.name))));
        }
        names.sort();
        let newest = match names.last() {
            Some((id, path)) => Some(read(&*files, path, *id)?),
            None => None,
        };
        let meta = newest.as_ref().map(|newest| newest.meta.clone());
        let newest_meta = Arc::new(Mutex::new(meta));
        Ok((Self { host: host.clone(), dir: dir.to_owned(), newest: newest_meta }, newest))
    }

    pub(crate) fn newest(&self) -> Option<SnapshotMeta> {
        self.newest.lock().expect("nothing panics with this locked").clone()
    }

    pub(crate) fn path(&self, meta: &SnapshotMeta) -> PathBuf {
        self.dir.join(name_of(meta.last_log_id.as_ref()))
    }

    /// Encodes the state and writes it on a lane of its own; then it is the newest checkpoint.
    pub(crate) async fn write(&self, meta: SnapshotMeta, encode: Encode) -> io::Result<Snapshot> {
        let lane = self.host.disk.lane("metadata-checkpoint");
        let state = lane.run(Op::Call(Box::new(move |_| Ok(encode())))).await?;
        while let Err(error) = self.write_once(&lane, &meta, &state).await {
            if !matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return Err(error);
            }
            tracing::warn!(%error, "no room for a checkpoint of the metadata; the log grows until there is");
            self.host.clock.sleep(FULL_DISK_WAIT).await;
        }
        let mut newest = self.newest.lock().expect("nothing panics with this locked");
        if newest.as_ref().is_none_or(|newest| newest.last_log_id < meta.last_log_id) {
            *newest = Some(meta.clone());
        }
        Ok(Snapshot { meta, snapshot: state })
    }

    async fn write_once(&self, lane: &LaneRef, meta: &SnapshotMeta, state: &Bytes) -> io::Result<()> {
        let (dir, path) = (self.dir.clone(), self.path(meta));
        let (meta, state) = (meta.clone(), state.clone());
        let call = Op::Call(Box::new(move |files| {
            let temporary = temporary(&path);
            let written = write(files, &temporary, &meta, &state);
            if written.is_err() {
                // Only to give the room back; the error is what counts.
                drop(files.remove_file(&temporary));
            }
            written?;
            files.rename(&temporary, &path)?;
            files.sync_dir(&dir)?;
            remove_older(files, &dir)?;
            Ok(Bytes::new())
        }));
        lane.run(call).await.map(drop)
    }

    /// Reads the newest checkpoint again, for a member that needs it.
    pub(crate) async fn read_newest(&self) -> io::Result<Option<Snapshot>> {
        let Some(meta) = self.newest() else { return Ok(None) };
        let (path, id) = (self.path(&meta), meta.last_log_id);
        let (send, receive) = tokio::sync::oneshot::channel();
        let call = Op::Call(Box::new(move |files| {
            let id = id.map_or((0, 0), |id| (id.index, id.leader_id.term));
            drop(send.send(read(files, &path, id).map_err(io::Error::other)?));
            Ok(Bytes::new())
        }));
        self.host.disk.lane("metadata-checkpoint").run(call).await?;
        let read = receive.await.map_err(|_| io::Error::other("the disk lane has dropped a result"))?;
        Ok(Some(Snapshot { meta: read.meta, snapshot: read.state }))
    }
}

fn name_of(id: Option<&LogId>) -> String {
    let (index, term) = id.map_or((0, 0), |id| (id.index, id.leader_id.term));
    format!("{index:020}-{term:010}.checkpoint")
}

/// Index and term in a checkpoint's name.
fn id_of(name: &str) -> Option<(u64, u64)> {
    let (index, term) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    (index.len() == 20 && term.len() >= 10).then_some(())?;
    Some((index.parse().ok()?, term.parse().ok()?))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Writes and syncs a whole checkpoint.
fn write(files: &dyn Files, path: &Path, meta: &SnapshotMeta, state: &Bytes) -> io::Result<()> {
    let mut about = BytesMut::new();
    put_log_id(&mut about, meta.last_log_id);
    put_log_id(&mut about, *meta.last_membership.log_id());
    put_membership(&mut about, meta.last_membership.membership());
    let mut head = BytesMut::new();
    head.put_slice(MAGIC);
    head.put_u16(VERSION);
    head.put_u16(0);
    head.put_u32(crc32c(&[&about, state]));
    head.put_u32(u32::try_from(about.len()).map_err(|_| io::ErrorKind::InvalidData)?);
    head.put_slice(&about);
    let file = files.open(path, OpenMode::CREATE)?;
    file.set_len(0)?;
    let mut offset = head.len() as u64;
    file.write_at(&[head.freeze()], 0)?;
    let mut rest = state.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(WRITE_BYTES));
        let len = piece.len() as u64;
        file.write_at(&[piece], offset)?;
        offset += len;
    }
    file.sync()
}

/// Removes every checkpoint but the newest, which need not be the one that was just written: a snapshot of the
/// leader may have overtaken it.
fn remove_older(files: &dyn Files, dir: &Path) -> io::Result<()> {
    let mut all: Vec<_> = files
        .read_dir(dir)?
        .into_iter()
        .filter_map(|entry| Some((id_of(&entry.name)?, entry.name)))
        .collect();
    all.sort();
    all.pop();
    all.iter().try_for_each(|(_, name)| files.remove_file(&dir.join(name)))
}

fn read(files: &dyn Files, path: &Path, id: (u64, u64)) -> Result<Checkpoint, Error> {
    let bytes = Bytes::from(files.read(path, BYTES_MAX).doing("read a checkpoint")?);
    decode(&bytes, id).map_err(|Malformed(reason)| Error::Corrupt {
        file: path.to_owned(),
        position: 0,
        reason: reason.to_owned(),
    })
}

fn decode(bytes: &Bytes, id: (u64, u64)) -> Result<Checkpoint, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(Malformed("this is not a checkpoint"));
    }
    if reader.u16()? != VERSION {
        return Err(Malformed("the checkpoint has an unknown version"));
    }
    let (_reserved, crc, about_bytes) = (reader.u16()?, reader.u32()?, reader.u32()? as usize);
    let about = reader.take(about_bytes)?;
    let state = bytes.slice(HEADER_BYTES + about_bytes..);
    if crc32c(&[about, &state]) != crc {
        return Err(Malformed("the checksum of the checkpoint is wrong"));
    }
    let mut about = Reader::new(about);
    let last_log_id = take_log_id(&mut about)?;
    if last_log_id.map_or((0, 0), |id| (id.index, id.leader_id.term)) != id {
        return Err(Malformed("the checkpoint has the name of another one"));
    }
    let membership_id = take_log_id(&mut about)?;
    let membership = take_membership(&mut about)?;
    about.end()?;
    let last_membership = StoredMembership::new(membership_id, membership);
    Ok(Checkpoint { meta: SnapshotMeta { last_log_id, last_membership }, state })
}
