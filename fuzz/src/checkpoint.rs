//! The checkpoint of a log directory: sections that the real writer has written, then changes at rest.
//!
//! Checked: what is read is what some number of sections give, all of them if nothing was changed, all but the last if that one
//! is damaged, and none if it is another one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use host::Files;
use host::sim::SimDisk;
use protocol::Uuid;
use protocol::ids::{Offset, TopicId};
use storage::checkpoint::{Contents, Record, Section, load};
use storage::directory::{self, CHECKPOINT};
use storage::journal::{Known, Options};
use storage::segment::SegmentState;
use storage::{PartitionKey, PartitionState, Position};

use crate::Input;
use crate::crc::crc32c;
use crate::edits::Edit;

const DIRECTORY: &str = "/data";
const ID: Uuid = Uuid::from_bytes([5; 16]);
const HEADER_BYTES: usize = 96;
const ALIGNMENT: usize = 512;

type States = BTreeMap<PartitionKey, (Position, Bytes)>;

/// What the sections up to one give, and where that one lies, its padding aside.
struct Written {
    known: Known,
    clean: bool,
    states: States,
    covered: Range<usize>,
}

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let disk = SimDisk::new(1);
    let files = disk.files();
    let path = Path::new(DIRECTORY).join(CHECKPOINT);
    let written = write(&*files, &path, &mut input);
    let before = files.read(&path, 1 << 20).unwrap();

    let edits: Vec<Edit> = (0..input.byte() % 4)
        .map(|_| {
            Edit::read(&mut input, before.len(), |input| {
                let section = &written[input.below(written.len())].covered;
                section.start + input.below(section.len())
            })
        })
        .collect();
    let is_put_right = input.flag();
    let mut after = before.clone();
    edits.iter().for_each(|edit| edit.apply(&mut after));
    if is_put_right {
        put_right(&mut after);
    }
    files.replace(&path, &after).unwrap();

    let loaded = load(&*files, &path, ID).ok();
    let is_copied = edits.iter().any(|edit| matches!(edit, Edit::Copy { .. }));
    if !is_put_right && !is_copied {
        check(loaded.as_ref(), &written, &edits, (&before, &after));
    }
    let opened = directory::open(&*files, Path::new(DIRECTORY), Options::default(), ID);
    assert!(opened.is_err() || loaded.is_some(), "a directory is not opened without its checkpoint");
}

/// As many sections as the input says.
fn write(files: &dyn Files, path: &Path, input: &mut Input<'_>) -> Vec<Written> {
    let opened = directory::open(files, Path::new(DIRECTORY), Options::default(), ID).unwrap();
    let mut writer = opened.checkpoint;
    let (mut written, mut states) = (Vec::new(), States::new());
    // The first one is without partitions, and so is the one that tells of the start.
    let bytes = files.read(path, 1 << 20).unwrap();
    for end in [ALIGNMENT, 2 * ALIGNMENT] {
        let front = Path::new("/front");
        files.replace(front, &bytes[..end]).unwrap();
        let Contents { known, clean, states, .. } = load(files, front, ID).unwrap();
        written.push(Written {
            known,
            clean,
            states,
            covered: end - ALIGNMENT..end - ALIGNMENT + HEADER_BYTES,
        });
    }
    for _ in 0..input.below(8) {
        let section = section(input, opened.journal.known(opened.journal.mark_head(), None));
        section.removed.iter().for_each(|key| drop(states.remove(key)));
        let changed = section.changed.iter().map(|record| (record.key, (record.as_of, record.state.clone())));
        states.extend(changed);
        let body: usize = section.changed.iter().map(|record| 32 + record.state.len()).sum();
        let start = written.last().map_or(0, |last| last.covered.end.next_multiple_of(ALIGNMENT));
        let covered = start..start + HEADER_BYTES + body + 32 * section.removed.len();
        let (known, clean) = (section.known, section.clean);
        let done = writer.write(files, section).unwrap();
        writer.done(done);
        written.push(Written { known, clean, states: states.clone(), covered });
    }
    written
}

fn key(input: &mut Input<'_>) -> PartitionKey {
    let topic_id = TopicId(Uuid::from_bytes([input.byte() % 2; 16]));
    PartitionKey { topic_id, partition: i32::from(input.byte() % 8) }
}

fn section(input: &mut Input<'_>, known: Known) -> Section {
    let mut section = Section { known, clean: input.flag(), ..Section::default() };
    for _ in 0..input.below(5) {
        let key = key(input);
        let state = match input.byte() % 4 {
            0 => Bytes::copy_from_slice(input.take(20)),
            filler => {
                let topic = Arc::from("t".repeat(usize::from(filler) * 40));
                let mut state = PartitionState::empty(key, topic);
                state.synced = SegmentState::new(Offset(i64::from(input.byte())), 0);
                let mut bytes = Vec::new();
                state.encode(&mut bytes);
                bytes.into()
            }
        };
        if section.changed.iter().all(|record| record.key != key) {
            section.changed.push(Record { key, as_of: Position(u64::from(input.byte())), state });
        }
    }
    for _ in 0..input.below(3) {
        section.removed.push(key(input));
    }
    section
}

/// Gives every section that is as long as it says the checksum that belongs to it.
fn put_right(file: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = file.get(at..at + HEADER_BYTES) {
        let body = u64::from_be_bytes(header[24..32].try_into().unwrap());
        let Ok(body) = usize::try_from(body.min(1 << 30)) else { return };
        let end = at + HEADER_BYTES + body;
        let Some(covered) = file.get(at + 12..end) else { return };
        let crc = crc32c(&[ID.as_bytes(), covered]);
        file[at + 8..at + 12].copy_from_slice(&crc.to_be_bytes());
        at = end.next_multiple_of(ALIGNMENT);
    }
}

fn check(loaded: Option<&Contents>, written: &[Written], edits: &[Edit], (before, after): (&[u8], &[u8])) {
    let is_changed = |written: &Written| {
        before[written.covered.clone()] != *after.get(written.covered.clone()).unwrap_or_default()
    };
    let first_changed = written.iter().position(is_changed);
    let is = |contents: &Contents, written: &Written| {
        (contents.known, contents.clean, &contents.states) == (written.known, written.clean, &written.states)
    };
    if let Some(contents) = loaded {
        assert!(written.iter().any(|written| is(contents, written)), "{contents:?} is what no sections give");
    }
    let last = written.len() - 1;
    match (first_changed, loaded) {
        (None, loaded) => assert!(is(loaded.expect("all sections are whole"), &written[last])),
        (Some(changed), Some(contents)) if edits.len() == 1 && edits[0].is_small() => {
            assert!(changed == last && is(contents, &written[last - 1]), "section {changed} of {last}");
        }
        (Some(changed), None) if edits.len() == 1 && edits[0].is_small() => {
            assert!(changed < last, "the last section, {last}, was torn at worst");
        }
        _ => {}
    }
}
