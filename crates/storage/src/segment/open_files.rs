//! [`OpenFiles`]: a bounded number of open segment files, shared by the lanes of a process.
//!
//! Invariants: no more than `files_max` are kept; the one used longest ago is dropped first (whoever still sends
//! from it keeps it open). A file that was renamed or removed is [forgotten](OpenFiles::forget) first, else a new
//! file of its name would be mistaken for it.
//!
//! Only lanes and starts use it, so its lock is not on the way of a record.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::{FileRef, Files, OpenMode};

#[derive(Debug)]
pub struct OpenFiles {
    files_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<PathBuf, (FileRef, u64)>,
    /// Counts uses, as a clock.
    uses: u64,
}

impl OpenFiles {
    #[must_use]
    pub fn new(files_max: usize) -> Self {
        Self { files_max, state: Mutex::default() }
    }

    /// The file at `path`, opened for reading and writing if it is not open yet.
    pub fn get(&self, files: &dyn Files, path: &Path) -> io::Result<FileRef> {
        self.get_or(path, || files.open(path, OpenMode::WRITE))
    }

    /// The same, making the file if it is not there.
    pub fn get_or_create(&self, files: &dyn Files, path: &Path) -> io::Result<FileRef> {
        self.get_or(path, || files.open(path, OpenMode::CREATE))
    }

    /// The next use opens `path` anew.
    pub fn forget(&self, path: &Path) {
        self.lock().open.remove(path);
    }

    /// The next use of anything in `dir` opens it anew.
    pub fn forget_dir(&self, dir: &Path) {
        self.lock().open.retain(|path, _| !path.starts_with(dir));
    }

    fn get_or(&self, path: &Path, open: impl FnOnce() -> io::Result<FileRef>) -> io::Result<FileRef> {
        let mut state = self.lock();
        state.uses += 1;
        let now = state.uses;
        if let Some((file, used)) = state.open.get_mut(path) {
            *used = now;
            return Ok(file.clone());
        }
        drop(state);
        let file = open()?;
        let mut state = self.lock();
        // Somebody may have been faster; then both work, and one is closed when it is no longer used.
        state.open.insert(path.to_path_buf(), (file.clone(), now));
        if state.open.len() > self.files_max {
            let oldest = state.open.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            oldest.and_then(|path| state.open.remove(&path));
        }
        Ok(file)
    }

    /// A panic of another lane leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
