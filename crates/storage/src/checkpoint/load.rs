//! Reads a checkpoint file.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use host::Files;
use protocol::Uuid;

use super::format::{HEADER_BYTES, Header, SECTION_ALIGNMENT, is_intact, next_record};
use super::{Record, Section};
use crate::journal::Known;
use crate::{Error, PartitionKey, Position};

/// More than a checkpoint ever takes; a longer file is not one.
const FILE_BYTES_MAX: u64 = 4 << 30;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    pub known: Known,
    pub clean: bool,
    /// Partitions with what their state reflects, and the state.
    pub states: BTreeMap<PartitionKey, (Position, Bytes)>,
    /// Number of the last section.
    pub sequence: u64,
    /// Bytes of the first section, and of all that are whole.
    pub full_bytes: u64,
    pub whole_bytes: u64,
    /// Where the last section begins, and its bytes, unless it is the first one, which was synced before the file got its
    /// name.
    pub last: Option<(u64, Bytes)>,
    /// Something that is no section follows.
    pub torn: bool,
}

impl Contents {
    /// All that is known, as one section.
    pub(super) fn into_section(self) -> Section {
        let record = |(key, (as_of, state))| Record { key, as_of, state };
        let changed = self.states.into_iter().map(record).collect();
        Section { known: self.known, clean: self.clean, changed, removed: Vec::new() }
    }

    pub(super) fn apply(&mut self, section: Section) {
        self.known = section.known;
        self.clean = section.clean;
        // A partition may have been removed and made again since the section before.
        for key in section.removed {
            self.states.remove(&key);
        }
        for record in section.changed {
            self.states.insert(record.key, (record.as_of, record.state));
        }
    }
}

/// Reads every whole section of the file. A file without one is an error.
pub fn load(files: &dyn Files, path: &Path, id: Uuid) -> Result<Contents, Error> {
    let bytes =
        Bytes::from(files.read(path, FILE_BYTES_MAX).map_err(Error::io(path, "read the checkpoint"))?);
    let mut contents = Contents::default();
    let mut left = bytes.clone();
    while let Some((header, body)) = section_at(&left, id) {
        if contents.sequence != 0 && header.sequence != contents.sequence + 1 {
            break;
        }
        contents.apply(decode(path, contents.whole_bytes, &header, body)?);
        contents.sequence = header.sequence;
        let len = header.section_bytes().min(left.len() as u64);
        let behind = left.split_off(usize::try_from(len).unwrap_or(usize::MAX));
        let section = std::mem::replace(&mut left, behind);
        if contents.full_bytes == 0 {
            contents.full_bytes = header.section_bytes();
        } else {
            contents.last = Some((contents.whole_bytes, section));
        }
        contents.whole_bytes += header.section_bytes();
    }
    let offset = contents.whole_bytes;
    if contents.sequence == 0 {
        let what = "it does not begin with a whole section of this directory".to_owned();
        return Err(Error::Damaged { path: path.to_path_buf(), offset, what });
    }
    if let Some(sequence) = later_section(&left, id, contents.sequence) {
        let what =
            format!("section {} is damaged, although section {sequence} follows", contents.sequence + 1);
        return Err(Error::Damaged { path: path.to_path_buf(), offset, what });
    }
    contents.torn = !left.is_empty();
    Ok(contents)
}

/// The section at the front of `left`, if it is whole.
fn section_at(left: &Bytes, id: Uuid) -> Option<(Header, Bytes)> {
    let header = Header::parse(left)?;
    let body = usize::try_from(header.body_bytes).ok()?;
    let end = HEADER_BYTES.checked_add(body)?;
    let section = left.get(..end)?;
    is_intact(id, section).then(|| (header, left.slice(HEADER_BYTES..end)))
}

/// The number of a whole section behind the place where the next one should be.
fn later_section(left: &Bytes, id: Uuid, sequence: u64) -> Option<u64> {
    let step = usize::try_from(SECTION_ALIGNMENT).unwrap_or(usize::MAX);
    (step..left.len()).step_by(step).find_map(|at| {
        let (header, _) = section_at(&left.slice(at..), id)?;
        (header.sequence > sequence + 1).then_some(header.sequence)
    })
}

fn decode(path: &Path, offset: u64, header: &Header, mut body: Bytes) -> Result<Section, Error> {
    let mut section = Section { known: header.known, clean: header.clean, ..Section::default() };
    for index in 0..header.records {
        match next_record(&mut body) {
            Some(Ok(record)) => section.changed.push(record),
            Some(Err(key)) => section.removed.push(key),
            None => {
                let what = format!("section {} ends in its record {index}", header.sequence);
                return Err(Error::Damaged { path: path.to_path_buf(), offset, what });
            }
        }
    }
    Ok(section)
}
