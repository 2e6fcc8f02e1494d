//! A partition's files: segments that a real log has written and compacted, changes at rest, a start, the background check, and
//! readers.
//!
//! Checked: what is read and found is what was appended, or an error; the background check and a start come to their end. With
//! the CRCs of batches put right after the changes anything may be in there, and nothing but that is asked.

mod reader;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use host::Files;
use host::sim::SimDisk;
use protocol::ids::Offset;
use protocol::records::{BATCH_OVERHEAD, crc32c};
use storage::log::recover;
use storage::segment::OpenFiles;
use storage::segment::check::{Bounds, check_segment};
use storage::segment::names::{FileKind, parse_segment_file};
use storage::segment::scan::{rebuild, scan};
use storage::{Log, LogConfig, PartitionState};

use self::reader::{Seen, see};
use self::writer::Written;
use crate::Input;
use crate::edits::Edit;

const DIRECTORY: &str = "/data";

type Disk = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let config = Arc::new(writer::config(&mut input));
    let Written { disk: before, state, is_compacted } = writer::write(&mut input, &config);
    let paths: Vec<&PathBuf> = before.keys().collect();
    let mut after = before.clone();
    let mut edits = Vec::new();
    if !paths.is_empty() {
        for _ in 0..input.byte() % 4 {
            let path = input.pick(&paths);
            let file = after.get_mut(path).unwrap();
            let len = file.len();
            let edit = Edit::read(&mut input, len, |input| input.below(len + 1));
            edit.apply(file);
            edits.push(edit);
        }
    }
    let is_put_right = input.flag();
    if is_put_right {
        after
            .iter_mut()
            .filter(|(path, _)| kind(path) == Some(FileKind::Log))
            .for_each(|(_, file)| put_right(file));
    }
    each_file(&after, &config);
    let truth = life(&before, &state, &config).expect("what was written");
    assert_eq!(truth.damaged, 0);
    let seen = life(&after, &state, &config);
    // A single change that a checksum cannot miss.
    let is_told = edits.len() <= 1 && !matches!(edits.first(), Some(Edit::Set { .. })) && !is_put_right;
    match seen {
        Ok(seen) if is_told => seen.check(&truth, is_compacted),
        Err(error) => assert!(!edits.is_empty(), "{error}"),
        Ok(_) => {}
    }
}

fn kind(path: &Path) -> Option<FileKind> {
    parse_segment_file(path.file_name()?.to_str()?).map(|(_, kind)| kind)
}

/// Gives every batch that is as long as it says the CRC that belongs to it.
fn put_right(file: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = file.get(at..at + BATCH_OVERHEAD) {
        let length = i32::from_be_bytes(header[8..12].try_into().unwrap());
        let Some(end) = usize::try_from(length).ok().map(|length| at + 12 + length) else { return };
        let Some(covered) = file.get(at + 21..end) else { return };
        let crc = crc32c(covered);
        file[at + 17..at + 21].copy_from_slice(&crc.to_be_bytes());
        at = end;
    }
}

fn disk_with(files: &Disk) -> Arc<dyn Files> {
    let there = SimDisk::new(1).files();
    there.create_dir_all(Path::new(DIRECTORY)).unwrap();
    for (path, bytes) in files {
        there.create_dir_all(path.parent().unwrap()).unwrap();
        there.replace(path, bytes).unwrap();
    }
    there
}

/// Each segment by itself, as `bourn log verify` and a search in a damaged index look at it.
fn each_file(disk: &Disk, config: &LogConfig) {
    let files = disk_with(disk);
    let open = OpenFiles::new(2);
    for (path, bytes) in disk.iter().filter(|(path, _)| kind(path) == Some(FileKind::Log)) {
        let (base, _) = parse_segment_file(path.file_name().unwrap().to_str().unwrap()).unwrap();
        let file = open.get(&*files, path).unwrap();
        let len = bytes.len() as u64;
        let found = scan(&*file, base, len, Offset(i64::MAX), config, |_, _| ()).unwrap();
        let whole = found.damage.is_none();
        assert!(whole == (u64::from(found.state.bytes) == len));
        let checked = check_segment(&*file, base, len, Bounds::default()).unwrap();
        assert!(whole || checked.is_err(), "what cannot be walked over is not whole");
        let rebuilt = rebuild(&*files, &open, path.parent().unwrap(), base, (&file, len), config);
        assert_eq!(rebuilt.is_ok(), whole, "{rebuilt:?}");
    }
}

/// A start on these files, and everything that readers get then.
fn life(disk: &Disk, state: &PartitionState, config: &Arc<LogConfig>) -> Result<Seen, String> {
    let files = disk_with(disk);
    let open = OpenFiles::new(4);
    let found = recover(&*files, &open, Path::new(DIRECTORY), state.clone(), []);
    let log = Log::open(found.map_err(|error| error.to_string())?, config.clone(), 0, 0);
    Ok(see(log, &*files, &open))
}
