//! The tree of names: as the process sees it, and as it is on the platter.
//!
//! Invariants:
//! * Every change of a name is one atomic [`Change`] that is pending until its directory is synced.
//! * A change that touches two directories becomes durable as a whole when either of them is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::faults::CrashPolicy;
use super::inode::Mood;
use crate::disk::DirEntry;
use crate::sim::rng::SeededRng;

/// Number of a file or directory, never reused.
pub(super) type Ino = u64;

const ROOT: Ino = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Dir(Ino),
    File(Ino),
}

type Dirs = BTreeMap<Ino, BTreeMap<String, Entry>>;

/// The new meaning of some names.
#[derive(Clone, Debug)]
struct Change(Vec<(Ino, String, Option<Entry>)>);

impl Change {
    fn apply(&self, dirs: &mut Dirs) {
        for (dir, name, entry) in &self.0 {
            let names = dirs.entry(*dir).or_default();
            match entry {
                Some(entry) => drop(names.insert(name.clone(), *entry)),
                None => drop(names.remove(name)),
            }
        }
    }

    fn touches(&self, dir: Ino) -> bool {
        self.0.iter().any(|(touched, _, _)| *touched == dir)
    }
}

#[derive(Debug)]
pub(super) struct Names {
    current: Dirs,
    durable: Dirs,
    pending: Vec<Change>,
    next: Ino,
}

fn parts(path: &Path) -> io::Result<Vec<&str>> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str().ok_or(io::ErrorKind::InvalidInput)?),
            Component::ParentDir => drop(parts.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(parts)
}

impl Names {
    pub(super) fn new() -> Self {
        let root = Dirs::from([(ROOT, BTreeMap::new())]);
        Self { current: root.clone(), durable: root, pending: Vec::new(), next: ROOT + 1 }
    }

    fn fresh(&mut self) -> Ino {
        let ino = self.next;
        self.next += 1;
        ino
    }

    fn change(&mut self, sets: Vec<(Ino, String, Option<Entry>)>) {
        let change = Change(sets);
        change.apply(&mut self.current);
        self.pending.push(change);
    }

    fn child(&self, dir: Ino, name: &str) -> Option<Entry> {
        self.current.get(&dir)?.get(name).copied()
    }

    fn walk(&self, parts: &[&str]) -> io::Result<Entry> {
        let mut at = Entry::Dir(ROOT);
        for part in parts {
            let Entry::Dir(dir) = at else { return Err(io::ErrorKind::NotADirectory.into()) };
            at = self.child(dir, part).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(at)
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<Entry> {
        self.walk(&parts(path)?)
    }

    pub(super) fn find_dir(&self, path: &Path) -> io::Result<Ino> {
        match self.find(path)? {
            Entry::Dir(dir) => Ok(dir),
            Entry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// All files, sorted by their paths.
    pub(super) fn files(&self) -> BTreeMap<PathBuf, Ino> {
        let mut found = BTreeMap::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, dir)) = open.pop() {
            for (name, entry) in self.current.get(&dir).into_iter().flatten() {
                match entry {
                    Entry::Dir(dir) => open.push((path.join(name), *dir)),
                    Entry::File(ino) => drop(found.insert(path.join(name), *ino)),
                }
            }
        }
        found
    }

    /// The directory that holds `path`, and the name in it.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(Ino, &'a str)> {
        let parts = parts(path)?;
        let (name, parents) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        match self.walk(parents)? {
            Entry::Dir(dir) => Ok((dir, name)),
            Entry::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Makes a file; the caller has seen that the name is free.
    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<Ino> {
        let (dir, name) = self.parent(path)?;
        let name = name.to_owned();
        let ino = self.fresh();
        self.change(vec![(dir, name, Some(Entry::File(ino)))]);
        Ok(ino)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = ROOT;
        for part in parts(path)? {
            at = match self.child(at, part) {
                Some(Entry::Dir(dir)) => dir,
                Some(Entry::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    let dir = self.fresh();
                    self.change(vec![(at, part.to_owned(), Some(Entry::Dir(dir)))]);
                    self.current.insert(dir, BTreeMap::new());
                    dir
                }
            };
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from_dir, from_name) = self.parent(from)?;
        let (to_dir, to_name) = self.parent(to)?;
        let moved = self.child(from_dir, from_name).ok_or(io::ErrorKind::NotFound)?;
        match (moved, self.child(to_dir, to_name)) {
            (Entry::File(_), Some(Entry::Dir(_))) => return Err(io::ErrorKind::IsADirectory.into()),
            (Entry::Dir(_), Some(Entry::File(_))) => return Err(io::ErrorKind::NotADirectory.into()),
            (Entry::Dir(old), Some(Entry::Dir(new)))
                if old != new && self.current.get(&new).is_some_and(|names| !names.is_empty()) =>
            {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        let (from_name, to_name) = (from_name.to_owned(), to_name.to_owned());
        self.change(vec![(from_dir, from_name, None), (to_dir, to_name, Some(moved))]);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<Ino> {
        let (dir, name) = self.parent(path)?;
        match self.child(dir, name).ok_or(io::ErrorKind::NotFound)? {
            Entry::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
            Entry::File(ino) => {
                let name = name.to_owned();
                self.change(vec![(dir, name, None)]);
                Ok(ino)
            }
        }
    }

    /// Removes a directory and what is in it, innermost first, one change a name.
    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.find_dir(path)?;
        self.empty(dir);
        let (parent, name) = self.parent(path)?;
        let name = name.to_owned();
        self.change(vec![(parent, name, None)]);
        Ok(())
    }

    fn empty(&mut self, dir: Ino) {
        for (name, entry) in self.current.get(&dir).cloned().unwrap_or_default() {
            if let Entry::Dir(inner) = entry {
                self.empty(inner);
            }
            self.change(vec![(dir, name, None)]);
        }
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let dir = self.find_dir(path)?;
        let names = self.current.get(&dir).into_iter().flatten();
        let entry = |(name, entry): (&String, &Entry)| DirEntry {
            name: name.clone(),
            is_dir: matches!(entry, Entry::Dir(_)),
        };
        Ok(names.map(entry).collect())
    }

    pub(super) fn sync_dir(&mut self, dir: Ino) {
        let (synced, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|change| change.touches(dir));
        self.pending = pending;
        let synced: Vec<Change> = synced;
        synced.iter().for_each(|change| change.apply(&mut self.durable));
    }

    /// The machine lost power: unsynced changes survive or not.
    pub(super) fn crash(&mut self, rng: &mut SeededRng, policy: CrashPolicy) {
        let pending = std::mem::take(&mut self.pending);
        let mood = Mood::draw(rng, policy, pending.len());
        for (index, change) in pending.iter().enumerate() {
            if mood.keeps(rng, index) {
                change.apply(&mut self.durable);
            }
        }
        let mut reached = Dirs::new();
        let mut dirs = vec![ROOT];
        while let Some(dir) = dirs.pop() {
            let names = self.durable.remove(&dir).unwrap_or_default();
            dirs.extend(names.values().filter_map(|entry| match entry {
                Entry::Dir(dir) => Some(*dir),
                Entry::File(_) => None,
            }));
            reached.insert(dir, names);
        }
        self.durable = reached.clone();
        self.current = reached;
    }

    /// The files that have a name now.
    pub(super) fn linked(&self) -> BTreeSet<Ino> {
        files(self.current.values())
    }

    /// The files that have, had or may get back a name.
    pub(super) fn remembered(&self) -> BTreeSet<Ino> {
        let mut inos = files(self.current.values().chain(self.durable.values()));
        let pending = self.pending.iter().flat_map(|change| &change.0);
        inos.extend(pending.filter_map(|(_, _, entry)| match entry {
            Some(Entry::File(ino)) => Some(*ino),
            _ => None,
        }));
        inos
    }
}

fn files<'a>(dirs: impl Iterator<Item = &'a BTreeMap<String, Entry>>) -> BTreeSet<Ino> {
    dirs.flat_map(BTreeMap::values)
        .filter_map(|entry| match entry {
            Entry::File(ino) => Some(*ino),
            Entry::Dir(_) => None,
        })
        .collect()
}
