//! A log directory: its lock, its layout, and what a start finds in it.
//!
//! ```text
//! .lock             held by the process that uses the directory
//! meta.properties   Kafka's file: the directory's id; and ours: the version of the layout
//! checkpoint        the partitions as they were at some point of the journal
//! journal/          the ring
//! <topic>-<n>/      a partition's segments
//! ```
//!
//! Invariants:
//! * One process at a time uses a directory, and one that this program does not understand is not touched.
//! * Every start has an incarnation of its own, durable before the first entry is written.
//! * Recovery reads the checkpoint and the ring, never segments.
//!
//! Does not know: what to do with the partitions' entries; the log of each partition does.

mod meta;
mod recovery;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use host::disk::Lock;
use host::{Files, OpenMode};
use protocol::Uuid;

use crate::checkpoint::{Section, Writer};
use crate::journal::{Cut, Journal, Known, Options, Replay, Replayed, Start};
use crate::{Error, PartitionKey, checkpoint};

pub use meta::{LAYOUT, META, Meta};
pub use recovery::RecoveredPartition;

use recovery::Fold;

pub const LOCK: &str = ".lock";
pub const CHECKPOINT: &str = "checkpoint";
pub const JOURNAL: &str = "journal";

/// An open log directory and what was found in it.
#[derive(Debug)]
pub struct Opened {
    pub path: PathBuf,
    pub meta: Meta,
    pub journal: Journal,
    pub checkpoint: Writer,
    pub partitions: Vec<RecoveredPartition>,
    pub found: Found,
    /// Keeps other processes away for as long as it lives.
    pub lock: Box<dyn Lock>,
}

/// Facts for the log line of a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The last stop had left nothing to recover.
    pub clean: bool,
    pub rounds: u64,
    pub journal_bytes: u64,
    /// Unsynced rounds that a crash has torn.
    pub cut: Option<Cut>,
}

/// Opens the directory at `path`, or makes it. `new_id` becomes its id if it has none.
///
/// Blocks; meant for a start, before anything is served.
pub fn open(files: &dyn Files, path: &Path, options: Options, new_id: Uuid) -> Result<Opened, Error> {
    create_durably(files, path)?;
    let lock = lock(files, path)?;
    let meta = match Meta::read(files, path)? {
        Some(meta) => meta,
        None => create(files, path, new_id)?,
    };
    let id = meta.directory_id;
    let checkpoint_path = path.join(CHECKPOINT);
    if !files.exists(&checkpoint_path).map_err(Error::io(&checkpoint_path, "look for the checkpoint"))? {
        let because = "meta.properties says that the directory is in use";
        return Err(Error::Missing { path: checkpoint_path, because });
    }
    let contents = checkpoint::load(files, &checkpoint_path, id)?;
    let journal_path = path.join(JOURNAL);
    let mut fold = Fold::new(&checkpoint_path, &contents)?;
    let replay = Replay::open(files, &journal_path, id, contents.known, options.unsynced_bytes_max)?;
    let replayed = replay.run(&mut |position, entry| fold.take(position, entry))?;
    let found = Found {
        clean: contents.clean && replayed.rounds == 0,
        rounds: replayed.rounds,
        journal_bytes: replayed.bytes,
        cut: replayed.cut.clone(),
    };
    sync_names(files, path, &journal_path)?;
    let partitions = fold.finish(&replayed.damages);
    let known: BTreeSet<_> = partitions.iter().map(|partition| partition.state.key).collect();
    let removed = contents.states.keys().filter(|key| !known.contains(*key)).copied().collect();
    let mut writer = Writer::new(checkpoint_path.clone(), id, &contents);
    let start = begin_incarnation(files, &mut writer, id, contents.known, replayed, removed)?;
    let journal = Journal::new(options, start);
    Ok(Opened { path: path.to_path_buf(), meta, journal, checkpoint: writer, partitions, found, lock })
}

/// Makes the directory and those above it, and their names durable.
fn create_durably(files: &dyn Files, path: &Path) -> Result<(), Error> {
    let exists = |path: &Path| files.exists(path).map_err(Error::io(path, "look for the log directory"));
    let mut missing = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if exists(ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    files.create_dir_all(path).map_err(Error::io(path, "create the log directory"))?;
    for made in missing.iter().rev() {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        files.sync_dir(parent).map_err(Error::io(parent, "sync the directory above the log directory"))?;
    }
    Ok(())
}

fn lock(files: &dyn Files, path: &Path) -> Result<Box<dyn Lock>, Error> {
    let path = path.join(LOCK);
    files.lock(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => Error::Locked { path: path.clone() },
        _ => Error::io(&path, "lock the log directory")(source),
    })
}

/// Lays out an empty directory. `meta.properties` comes last: without it, a checkpoint and an empty journal are
/// the rest of an attempt that a crash has interrupted.
fn create(files: &dyn Files, path: &Path, id: Uuid) -> Result<Meta, Error> {
    sync_above(files, path)?;
    let journal = path.join(JOURNAL);
    let meta_path = path.join(META);
    for entry in files.read_dir(path).map_err(Error::io(path, "list the log directory"))? {
        let is_partition = entry.is_dir && entry.name != JOURNAL && entry.name.contains('-');
        let has_rounds = entry.is_dir && entry.name == JOURNAL && {
            !files.read_dir(&journal).map_err(Error::io(&journal, "list the journal"))?.is_empty()
        };
        if is_partition || has_rounds {
            return Err(Error::Missing { path: meta_path, because: "the directory holds data" });
        }
    }
    files.create_dir_all(&journal).map_err(Error::io(&journal, "create the journal"))?;
    let known = Known { mark: crate::journal::Mark { round: 1, ..Default::default() }, ..Known::default() };
    let section = Section { known, clean: true, ..Section::default() };
    Writer::create(files, &path.join(CHECKPOINT), id, &section)?;
    let meta = Meta::new(id);
    meta.write(files, path)?;
    Ok(meta)
}

/// Makes the names of the directories above it durable, which an attempt before this one may have made. Those that cannot be
/// synced at all were there before.
fn sync_above(files: &dyn Files, path: &Path) -> Result<(), Error> {
    use std::io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    for above in path.ancestors().skip(1) {
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        match files.sync_dir(above) {
            Err(error)
                if matches!(
                    error.kind(),
                    PermissionDenied | InvalidInput | Unsupported | ReadOnlyFilesystem
                ) =>
            {
                break;
            }
            synced => synced.map_err(Error::io(above, "sync the directory above the log directory"))?,
        }
    }
    Ok(())
}

/// Files that this start has found may have names that no power loss would leave: if a sync of their directory has failed, the
/// process that asked for it has ended there. What is written from here on counts on them.
fn sync_names(files: &dyn Files, path: &Path, journal: &Path) -> Result<(), Error> {
    for dir in [path, journal] {
        files.sync_dir(dir).map_err(Error::io(dir, "sync the directory"))?;
    }
    Ok(())
}

/// Makes this start known, so that nothing it will write is mistaken for what an earlier one has left. What the journal has
/// `removed` goes from the checkpoint, too: nobody is left who would say so before the journal forgets it.
fn begin_incarnation(
    files: &dyn Files,
    writer: &mut Writer,
    id: Uuid,
    known: Known,
    replayed: Replayed,
    removed: Vec<PartitionKey>,
) -> Result<Start, Error> {
    let incarnation = replayed.incarnation + 1;
    let Replayed { mut ring, next_round, .. } = replayed;
    let nothing_replayed = replayed.rounds == 0;
    let synced_round = next_round.saturating_sub(1).max(known.synced_round);
    let mark =
        if nothing_replayed { ring.mark_for(ring.head(), next_round, incarnation) } else { known.mark };
    let section = Section {
        known: Known { mark, incarnation, synced_round, ring: ring.size_with(None) },
        removed,
        ..Section::default()
    };
    let written = writer.write(files, section).map_err(Error::io(writer.path(), "write the checkpoint"))?;
    writer.done(written);
    ring.release(&mark);
    Ok(Start { id, incarnation, ring, next_round })
}

/// Writes zeros up to `bytes` into the unfinished ring file `id` and puts it in its place; used where nothing
/// else is going on. A running node does the same in pieces.
pub fn add_ring_file(
    files: &dyn Files,
    journal: &Path,
    id: u32,
    bytes: u64,
) -> Result<crate::journal::RingFile, Error> {
    let mut growth = Growth::begin(files, journal, id, bytes)?;
    while growth.step()? {}
    growth.finish(files)
}

pub use growth::Growth;
mod growth;

/// Whether the directory can be written to, told by its error if not.
pub fn check_writable(files: &dyn Files, path: &Path) -> Result<(), Error> {
    let probe = path.join(LOCK);
    files.open(&probe, OpenMode::CREATE).map(drop).map_err(Error::io(&probe, "write to the log directory"))
}
