//! Log files cut and damaged byte by byte: what is left is read or refused, never invented.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use host::sim::{OpKind, Rule, SimDisk};
use host::{Files, OpenMode};
use proptest::prelude::*;

use crate::error::Error;
use crate::log::segment::{HEADER_BYTES, Segment};
use crate::log::{self, Opened, StateFile, frame};
use crate::raft::{Batch, Entry, Member, Membership, Payload, log_id};

const RAFT_ID: u64 = 0x1234_5678_9abc_def0;

fn dir() -> &'static Path {
    Path::new("/log")
}

fn segment_path() -> PathBuf {
    Segment::path(dir(), 0)
}

/// A new log file, durable.
fn create(files: &dyn Files, base: u64) -> Segment {
    let segment = Segment::begin(files, dir(), base, RAFT_ID).unwrap();
    Segment::settle(files, dir(), &*segment.file).unwrap();
    segment
}

/// Entries of all kinds; the payload of number `i` is `i * 7` bytes.
fn entries(count: u64) -> Vec<Entry> {
    let member = Member { node_id: 3, ..Member::default() };
    let membership =
        Membership::new(vec![[RAFT_ID].into()], std::collections::BTreeMap::from([(RAFT_ID, member)]));
    let membership = membership.unwrap();
    let payload = |index: u64| match index {
        0 => Payload::Membership(membership.clone()),
        index if index % 4 == 1 => Payload::Blank,
        index => Payload::Normal(Batch(Bytes::from(vec![0xab; usize::try_from(index * 7).unwrap()]))),
    };
    (0..count).map(|index| Entry { log_id: log_id(1 + index / 5, index), payload: payload(index) }).collect()
}

/// A log directory with one file of rounds: entry `i` was written when the entries before `rounds(i)` were synced.
struct Fixture {
    disk: SimDisk,
    bytes: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<u64>,
}

impl Fixture {
    fn new(entries: &[Entry], synced_end: impl Fn(u64) -> u64) -> Self {
        Self::on(SimDisk::new(1), entries, synced_end)
    }

    fn on(disk: SimDisk, entries: &[Entry], synced_end: impl Fn(u64) -> u64) -> Self {
        let files = disk.files();
        files.create_dir_all(dir()).unwrap();
        StateFile::create(&*files, dir(), RAFT_ID).unwrap();
        let segment = create(&*files, 0);
        let mut out = BytesMut::new();
        let mut ends = Vec::new();
        for entry in entries {
            let position = HEADER_BYTES + out.len() as u64;
            let place = frame::Place { raft_id: RAFT_ID, base: 0, position };
            frame::encode(&mut out, entry, synced_end(entry.log_id.index), place);
            ends.push(HEADER_BYTES + out.len() as u64);
        }
        segment.file.write_at(&[out.freeze()], HEADER_BYTES).unwrap();
        let bytes = files.read(&segment_path(), 1 << 20).unwrap();
        Self { disk, bytes, ends }
    }

    fn files(&self) -> Arc<dyn Files> {
        self.disk.files()
    }

    /// Replaces the log file.
    fn put(&self, bytes: &[u8]) {
        let file = self.files().open(&segment_path(), OpenMode::CREATE).unwrap();
        file.set_len(0).unwrap();
        file.write_at(&[Bytes::copy_from_slice(bytes)], 0).unwrap();
    }

    fn open(&self) -> Result<Opened, Error> {
        let files = self.files();
        let loaded = StateFile::load(&*files, dir())?;
        log::open(&*files, dir(), loaded)
    }

    fn read(&self) -> Result<Vec<Entry>, Error> {
        self.open().map(|opened| opened.recovered.entries.into())
    }

    /// How many whole entries stand before byte `len`.
    fn whole(&self, len: u64) -> usize {
        self.ends.iter().filter(|end| **end <= len).count()
    }
}

#[test]
fn a_log_is_read_as_it_was_written() {
    let expected = entries(20);
    let fixture = Fixture::new(&expected, |index| index);
    assert_eq!(fixture.read().unwrap(), expected);
    assert_eq!(fixture.read().unwrap(), expected);
}

#[test]
fn a_log_cut_at_any_byte_keeps_what_is_whole() {
    let expected = entries(12);
    let fixture = Fixture::new(&expected, |_| 0);
    for len in 0..fixture.bytes.len() {
        fixture.put(fixture.bytes.get(..len).unwrap());
        let whole = fixture.whole(len as u64);
        assert_eq!(fixture.read().unwrap(), expected[..whole], "cut at {len}");
        // The cut is made: what follows begins at a clean end.
        let again = fixture.open().unwrap();
        assert_eq!(again.recovered.entries, &expected[..whole], "cut at {len}");
        let end = again.recovered.segments.back().map_or(0, |last| last.len);
        assert_eq!(end, if whole == 0 { end.min(HEADER_BYTES) } else { fixture.ends[whole - 1] });
    }
}

#[test]
fn a_torn_end_of_zeros_or_old_bytes_is_cut() {
    let expected = entries(12);
    let fixture = Fixture::new(&expected, |_| 0);
    for tail in [vec![0; 5000], vec![0xff; 700], fixture.bytes.clone()] {
        let mut bytes = fixture.bytes.clone();
        bytes.extend(tail);
        fixture.put(&bytes);
        assert_eq!(fixture.read().unwrap(), expected);
    }
}

#[test]
fn damage_before_a_synced_entry_names_file_and_byte() {
    let expected = entries(12);
    // Each entry was a round of its own.
    let fixture = Fixture::new(&expected, |index| index);
    let last_start = fixture.ends[10];
    for at in 0..last_start {
        let mut bytes = fixture.bytes.clone();
        bytes[usize::try_from(at).unwrap()] ^= 0x10;
        fixture.put(&bytes);
        let Err(Error::Corrupt { file, position, .. }) = fixture.read() else {
            panic!("byte {at} was damaged and nobody noticed");
        };
        let start = if at < HEADER_BYTES {
            0
        } else {
            fixture.ends.iter().copied().filter(|end| *end <= at).max().unwrap_or(HEADER_BYTES)
        };
        assert_eq!((file, position), (segment_path(), start), "byte {at}");
        assert_eq!(
            fixture.files().read(&segment_path(), 1 << 20).unwrap(),
            bytes,
            "an error changes nothing"
        );
    }
}

#[test]
fn damage_in_the_last_round_is_a_torn_end_unless_it_is_known_to_be_synced() {
    let expected = entries(12);
    let fixture = Fixture::new(&expected, |index| index.min(8));
    let mut bytes = fixture.bytes.clone();
    bytes[usize::try_from(fixture.ends[8]).unwrap() + 5] ^= 1;
    fixture.put(&bytes);
    assert_eq!(fixture.read().unwrap(), expected[..9]);
    note_synced(&fixture, 11);
    fixture.put(&bytes);
    assert!(matches!(fixture.read(), Err(Error::Corrupt { .. })));
    fixture.put(&fixture.bytes);
    assert_eq!(fixture.read().unwrap(), expected);
}

/// Writes down that the entries before `synced_end` were synced.
fn note_synced(fixture: &Fixture, synced_end: u64) {
    let files = fixture.files();
    let mut loaded = StateFile::load(&*files, dir()).unwrap();
    loaded.progress.synced_end = synced_end;
    let block = loaded.state_file.next_progress(&loaded.progress);
    loaded.state_file.file.write_at(&[block.bytes], block.offset).unwrap();
}

#[test]
fn a_log_that_lost_its_end_is_refused() {
    let expected = entries(12);
    let fixture = Fixture::new(&expected, |index| index);
    note_synced(&fixture, 12);
    fixture.put(fixture.bytes.get(..usize::try_from(fixture.ends[6]).unwrap()).unwrap());
    let Err(Error::Corrupt { position, reason, .. }) = fixture.read() else { panic!("nobody noticed") };
    assert_eq!(position, fixture.ends[6]);
    assert!(reason.contains("entry 7") && reason.contains("entry 12"), "{reason}");
    fixture.files().remove_file(&segment_path()).unwrap();
    assert!(matches!(fixture.read(), Err(Error::Corrupt { .. })));
}

#[test]
fn a_frame_elsewhere_is_no_frame() {
    let expected = entries(3);
    let fixture = Fixture::new(&expected, |index| index);
    let (start, end) = (usize::try_from(fixture.ends[1]).unwrap(), usize::try_from(fixture.ends[2]).unwrap());
    let mut bytes = fixture.bytes.clone();
    bytes.extend_from_within(start..end);
    fixture.put(&bytes);
    assert_eq!(fixture.read().unwrap(), expected);
    // The same file in the directory of another raft id.
    let other = SimDisk::new(2);
    other.files().create_dir_all(dir()).unwrap();
    StateFile::create(&*other.files(), dir(), RAFT_ID + 1).unwrap();
    other.files().replace(&segment_path(), &fixture.bytes).unwrap();
    let loaded = StateFile::load(&*other.files(), dir()).unwrap();
    assert!(matches!(log::open(&*other.files(), dir(), loaded), Err(Error::Corrupt { .. })));
}

#[test]
fn a_hole_between_files_is_refused() {
    let fixture = Fixture::new(&entries(12), |index| index);
    create(&*fixture.files(), 13);
    let Err(Error::Corrupt { file, reason, .. }) = fixture.read() else { panic!("nobody noticed") };
    assert_eq!(file, Segment::path(dir(), 13));
    assert!(reason.contains("entry 12 is missing"), "{reason}");
}

#[test]
fn a_torn_vote_leaves_the_one_before() {
    use crate::raft::Vote;
    use openraft::vote::RaftLeaderId;
    let vote = |term| Vote { leader_id: RaftLeaderId::new(term, RAFT_ID), committed: false };
    let fixture = Fixture::new(&[], |index| index);
    let files = fixture.files();
    let mut loaded = StateFile::load(&*files, dir()).unwrap();
    for term in 1..6 {
        let before = loaded.durable.vote;
        loaded.durable.vote = Some(vote(term));
        let block = loaded.state_file.next_durable(&loaded.durable);
        for torn in [1, 30, 511, 4000] {
            let torn = block.bytes.slice(..torn);
            // Garbage first, so that a part of the block never happens to be all of it.
            loaded.state_file.file.write_at(&[Bytes::from(vec![0x5a; 4096])], block.offset).unwrap();
            loaded.state_file.file.write_at(&[torn.slice(..torn.len().min(60))], block.offset).unwrap();
            let again = StateFile::load(&*files, dir()).unwrap();
            let read = again.durable.vote;
            assert!(read == before || read == Some(vote(term)), "{read:?} after {before:?}");
        }
        loaded.state_file.file.write_at(&[block.bytes], block.offset).unwrap();
        assert_eq!(StateFile::load(&*files, dir()).unwrap().durable.vote, Some(vote(term)));
    }
    loaded.state_file.file.write_at(&[Bytes::from(vec![0; 8192])], 0).unwrap();
    assert!(matches!(StateFile::load(&*files, dir()), Err(Error::Corrupt { .. })));
}

/// A sync fails, the process ends, the next one finds in the page cache what was written and syncs that: successfully,
/// since the kernel has forgotten that it never reached the disk. Then the power fails (simulator, seed 239: the log was
/// found damaged).
#[test]
fn what_a_failed_sync_has_left_is_written_again() {
    (0..16).for_each(what_is_left_is_written_again_on);
}

fn what_is_left_is_written_again_on(seed: u64) {
    use crate::raft::Vote;
    use openraft::vote::RaftLeaderId;
    let expected = entries(12);
    let fixture = Fixture::on(SimDisk::new(seed), &expected, |index| index.min(7));
    let vote = Some(Vote { leader_id: RaftLeaderId::new(9, RAFT_ID), committed: false });
    let mut loaded = StateFile::load(&*fixture.files(), dir()).unwrap();
    loaded.durable.vote = vote;
    let block = loaded.state_file.next_durable(&loaded.durable);
    loaded.state_file.file.write_at(&[block.bytes], block.offset).unwrap();
    let log = fixture.files().open(&segment_path(), OpenMode::WRITE).unwrap();
    fixture.files().sync_dir(dir()).unwrap();
    fixture.files().sync_dir(Path::new("/")).unwrap();
    for file in [&log, &loaded.state_file.file] {
        fixture.disk.inject(Rule::next(OpKind::Sync, "/log/", 1));
        file.sync().unwrap_err();
    }
    assert_eq!(fixture.read().unwrap(), expected);
    fixture.disk.crash();
    let opened = fixture.open().unwrap();
    assert_eq!(opened.loaded.durable.vote, vote);
    assert_eq!(opened.recovered.entries, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to the bytes, reading ends, and gives a prefix or an error.
    #[test]
    fn hostile_bytes_never_invent_entries(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        rounds in 1u64..5,
    ) {
        let expected = entries(12);
        let fixture = Fixture::new(&expected, |index| index / rounds * rounds);
        let mut bytes = fixture.bytes.clone();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.put_slice(&tail);
        fixture.put(&bytes);
        if let Ok(read) = fixture.read() {
            prop_assert!(expected.starts_with(&read));
        }
    }

    #[test]
    fn hostile_memberships_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![0, 1];
        versioned.extend(bytes);
        // It may be one by chance; it must only end.
        let _ = crate::codec::take_membership(&mut crate::codec::Reader::new(&versioned));
    }
}
