//! The floor: what the machine can do at all, without any protocol. Each mode is one blocking loop.
//!
//! `serve` prints its port, works for one connection and prints a line of JSON with its own CPU seconds; `drive` is the
//! other end of it. `sync` measures a journal by itself.

mod drive;
mod journal;
mod serve;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

const PIECE: usize = 64 << 10;
const REQUEST: usize = 250;
const WRITE: usize = 170;
const ANSWER: usize = 60;
/// Requests in flight, and requests a sync.
const FLIGHT: usize = 5;

#[derive(Args)]
pub(crate) struct Floor {
    #[command(subcommand)]
    end: End,
}

#[derive(Subcommand)]
enum End {
    /// One end of a loop, for one connection
    Serve {
        mode: Mode,
        #[arg(long)]
        file: PathBuf,
        /// To send
        #[arg(long, default_value_t = 0)]
        bytes: u64,
    },
    /// The other end
    Drive {
        mode: Mode,
        #[arg(long)]
        port: u16,
        /// To send, for `receive`
        #[arg(long, default_value_t = 0)]
        bytes: u64,
        #[command(flatten)]
        asked: Asked,
    },
    /// Percentiles of the sync of a recycled journal, quiet or beside writes of segments
    Sync {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        beside: bool,
        #[arg(long)]
        rounds: u32,
    },
}

/// For `answer` and `answer-synced`.
#[derive(Args, Clone, Copy)]
struct Asked {
    #[arg(long, default_value_t = 0)]
    requests: u64,
    /// So many a second; as fast as they are answered if not given
    #[arg(long)]
    rate: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Mode {
    /// Receives pieces of 64 KiB, checksums and writes them
    Receive,
    /// Sends a file by sendfile
    Sendfile,
    /// Sends a buffer by writev
    Writev,
    /// Answers requests of 250 bytes after a write of 170 bytes each
    Answer,
    /// The same with one sync for five of them
    AnswerSynced,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Sendfile => "sendfile",
            Self::Writev => "writev",
            Self::Answer => "answer",
            Self::AnswerSynced => "answer-synced",
        }
    }
}

impl Floor {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.end {
            End::Serve { mode, file, bytes } => serve::serve(mode, &file, bytes),
            End::Drive { mode, port, bytes, asked } => drive::drive(mode, port, bytes, asked),
            End::Sync { dir, beside, rounds } => journal::sync(&dir, beside, rounds),
        }
    }
}
