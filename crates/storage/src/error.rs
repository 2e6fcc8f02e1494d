//! What goes wrong with a log directory, in words that name the file.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: in use by another process (it holds this lock file)", path.display())]
    Locked { path: PathBuf },

    /// The text of the cause names the file and what was done to it; it is no `source`, or chains would say it twice.
    #[error("cannot {doing}: {cause}")]
    Io { path: PathBuf, doing: &'static str, cause: io::Error },

    #[error("{}: missing, although {because}; restore it from a copy", path.display())]
    Missing { path: PathBuf, because: &'static str },

    /// Bytes that were synced are not what was written.
    #[error("{}: damaged at byte {offset}: {what}; restore it from a copy", path.display())]
    Damaged { path: PathBuf, offset: u64, what: String },

    #[error(
        "{}: layout version {found}, this program knows {known}; start the program that wrote it, or choose another \
         directory",
        path.display()
    )]
    Version { path: PathBuf, found: String, known: u32 },
}

impl Error {
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_path_buf(), doing, cause }
    }
}
