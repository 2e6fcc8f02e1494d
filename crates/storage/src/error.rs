//! What goes wrong with a log directory, in words that name the file.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: in use by another process (it holds this lock file)", path.display())]
    Locked { path: PathBuf },

    /// The source carries the path as well; `doing` says what it was needed for.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },

    #[error("{}: missing, although {because}", path.display())]
    Missing { path: PathBuf, because: &'static str },

    /// Bytes that were synced are not what was written.
    #[error("{}: damaged at byte {offset}: {what}", path.display())]
    Damaged { path: PathBuf, offset: u64, what: String },

    #[error("{}: layout version {found}, this program knows {known}", path.display())]
    Version { path: PathBuf, found: String, known: u32 },
}

impl Error {
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_path_buf(), doing, source }
    }
}
