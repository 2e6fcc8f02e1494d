//! `bourn log`: looks into the files of a log directory, whether a broker runs on it or not.
//!
//! Reads only; `dirs` asks running brokers instead. Understands the files of partitions, which are those of Kafka; not our journal, whose newest batches
//! may not be in the segments yet.

mod dirs;
mod dump;
mod files;
mod index;
mod segment;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use host::{Files, real};

use crate::context::Globals;

#[derive(clap::Subcommand)]
pub(crate) enum Log {
    /// Show the log directories of running brokers: what they hold and how full they are
    Dirs(dirs::Dirs),
    /// Show what is in segments, indexes, producer snapshots and epoch files
    Dump(dump::Dump),
    /// Check checksums, offsets and indexes; the exit code tells of damage
    Verify(verify::Verify),
}

impl Log {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        let json = globals.is_json();
        match self {
            Self::Dirs(dirs) => dirs.run(globals),
            Self::Dump(dump) => with_files(|files| dump.run(files, json)),
            Self::Verify(verify) => with_files(|files| verify.run(files, json)),
        }
    }
}

fn with_files(look: impl FnOnce(&dyn Files) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let machine = real::Options { shards: 1, ..real::Options::default() };
    real::run(machine, async move |host: host::Host| {
        let files: Arc<dyn Files> = host.disk.files();
        look(&*files)
    })
    .context("the machine could not be started")?
}

/// The files and directories to look at.
#[derive(clap::Args)]
struct Paths {
    /// Files of a partition, directories of partitions, or a whole data directory
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
}
