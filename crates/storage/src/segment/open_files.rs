//! [`OpenFiles`]: a bounded number of open segment files, shared by the lanes of a process, and the memory for writes past
//! the page cache.
//!
//! Invariants: no more than `files_max` are kept; the one used longest ago is dropped first (whoever still sends
//! from it keeps it open). A file that was renamed or removed is [forgotten](OpenFiles::forget) first, else a new
//! file of its name would be mistaken for it.
//!
//! Only lanes and starts use it, so its lock is not on the way of a record.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::disk::{AlignedBuf, AlignedPool};
use host::{FileRef, Files, OpenMode};

use crate::log::WRITE_BYTES_MAX;

/// Buffers that are kept: as many writes are under way at once, about.
const BUFFERS_MAX: usize = 2;

#[derive(Debug)]
pub struct OpenFiles {
    files_max: usize,
    buffers: AlignedPool,
    state: Mutex<State>,
}

/// A file may be open twice, for both ways to its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Cached,
    Direct,
}

type Key = (PathBuf, Way);

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<Key, (FileRef, u64)>,
    /// The same files by their last use.
    by_use: BTreeMap<u64, Key>,
    /// Counts uses, as a clock.
    uses: u64,
    /// Counts what has been forgotten.
    forgotten: u64,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.uses += 1;
        self.uses
    }

    fn used(&mut self, key: &Key) -> Option<FileRef> {
        let now = self.tick();
        let (file, used) = self.open.get_mut(key)?;
        let before = std::mem::replace(used, now);
        if let Some(key) = self.by_use.remove(&before) {
            self.by_use.insert(now, key);
        }
        Some(file.clone())
    }

    fn keep(&mut self, key: Key, file: FileRef) {
        self.forget(&key);
        let now = self.tick();
        self.open.insert(key.clone(), (file, now));
        self.by_use.insert(now, key);
    }

    fn forget(&mut self, key: &Key) {
        if let Some((_, used)) = self.open.remove(key) {
            self.by_use.remove(&used);
        }
    }
}

impl OpenFiles {
    #[must_use]
    pub fn new(files_max: usize) -> Self {
        let buffers = AlignedPool::new(BUFFERS_MAX, WRITE_BYTES_MAX);
        Self { files_max, buffers, state: Mutex::default() }
    }

    /// The file at `path`, opened for reading and writing if it is not open yet.
    pub fn get(&self, files: &dyn Files, path: &Path) -> io::Result<FileRef> {
        self.get_or(path, Way::Cached, || files.open(path, OpenMode::WRITE))
    }

    /// The same, making the file if it is not there.
    pub fn get_or_create(&self, files: &dyn Files, path: &Path) -> io::Result<FileRef> {
        self.get_or(path, Way::Cached, || files.open(path, OpenMode::CREATE))
    }

    /// The file at `path`, past the page cache where that can be.
    pub fn get_direct(&self, files: &dyn Files, path: &Path) -> io::Result<FileRef> {
        self.get_or(path, Way::Direct, || files.open(path, OpenMode::WRITE.direct()))
    }

    /// Memory for a write of so many bytes past the page cache.
    #[must_use]
    pub fn buffer(&self, bytes: usize) -> AlignedBuf {
        self.buffers.take(bytes)
    }

    /// The next use opens `path` anew.
    pub fn forget(&self, path: &Path) {
        let mut state = self.lock();
        state.forgotten += 1;
        for way in [Way::Cached, Way::Direct] {
            state.forget(&(path.to_path_buf(), way));
        }
    }

    /// The next use of anything in `dir` opens it anew.
    pub fn forget_dir(&self, dir: &Path) {
        let mut state = self.lock();
        state.forgotten += 1;
        // What is in a directory sorts right behind it.
        let behind = state.open.range((Bound::Excluded((dir.to_path_buf(), Way::Direct)), Bound::Unbounded));
        let inside: Vec<_> =
            behind.map(|(key, _)| key).take_while(|(path, _)| path.starts_with(dir)).cloned().collect();
        for key in inside {
            state.forget(&key);
        }
    }

    fn get_or(
        &self,
        path: &Path,
        way: Way,
        open: impl FnOnce() -> io::Result<FileRef>,
    ) -> io::Result<FileRef> {
        let key = (path.to_path_buf(), way);
        let mut state = self.lock();
        if let Some(file) = state.used(&key) {
            return Ok(file);
        }
        let forgotten = state.forgotten;
        drop(state);
        let file = open()?;
        let mut state = self.lock();
        // It may have lost its name meanwhile: whoever asked has what was there, nobody else gets it.
        if state.forgotten != forgotten {
            return Ok(file);
        }
        // Somebody may have been faster; then both work, and one is closed when it is no longer used.
        state.keep(key, file.clone());
        if state.open.len() > self.files_max
            && let Some((_, oldest)) = state.by_use.pop_first()
        {
            state.open.remove(&oldest);
        }
        Ok(file)
    }

    /// A panic of another lane leaves nothing half done here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host::sim::SimDisk;

    #[test]
    fn the_file_used_longest_ago_is_dropped_first() {
        let files = SimDisk::new(1).files();
        let open = OpenFiles::new(2);
        let [a, b, c] = ["/d/a", "/d/b", "/d-other/c"].map(Path::new);
        files.create_dir_all(Path::new("/d")).unwrap();
        files.create_dir_all(Path::new("/d-other")).unwrap();
        let kept =
            |open: &OpenFiles| open.lock().open.keys().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        for path in [a, b, a, c] {
            open.get_or_create(&*files, path).unwrap();
        }
        assert_eq!(kept(&open), [a, c], "b was used before a");
        open.forget_dir(Path::new("/d"));
        assert_eq!(kept(&open), [c], "a directory whose name goes on is another one");
        open.get_direct(&*files, c).unwrap();
        assert_eq!(kept(&open), [c, c], "one for each way");
        open.forget(c);
        let state = open.lock();
        assert!(state.open.is_empty() && state.by_use.is_empty());
    }
}
