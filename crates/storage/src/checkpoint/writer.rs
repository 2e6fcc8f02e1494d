//! Appends sections to a checkpoint file, and writes it anew when that is due.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use host::{File, Files, OpenMode};
use protocol::Uuid;

use super::format::encode;
use super::{Contents, Section, load};
use crate::Error;

/// Sections of changes may take this much before they are compared with the full one.
const CHANGES_BYTES_MIN: u64 = 1 << 20;
/// Set aside behind the last section. A start has to write one, without partitions, before anything else, also on a disk that
/// is full: this is enough for some.
const RESERVE_BYTES: u64 = 16 << 10;

/// Knows where the next section goes. Its operations block: they run in a lane, one at a time.
#[derive(Clone, Debug)]
pub struct Writer {
    path: PathBuf,
    id: Uuid,
    at: Written,
    /// The last section that a start has found, and where. If its sync has failed the kernel may call it clean and drop it,
    /// so it is written again with the next one.
    unproven: Option<(u64, Bytes)>,
}

/// How the file looks after a section has been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    sequence: u64,
    full_bytes: u64,
    file_bytes: u64,
}

impl Writer {
    pub(crate) fn new(path: PathBuf, id: Uuid, contents: &Contents) -> Self {
        let Contents { sequence, full_bytes, whole_bytes: file_bytes, .. } = *contents;
        let unproven = contents.last.clone();
        Self { path, id, at: Written { sequence, full_bytes, file_bytes }, unproven }
    }

    /// Makes a file with one section.
    pub(crate) fn create(files: &dyn Files, path: &Path, id: Uuid, section: &Section) -> Result<(), Error> {
        files.replace(path, &encode(id, 1, section)).map_err(Error::io(path, "write the checkpoint"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `section` durable; what comes back goes to [`Self::done`]. After an error the old sections are there
    /// still, and the same section may be written again if the disk was just full.
    pub fn write(&self, files: &dyn Files, section: Section) -> io::Result<Written> {
        let changes = self.at.file_bytes - self.at.full_bytes;
        if changes > self.at.full_bytes.max(CHANGES_BYTES_MIN) {
            match self.rewrite(files, section.clone()) {
                // There may be room for what is new.
                Err(error) if is_full(&error) => {}
                written => return written,
            }
        }
        let sequence = self.at.sequence + 1;
        let bytes = encode(self.id, sequence, &section);
        let len = bytes.len() as u64;
        let file = files.open(&self.path, OpenMode::WRITE)?;
        if file.len()? > self.at.file_bytes {
            file.set_len(self.at.file_bytes)?;
        }
        if let Some((offset, section)) = &self.unproven {
            file.write_at(std::slice::from_ref(section), *offset)?;
        }
        file.write_at(&[bytes], self.at.file_bytes)?;
        file.sync()?;
        let file_bytes = self.at.file_bytes + len;
        reserve(&*file, file_bytes);
        Ok(Written { sequence, file_bytes, ..self.at })
    }

    fn rewrite(&self, files: &dyn Files, section: Section) -> io::Result<Written> {
        // The file itself remembers the partitions, so that no memory has to.
        let mut contents = load(files, &self.path, self.id).map_err(io::Error::other)?;
        contents.apply(section);
        let sequence = self.at.sequence + 1;
        let bytes = encode(self.id, sequence, &contents.into_section());
        files.replace(&self.path, &bytes)?;
        let len = bytes.len() as u64;
        if let Ok(file) = files.open(&self.path, OpenMode::WRITE) {
            reserve(&*file, len);
        }
        Ok(Written { sequence, full_bytes: len, file_bytes: len })
    }

    pub fn done(&mut self, written: Written) {
        self.at = written;
        self.unproven = None;
    }
}

/// Best effort: some file systems cannot, and a disk may be full by now.
fn reserve(file: &dyn File, end: u64) {
    if let Err(error) = file.allocate(end, RESERVE_BYTES) {
        tracing::debug!("nothing is set aside for the next start: {error}");
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
