//! The files of a ring as a start finds them: all there, as long as they were.

use std::path::{Path, PathBuf};

use host::disk::BLOCK_BYTES;
use host::{Files, OpenMode};
use protocol::Uuid;

use super::RingSize;
use crate::Error;
use crate::journal::RingFile;
use crate::journal::reader::{Found, Reader};

const SUFFIX: &str = ".ring";
/// Of a file that is being zero-filled.
const UNFINISHED: &str = ".new";

/// The path of the ring file `id` in `dir`.
pub fn ring_path(dir: &Path, id: u32) -> PathBuf {
    dir.join(format!("{id:08}{SUFFIX}"))
}

fn ring_id(name: &str) -> Option<u32> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

/// Opens the ring files in `dir` and removes what an unfinished growth has left.
pub(super) fn find_files(files: &dyn Files, dir: &Path, id: Uuid) -> Result<Vec<Reader>, Error> {
    let mut all = Vec::new();
    let listed = files.read_dir(dir).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => {
            let because = "the log directory has been in use";
            Error::Missing { path: dir.to_path_buf(), because }
        }
        _ => Error::io(dir, "list the journal")(cause),
    });
    for entry in listed? {
        let path = dir.join(&entry.name);
        let Some(file_id) = ring_id(&entry.name) else {
            if entry.name.ends_with(UNFINISHED) {
                files.remove_file(&path).map_err(Error::io(&path, "remove an unfinished journal file"))?;
            }
            continue;
        };
        let file =
            files.open(&path, OpenMode::WRITE.direct()).map_err(Error::io(&path, "open the journal"))?;
        let reader = files.open(&path, OpenMode::READ).map_err(Error::io(&path, "open the journal"))?;
        let len = reader.len().map_err(Error::io(&path, "open the journal"))?;
        if len % BLOCK_BYTES as u64 != 0 {
            // A file gets its name when it is as long as it will be, and rounds begin at blocks: where something was put in or
            // taken out, nothing behind it would be found.
            let what = format!("its length of {len} bytes was changed: it is not a number of whole blocks");
            return Err(Error::Damaged { path, offset: len, what });
        }
        let found = Found { path, file: RingFile { id: file_id, file, bytes: len }, reader, first: None };
        all.push(Reader::new(id, found)?);
    }
    Ok(all)
}

/// Files have the numbers from 0 on and none is ever removed.
pub(super) fn check_size(dir: &Path, readers: &[Reader], size: RingSize) -> Result<(), Error> {
    let mut lengths = Vec::new();
    for id in 0..size.files {
        let Some(reader) = readers.iter().find(|reader| reader.found.file.id == id) else {
            let because = "the checkpoint counts it among the journal's files";
            return Err(Error::Missing { path: ring_path(dir, id), because });
        };
        lengths.push(reader.found.file.bytes);
    }
    let bytes: u64 = lengths.iter().sum();
    if bytes < size.bytes {
        // A file is never smaller than the one before.
        let cut =
            lengths.windows(2).position(|two| two.first() > two.last()).map_or(lengths.len(), |at| at + 2);
        let path = ring_path(dir, u32::try_from(cut.saturating_sub(1)).unwrap_or(u32::MAX));
        let what = format!("it was cut short: {} bytes of the journal are missing", size.bytes - bytes);
        return Err(Error::Damaged {
            path,
            offset: lengths.get(cut.saturating_sub(1)).copied().unwrap_or(0),
            what,
        });
    }
    Ok(())
}
