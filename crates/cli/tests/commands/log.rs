//! `bourn log` on files that are sound and files that are not.

mod transactions;

use std::fs;
use std::path::{Path, PathBuf};

use protocol::Offset;
use protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use tempfile::TempDir;

use super::{Done, Node, fed, run, text, with};

/// The size of each batch of [`Partition`].
const SIZE: usize = 72;

/// A directory `t-0` with one segment of three batches, at the offsets 0 to 2, and its indexes.
struct Partition {
    directory: TempDir,
}

impl Partition {
    fn new() -> Self {
        let this = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(this.path()).unwrap();
        this.write("log", &[batch(0), batch(1), batch(2)].concat());
        // The second batch, with its offset and position; then with its timestamp and offset.
        this.write("index", &[[0, 0, 0, 1], [0, 0, 0, u8::try_from(SIZE).unwrap()]].concat());
        this.write("timeindex", &[&1000_i64.to_be_bytes()[..], &[0, 0, 0, 1]].concat());
        this
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("t-0")
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.path().join(format!("{:020}.{kind}", 0))
    }

    fn write(&self, kind: &str, bytes: &[u8]) {
        fs::write(self.file(kind), bytes).unwrap();
    }

    /// The segment after something was done to its bytes.
    fn with_log(change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let this = Self::new();
        let mut bytes = fs::read(this.file("log")).unwrap();
        change(&mut bytes);
        this.write("log", &bytes);
        this
    }

    fn verify(&self) -> Done {
        run(&["log", "verify", text(&self.path())])
    }

    /// Damage at a place in the segment, which both commands tell.
    #[track_caller]
    fn is_damaged_at(&self, position: usize, words: &[&str]) {
        let done = self.verify();
        done.fails(&["found", "backup"]);
        let place = format!("{} at byte {position}: ", self.file("log").display());
        assert!(done.out.contains(&place) && words.iter().all(|word| done.out.contains(word)), "{done:?}");
        let dump = run(&["log", "dump", "--records", text(&self.file("log"))]);
        dump.fails(&[text(&self.file("log")), &format!("at byte {position}"), "bourn log verify"]);
        let json = run(&["-o", "json", "log", "verify", text(&self.path())]);
        assert!(json.code == 1 && json.json()["problems"][0]["position"] == position, "{json:?}");
    }
}

fn batch(offset: i64) -> Vec<u8> {
    let options = BatchOptions { base_offset: Offset(offset), ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let value = Some(&b"four"[..]);
    builder.append(&NewRecord { timestamp: offset * 1000, value, ..NewRecord::default() }).unwrap();
    let bytes = builder.build().unwrap().to_vec();
    assert_eq!(bytes.len(), SIZE);
    bytes
}

#[test]
fn a_sound_partition_is_found_whatever_of_it_is_named() {
    let partition = Partition::new();
    let sentence = |files: &str| format!("{files} with 216 B of batches; batches: 3, records: 3\n");
    partition.verify().prints(&sentence("3 files"));
    run(&["log", "verify", text(partition.directory.path())]).prints(&sentence("3 files"));
    run(&["log", "verify", text(&partition.file("log"))]).prints(&sentence("1 file"));
    let both = [text(&partition.file("log")).to_owned(), text(&partition.path()).to_owned()];
    run(&["log", "verify", &both[0], &both[1]]).prints(&sentence("3 files"));
    let dump = run(&["log", "dump", "--records", text(&partition.path())]);
    assert!(dump.code == 0 && dump.out.contains("position 72 size 72 offsets 1-1"), "{dump:?}");
    assert!(dump.out.contains("value \"four\"") && dump.out.contains("offset 1 position 72"), "{dump:?}");
    let json = run(&["-o", "json", "log", "dump", "--records", text(&partition.path())]);
    let lines = json.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(lines.filter(|line| line["file"].is_string()).count(), 8);
}

#[test]
fn damage_in_a_segment_is_told_with_its_place() {
    Partition::with_log(|log| log[SIZE + 68] ^= 1).is_damaged_at(SIZE, &["stored crc"]);
    Partition::with_log(|log| log[SIZE + 18] ^= 1).is_damaged_at(SIZE, &["stored crc"]);
    Partition::with_log(|log| log[SIZE + 16] = 1).is_damaged_at(SIZE, &["magic", "nothing behind it"]);
    Partition::with_log(|log| log.truncate(3 * SIZE - 1)).is_damaged_at(2 * SIZE, &["nothing behind it"]);
    Partition::with_log(|log| log.truncate(2 * SIZE + 5)).is_damaged_at(2 * SIZE, &["nothing behind it"]);
    Partition::with_log(|log| log[8] = 0x7f).is_damaged_at(0, &["nothing behind it"]);
    Partition::with_log(|log| log[8] = 0xff).is_damaged_at(0, &["nothing behind it"]);
}

#[test]
fn offsets_that_do_not_grow_are_told() {
    let epochs = Partition::with_log(|log| {
        for (number, epoch) in [(0, 1), (1, 5), (2, 4_u8)] {
            log[number * SIZE + 12..number * SIZE + 16].copy_from_slice(&[0, 0, 0, epoch]);
        }
    });
    let done = epochs.verify();
    done.fails(&["1 problem found"]);
    assert!(done.out.contains("at byte 144: leader epoch 4 behind epoch 5"), "{done:?}");
    let swapped = Partition::with_log(|log| *log = [batch(1), batch(0), batch(2)].concat());
    let done = swapped.verify();
    done.fails(&["problem"]);
    assert!(done.out.contains("at byte 72: offset 0 behind offset 1"), "{done:?}");
    let overlap = Partition::new();
    for kind in ["index", "timeindex"] {
        fs::write(overlap.path().join(format!("{:020}.{kind}", 2)), []).unwrap();
    }
    fs::write(overlap.path().join(format!("{:020}.log", 2)), batch(2)).unwrap();
    let done = overlap.verify();
    done.fails(&["1 problem found"]);
    assert!(done.out.contains("the segment begins at 2, but the one before it ends at 3"), "{done:?}");
}

/// Compaction leaves gaps between offsets, in batches and between them, which are no damage. Offsets that go back are.
#[test]
fn a_compacted_partition_is_sound_until_its_offsets_go_back() {
    let mut node = Node::with(&["log.cleaner.backoff.ms=10"]);
    let configs =
        ["cleanup.policy=compact", "segment.ms=1", "min.cleanable.dirty.ratio=0", "index.interval.bytes=0"];
    let mut create = vec!["topic", "create", "t", "--partitions", "1"];
    create.extend(configs.iter().flat_map(|config| ["-c", config]));
    assert_eq!(with(&node, &create).code, 0);
    let record = |n: i64| {
        let key = if n % 3 == 0 { n } else { -1 };
        format!("{{\"key\":\"{key}\",\"value\":\"four\",\"timestamp\":{}}}\n", 1000 + n * 10)
    };
    let input: String = (0..300).map(record).collect();
    let produce = ["produce", "t", "--format", "json", "--batch-bytes", "400"];
    assert_eq!(fed(&node, &produce, input.as_bytes()).code, 0);
    let path = node.data().join("t-0");
    let segments = || {
        let names =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".log")).count()
    };
    // Two files are there for a moment before the later ones are, too.
    let left = || {
        let read = with(&node, &["consume", "t", "--from", "earliest"]);
        assert_eq!(read.code, 0, "{read:?}");
        read.out.lines().count()
    };
    for _ in 0..1000 {
        if left() < 120 && segments() == 2 {
            break;
        }
    }
    assert_eq!(segments(), 2, "what is closed is one segment");
    node.stop();
    let json = run(&["-o", "json", "log", "verify", text(&path)]);
    assert_eq!(json.code, 0, "{json:?}");
    let records = json.json()["records"].as_u64().unwrap();
    assert!((100..120).contains(&records), "{records}: every third one, and what is in the open segment");
    let first = path.join(format!("{:020}.log", 0));
    let dump = run(&["log", "dump", text(&first)]);
    assert!(dump.code == 0 && dump.out.lines().count() > 5, "{dump:?}");
    let bytes = fs::read(&first).unwrap();
    let size = 12 + usize::try_from(u32::from_be_bytes(bytes[8..12].try_into().unwrap())).unwrap();
    fs::write(&first, [&bytes[size..], &bytes[..size]].concat()).unwrap();
    let done = run(&["log", "verify", text(&first)]);
    done.fails(&["1 problem found", "backup"]);
    assert!(done.out.contains(" behind offset "), "{done:?}");
}

#[test]
fn indexes_that_are_wrong_or_missing_are_told_with_what_to_do() {
    let wrong = |kind: &str, bytes: &[u8], words: &str| {
        let partition = Partition::new();
        partition.write(kind, bytes);
        let done = partition.verify();
        done.fails(&["indexes", "delete those that are wrong"]);
        assert!(!done.errors.contains("backup"), "{done:?}");
        let file = text(&partition.file(kind)).to_owned();
        assert!(done.out.contains(&file) && done.out.contains(words), "{words}: {done:?}");
    };
    wrong("index", &[0, 0, 0, 1, 0, 0, 0, 71], "no batch begins there");
    wrong("index", &[0, 0, 0, 2, 0, 0, 0, 72], "the batch there ends at offset 1");
    wrong("index", &[0, 0, 0, 1, 0, 0, 0, 72, 0, 0, 0, 1, 0, 0, 0, 72], "does not grow");
    wrong("index", &[0, 0, 0, 1, 0, 0, 0, 72, 9], "1 bytes behind the last entry");
    wrong("timeindex", &[0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 9], "the segment holds 0 to 2");
    wrong("timeindex", &[0, 0, 0, 0, 0, 0, 3, 0xe7, 0, 0, 0, 1], "a record up to there has timestamp");
    let partition = Partition::new();
    fs::remove_file(partition.file("timeindex")).unwrap();
    let done = partition.verify();
    done.fails(&["1 problem found", "delete those that are wrong"]);
    assert!(done.out.contains(".timeindex is missing"), "{done:?}");
    run(&["log", "verify", text(&partition.file("log"))])
        .prints("1 file with 216 B of batches; batches: 3, records: 3\n");
    fs::remove_file(partition.file("log")).unwrap();
    let done = partition.verify();
    done.fails(&["1 problem found"]);
    assert!(done.out.contains("there is no segment that it belongs to"), "{done:?}");
}

#[test]
fn an_empty_segment_is_sound_and_an_empty_file_of_another_kind_is_not() {
    let partition = Partition::new();
    for kind in ["log", "index", "timeindex"] {
        partition.write(kind, &[]);
    }
    partition.verify().prints("3 files with 0 B of batches; batches: 0, records: 0\n");
    for name in ["partition.metadata", "leader-epoch-checkpoint"] {
        fs::write(partition.path().join(name), "").unwrap();
    }
    partition.write("snapshot", &[]);
    let done = partition.verify();
    done.fails(&["3 problems found", "from a backup"]);
}

#[test]
fn what_is_no_log_is_refused() {
    let verify = |path: &str| run(&["log", "verify", path]);
    verify("/nonexistent").fails(&["/nonexistent", "No such file"]);
    verify("/dev/null").fails(&["/dev/null: no file of a partition", "00000000000000000000.log"]);
    let empty = tempfile::tempdir().unwrap();
    verify(text(empty.path())).fails(&[text(empty.path()), "there is no file of a partition in it"]);
    let named = empty.path().join("00000000000000000000.log");
    fs::write(&named, "this is not a log, whatever it is called, however long it may go on for").unwrap();
    let done = verify(text(&named));
    done.fails(&["1 problem found"]);
    assert!(done.out.contains("at byte 0"), "{done:?}");
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| text(path).ends_with(ending)).collect()
}

/// It was dropped without a word.
#[test]
fn a_broker_says_what_it_cuts_off_a_segment() {
    let mut node = Node::start();
    assert_eq!(fed(&node, &["produce", "t"], b"a\nb\n").code, 0);
    node.stop();
    let name = format!("{:020}.log", 0);
    let path = node.data().join("t-0").join(&name);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [&whole[..], &[0xee; 77]].concat()).unwrap();
    node.restart();
    with(&node, &["consume", "t"]).prints("a\nb\n");
    let logged = node.logged();
    let line = logged.lines().find(|line| line.contains("is cut off")).unwrap_or_else(|| panic!("{logged}"));
    assert!(line.contains("WARN") && line.contains(&name) && line.contains("bytes=77"), "{line}");
    node.stop();
    assert_eq!(fs::read(&path).unwrap(), whole);
}

/// What `log verify` advises is true.
#[test]
fn a_broker_writes_indexes_anew_that_were_deleted() {
    let mut node = Node::with(&["log.index.interval.bytes=1", "log.segment.bytes=1048576"]);
    let lines: String = (0..30_000).map(|number| format!("{number:0100}\n")).collect();
    assert_eq!(fed(&node, &["produce", "t", "--batch-bytes", "10000"], lines.as_bytes()).code, 0);
    node.stop();
    let partition = node.data().join("t-0");
    let indexes = [files(&partition, ".index"), files(&partition, ".timeindex")].concat();
    assert!(indexes.len() > 5, "{indexes:?}");
    indexes.iter().for_each(|path| fs::remove_file(path).unwrap());
    run(&["log", "verify", text(&partition)]).fails(&["delete those that are wrong"]);
    node.restart();
    for from in [0, 7000, 20_001, 29_999] {
        let read = with(&node, &["consume", "t", "--from", &from.to_string(), "-n", "1"]);
        read.prints(&format!("{from:0100}\n"));
    }
    assert_eq!(with(&node, &["consume", "t"]).out, lines);
    node.kill();
    let done = run(&["log", "verify", text(&partition)]);
    assert_eq!(done.code, 0, "{done:?}");
}
