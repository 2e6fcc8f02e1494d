//! Files, and the lanes that carry out their blocking operations.
//!
//! Two levels: [`Files`] and [`File`] are plain blocking calls, allowed in lanes, at start before anything is
//! served, and in tests; [`Lane`] is submit and complete, which is what every task uses. A lane is a thin driver
//! (one thread on the real machine, one queue of timed events in the simulation), so a slow or failing sync
//! looks the same to the caller on both.
//!
//! Invariants:
//! * A write is durable once a sync of its file that was submitted after its completion has succeeded, never
//!   before. A file's name is durable once [`Files::sync_dir`] of its directory has succeeded.
//! * After a failed sync nothing is known about the unsynced bytes. Nobody syncs again in the hope of better.
//! * The completion of an operation runs on the driver: it hands over the result and returns, nothing else.

mod aligned;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use aligned::{AlignedBuf, AlignedPool};

use crate::BoxFuture;

/// Unit of direct I/O: offsets, lengths and memory of writes to a [`OpenMode::direct`] file are multiples of it.
pub const BLOCK_BYTES: usize = 4096;

/// Checks a write to a [`OpenMode::direct`] file, for both machines alike: `InvalidInput` names what is not aligned.
pub(crate) fn check_direct(pieces: &[Bytes], offset: u64) -> io::Result<()> {
    let block = BLOCK_BYTES as u64;
    let aligned = |piece: &Bytes| {
        piece.len().is_multiple_of(BLOCK_BYTES)
            && (piece.is_empty() || piece.as_ptr().addr().is_multiple_of(BLOCK_BYTES))
    };
    if offset.is_multiple_of(block) && pieces.iter().all(aligned) {
        return Ok(());
    }
    let text = format!("direct write at {offset}: offset, lengths and memory must be multiples of {block}");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

pub type FileRef = Arc<dyn File>;
pub type LaneRef = Arc<dyn Lane>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMode {
    pub write: bool,
    /// Make the file if it is not there.
    pub create: bool,
    /// With `create`: fail with `AlreadyExists` if the file is there.
    pub exclusive: bool,
    /// Past the page cache, in whole blocks of [`BLOCK_BYTES`]. Falls back to buffered I/O where the file system
    /// refuses; [`File::is_direct`] tells.
    pub direct: bool,
}

impl OpenMode {
    pub const READ: Self = Self { write: false, create: false, exclusive: false, direct: false };
    pub const WRITE: Self = Self { write: true, ..Self::READ };
    pub const CREATE: Self = Self { create: true, ..Self::WRITE };
    pub const CREATE_NEW: Self = Self { exclusive: true, ..Self::CREATE };

    #[must_use]
    pub const fn direct(self) -> Self {
        Self { direct: true, ..self }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    pub name: String,
    pub is_dir: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total_bytes: u64,
    /// What this process may still write.
    pub available_bytes: u64,
}

/// An exclusive lock on a file, released when dropped or when the process dies.
pub trait Lock: Send + Sync + fmt::Debug {}

/// Blocking operations on the names of a file system. Errors carry the path in their text.
pub trait Files: Send + Sync + fmt::Debug {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileRef>;

    /// The names in a directory, sorted.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Replaces `to` atomically if it is a file.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes names created, renamed or removed in this directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    fn exists(&self, path: &Path) -> io::Result<bool>;

    fn space(&self, path: &Path) -> io::Result<Space>;

    /// `WouldBlock` if another process (or another open in this one) holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;

    /// Reads a whole file of at most `bytes_max` bytes; a longer one is `InvalidData`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::READ)?;
        let len = file.len()?;
        if len > bytes_max {
            let text = format!("{}: {len} bytes, more than the {bytes_max} expected", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; len];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes `bytes` to a temporary sibling, syncs it, renames it over `path` and syncs the directory: after a
    /// crash the old content or the new one is there, whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let sibling = PathBuf::from(name);
        let file = self.open(&sibling, OpenMode::CREATE)?;
        file.set_len(0)?;
        file.write_at(&[Bytes::copy_from_slice(bytes)], 0)?;
        file.sync()?;
        drop(file);
        self.rename(&sibling, path)?;
        path.parent().map_or(Ok(()), |parent| self.sync_dir(parent))
    }
}

/// An open file. Blocking; positions are explicit, so calls from several threads do not disturb each other.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads until `buf` is full or the file ends; returns how much was read.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `pieces`, one behind the other, from `offset` on. On an error any part may have been written.
    fn write_at(&self, pieces: &[Bytes], offset: u64) -> io::Result<()>;

    /// Makes every completed write durable, and the length (fdatasync).
    fn sync(&self) -> io::Result<()>;

    fn len(&self) -> io::Result<u64>;

    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space without changing what is read; `Unsupported` where the file system cannot. What is reserved behind
    /// the end of the file is set free by [`File::set_len`], of the same length too.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    fn is_direct(&self) -> bool;

    /// Tells the page cache that this region will not be read again soon. Best effort.
    fn forget(&self, offset: u64, len: u64);

    /// A hint: these bytes will be read soon, the disk may begin. A direct file does not care.
    fn read_ahead(&self, offset: u64, len: u64);

    /// Waits until these bytes are in the page cache, as far as the file has them: who sends them from there does not wait
    /// for the disk then. Nothing is copied.
    fn load(&self, offset: u64, len: u64) -> io::Result<()>;

    /// For the network of the same host, which sends file regions without copying.
    fn as_any(&self) -> &dyn Any;
}

/// One operation for a lane.
pub enum Op {
    /// Completes with no bytes.
    Write { file: FileRef, offset: u64, pieces: Vec<Bytes> },
    /// Completes with no bytes.
    Sync { file: FileRef },
    /// Completes with at most `len` bytes, fewer only at the end of the file.
    Read { file: FileRef, offset: u64, len: usize },
    /// Anything else that blocks, for example opening a file. Completes with what the closure returns.
    Call(Call),
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { offset, pieces, .. } => {
                let len: usize = pieces.iter().map(Bytes::len).sum();
                write!(f, "Write {len} at {offset}")
            }
            Self::Sync { .. } => write!(f, "Sync"),
            Self::Read { offset, len, .. } => write!(f, "Read {len} at {offset}"),
            Self::Call(_) => write!(f, "Call"),
        }
    }
}

impl Op {
    /// Carries the operation out right here: for drivers, and for tests that are their own driver.
    pub fn execute(self, files: &dyn Files) -> io::Result<Bytes> {
        match self {
            Self::Write { file, offset, pieces } => file.write_at(&pieces, offset).map(|()| Bytes::new()),
            Self::Sync { file } => file.sync().map(|()| Bytes::new()),
            Self::Read { file, offset, len } => {
                let mut bytes = vec![0; len];
                let read = file.read_at(&mut bytes, offset)?;
                bytes.truncate(read);
                Ok(Bytes::from(bytes))
            }
            Self::Call(call) => call(files),
        }
    }
}

/// A closure of blocking calls.
pub type Call = Box<dyn FnOnce(&dyn Files) -> io::Result<Bytes> + Send>;

/// Receives the result of an operation, on the driver.
pub type Completion = Box<dyn FnOnce(io::Result<Bytes>) + Send>;

/// An ordered queue of blocking operations with its own driver.
pub trait Lane: Send + Sync + fmt::Debug {
    fn submit(&self, op: Op, done: Completion);
}

impl dyn Lane {
    /// Submits `op` and waits for its end. The operation goes on if the future is dropped.
    pub fn run(&self, op: Op) -> BoxFuture<'static, io::Result<Bytes>> {
        let (send, receive) = tokio::sync::oneshot::channel();
        // The receiver may be gone: then nobody wants the result.
        self.submit(op, Box::new(move |result| drop(send.send(result))));
        Box::pin(async move {
            receive.await.unwrap_or_else(|_| Err(io::Error::other("the disk lane has stopped")))
        })
    }
}

pub trait Disk: Send + Sync + fmt::Debug {
    /// The blocking calls, for lanes, for start, and for tests.
    fn files(&self) -> Arc<dyn Files>;

    /// How many files and connections the process may have open at once.
    fn open_files_max(&self) -> usize;

    /// A new lane with a driver of its own; the driver ends when the last reference is dropped and the queue is empty.
    fn lane(&self, name: &'static str) -> LaneRef;

    /// The same for work that nobody waits for: its driver gives way to everything else that wants the processor.
    fn background_lane(&self, name: &'static str) -> LaneRef;
}
