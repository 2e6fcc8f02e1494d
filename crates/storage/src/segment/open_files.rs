//! [`OpenFiles`]: a bounded number of open segment files, shared by the lanes of a process.
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

use host::{FileRef, Files, OpenMode};

#[derive(Debug)]
pub struct OpenFiles {
    files_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: BTreeMap<PathBuf, (FileRef, u64)>,
    /// The same files by their last use.
    by_use: BTreeMap<u64, PathBuf>,
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

    fn used(&mut self, path: &Path) -> Option<FileRef> {
        let now = self.tick();
        let (file, used) = self.open.get_mut(path)?;
        let before = std::mem::replace(used, now);
        if let Some(path) = self.by_use.remove(&before) {
            self.by_use.insert(now, path);
        }
        Some(file.clone())
    }

    fn keep(&mut self, path: &Path, file: FileRef) {
        self.forget(path);
        let now = self.tick();
        self.open.insert(path.to_path_buf(), (file, now));
        self.by_use.insert(now, path.to_path_buf());
    }

    fn forget(&mut self, path: &Path) {
        if let Some((_, used)) = self.open.remove(path) {
            self.by_use.remove(&used);
        }
    }
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
        let mut state = self.lock();
        state.forgotten += 1;
        state.forget(path);
    }

    /// The next use of anything in `dir` opens it anew.
    pub fn forget_dir(&self, dir: &Path) {
        let mut state = self.lock();
        state.forgotten += 1;
        // What is in a directory sorts right behind it.
        let behind = state.open.range::<Path, _>((Bound::Excluded(dir), Bound::Unbounded));
        let inside: Vec<_> =
            behind.map(|(path, _)| path).take_while(|path| path.starts_with(dir)).cloned().collect();
        for path in inside {
            state.forget(&path);
        }
    }

    fn get_or(&self, path: &Path, open: impl FnOnce() -> io::Result<FileRef>) -> io::Result<FileRef> {
        let mut state = self.lock();
        if let Some(file) = state.used(path) {
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
        state.keep(path, file.clone());
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
        let kept = |open: &OpenFiles| open.lock().open.keys().cloned().collect::<Vec<_>>();
        for path in [a, b, a, c] {
            open.get_or_create(&*files, path).unwrap();
        }
        assert_eq!(kept(&open), [a, c], "b was used before a");
        open.forget_dir(Path::new("/d"));
        assert_eq!(kept(&open), [c], "a directory whose name goes on is another one");
        open.forget(c);
        let state = open.lock();
        assert!(state.open.is_empty() && state.by_use.is_empty());
    }
}
