//! The blocking calls on a simulated disk's names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::faults::OpKind;
use super::file::SimFile;
use super::names::{Entry, Ino};
use super::state::{Gate, Shared, State, note};
use crate::disk::{DirEntry, FileRef, Files, Lock, OpenMode, Space};

/// What a disk without a quota claims to have.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// Valid until the disk crashes.
#[derive(Clone, Debug)]
pub(super) struct SimFiles {
    pub(super) shared: Arc<Shared>,
    pub(super) generation: u64,
}

/// Adds the path to an error's text and keeps its kind, as the real machine does.
pub(super) fn at(path: &Path, doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

impl SimFiles {
    /// Carries out one operation that happens whole or not at all.
    fn run<T>(
        &self,
        op: OpKind,
        doing: &str,
        path: &Path,
        act: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.shared.state();
        let result = match state.gate(self.generation, op, path) {
            Gate::Pass => act(&mut state),
            Gate::Fail(error) => Err(error),
            Gate::Die(error) => {
                if state.rng.coin() {
                    drop(act(&mut state));
                }
                Err(error)
            }
        };
        drop(state);
        note(&self.shared, op, path, &[], result.is_err());
        result.map_err(|error| at(path, doing, &error))
    }
}

fn open(state: &mut State, path: &Path, mode: OpenMode) -> io::Result<Ino> {
    let ino = match state.names.find(path) {
        Ok(Entry::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(Entry::File(_)) if mode.create && mode.exclusive => {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Entry::File(ino)) => ino,
        Err(error) if error.kind() == io::ErrorKind::NotFound && mode.create => {
            if !state.fits(1) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.names.create_file(path)?
        }
        Err(error) => return Err(error),
    };
    state.inode(ino).handles += 1;
    Ok(ino)
}

impl Files for SimFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileRef> {
        let ino = self.run(OpKind::Open, "open", path, |state| open(state, path, mode))?;
        let (path, files) = (path.to_owned(), self.clone());
        Ok(Arc::new(SimFile { files, ino, path, direct: mode.direct, writable: mode.write }))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.run(OpKind::ReadDir, "list", path, |state| state.names.list(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // What is there needs no room, but the device may fail to tell.
        let is_there = self.shared.state().names.find_dir(path).is_ok();
        let op = if is_there { OpKind::ReadDir } else { OpKind::CreateDir };
        self.run(op, "create directory", path, |state| state.names.create_dir_all(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let doing = format!("rename to {}:", to.display());
        self.run(OpKind::Rename, &doing, from, |state| state.names.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::Remove, "remove", path, |state| state.names.remove_file(path).map(drop))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::Remove, "remove directory", path, |state| state.names.remove_dir_all(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.run(OpKind::SyncDir, "sync directory", path, |state| {
            let dir = state.names.find_dir(path)?;
            state.names.sync_dir(dir);
            state.collect_if_due();
            Ok(())
        })
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.run(OpKind::ReadDir, "look up", path, |state| match state.names.find(path) {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(error),
        })
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.run(OpKind::Space, "measure free space of", path, |state| {
            state.names.find(path)?;
            let total_bytes = state.faults.quota_bytes.unwrap_or(UNLIMITED_BYTES);
            Ok(Space { total_bytes, available_bytes: total_bytes.saturating_sub(state.used_bytes()) })
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let ino = self.run(OpKind::Lock, "lock", path, |state| {
            let ino = open(state, path, OpenMode::CREATE)?;
            if state.locked.insert(ino) {
                return Ok(ino);
            }
            state.inode(ino).handles -= 1;
            Err(io::ErrorKind::WouldBlock.into())
        })?;
        Ok(Box::new(SimLock { files: self.clone(), ino, _path: path.to_owned() }))
    }
}

#[derive(Debug)]
struct SimLock {
    files: SimFiles,
    ino: Ino,
    _path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.files.shared.state();
        // A crash has released it already, and somebody else may hold it now.
        if state.generation == self.files.generation {
            state.locked.remove(&self.ino);
            state.inode(self.ino).handles -= 1;
        }
    }
}
