//! Which files there are to look at.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use host::{Files, OpenMode};
use protocol::Offset;
use storage::segment::names::{EPOCHS_FILE, FileKind, METADATA_FILE, parse_segment_file};

/// A file of a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Found {
    pub(super) dir: PathBuf,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Found in a directory that was named, so that the files which belong to it should be there, too.
    pub(super) listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Segment(Offset, FileKind),
    Epochs,
    Metadata,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            EPOCHS_FILE => Some(Self::Epochs),
            METADATA_FILE => Some(Self::Metadata),
            _ => parse_segment_file(name).map(|(base, kind)| Self::Segment(base, kind)),
        }
    }

    /// Segments by offset, a segment's files together, the other files in front.
    fn order(self) -> (i64, u8) {
        match self {
            Self::Metadata => (-2, 0),
            Self::Epochs => (-1, 0),
            Self::Segment(base, FileKind::Log) => (base.get(), 0),
            Self::Segment(base, FileKind::Index) => (base.get(), 1),
            Self::Segment(base, FileKind::TimeIndex) => (base.get(), 2),
            Self::Segment(base, FileKind::TxnIndex) => (base.get(), 3),
            Self::Segment(base, FileKind::Snapshot) => (base.get(), 4),
        }
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl Found {
    pub(super) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }
}

/// A data directory holds directories of partitions, which hold files.
const DEPTH_MAX: usize = 2;

/// The files that the paths name or hold, in order, each directory's together.
pub(super) fn find(files: &dyn Files, paths: &[PathBuf]) -> anyhow::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        if files.read_dir(path).is_ok() {
            in_dir(files, path, DEPTH_MAX, &mut found)?;
            if found.len() == before {
                bail!("{}: there is no file of a partition in it", path.display());
            }
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(kind) = Kind::of(name) else {
            files.open(path, OpenMode::READ).with_context(|| format!("cannot read {}", path.display()))?;
            bail!(
                "{}: no file of a partition; their names are like 00000000000000000000.log, .index, .timeindex, \
                 .txnindex, .snapshot, {EPOCHS_FILE}, {METADATA_FILE}",
                path.display()
            );
        };
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        found.push(Found { dir, name: name.to_owned(), kind, listed: false });
    }
    let sort_key = |one: &Found| (one.dir.clone(), one.kind);
    found.sort_by_key(sort_key);
    found.dedup_by(|next, one| (&next.dir, &next.name) == (&one.dir, &one.name));
    Ok(found)
}

fn in_dir(files: &dyn Files, dir: &Path, depth: usize, found: &mut Vec<Found>) -> anyhow::Result<()> {
    let entries = files.read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        if entry.is_dir {
            // Of deleted partitions nothing is owed to anybody.
            let deleted = entry.name.ends_with(storage::segment::names::DELETED_DIR_SUFFIX);
            if depth > 1 && !deleted {
                in_dir(files, &dir.join(&entry.name), depth - 1, found)?;
            }
        } else if let Some(kind) = Kind::of(&entry.name) {
            found.push(Found { dir: dir.to_owned(), name: entry.name, kind, listed: true });
        }
    }
    Ok(())
}
