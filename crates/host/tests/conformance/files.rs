use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use host::disk::{AlignedBuf, BLOCK_BYTES, FileRef};
use host::{Host, OpenMode};

fn read(file: &FileRef, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xee; len];
    let read = file.read_at(&mut buf, offset).unwrap();
    buf.truncate(read);
    buf
}

fn blocks(count: usize, byte: u8) -> Bytes {
    let mut buf = AlignedBuf::with_capacity(0);
    buf.extend_from_slice(&vec![byte; count * BLOCK_BYTES]);
    buf.freeze()
}

pub(crate) async fn reads_what_was_written(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let file = files.open(&dir.join("a"), OpenMode::CREATE_NEW).unwrap();
    let pieces = [Bytes::from_static(b"one "), Bytes::new(), Bytes::from_static(b"two")];
    file.write_at(&pieces, 0).unwrap();
    file.write_at(&[Bytes::from_static(b"TWO!")], 4).unwrap();
    assert_eq!(read(&file, 0, 8), b"one TWO!");
    file.sync().unwrap();
    assert_eq!(read(&file, 2, 4), b"e TW");
    let other = files.open(&dir.join("a"), OpenMode::READ).unwrap();
    assert_eq!(read(&other, 4, 4), b"TWO!");
}

pub(crate) async fn reads_stop_at_the_end(host: Host, dir: PathBuf) {
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    assert!(file.is_empty().unwrap());
    assert_eq!(read(&file, 0, 4), b"");
    file.write_at(&[Bytes::from_static(b"abc")], 5000).unwrap();
    assert_eq!(file.len().unwrap(), 5003);
    assert_eq!(read(&file, 4998, 100), b"\0\0abc", "the gap reads as zeros");
    assert_eq!(read(&file, 5003, 1), b"");
    assert_eq!(read(&file, 1 << 40, 1), b"");
}

pub(crate) async fn lengths(host: Host, dir: PathBuf) {
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from(vec![7; 10_000])], 0).unwrap();
    file.set_len(4097).unwrap();
    assert_eq!(file.len().unwrap(), 4097);
    file.set_len(9000).unwrap();
    assert_eq!(read(&file, 4095, 4), [7, 7, 0, 0], "what was cut off does not come back");
    assert_eq!(read(&file, 8999, 10), [0]);
    file.set_len(0).unwrap();
    assert!(file.is_empty().unwrap());
}

pub(crate) async fn open_modes(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let path = dir.join("a");
    assert_eq!(files.open(&path, OpenMode::READ).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.open(&path, OpenMode::WRITE).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!files.exists(&path).unwrap());
    let file = files.open(&path, OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from_static(b"kept")], 0).unwrap();
    assert_eq!(read(&files.open(&path, OpenMode::CREATE).unwrap(), 0, 9), b"kept");
    assert_eq!(files.open(&path, OpenMode::CREATE_NEW).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let read_only = files.open(&path, OpenMode::READ).unwrap();
    assert!(read_only.write_at(&[Bytes::from_static(b"x")], 0).is_err());
    assert!(read_only.set_len(0).is_err());
    assert_eq!(read(&file, 0, 9), b"kept");
    let lost = dir.join("no/such/directory");
    assert_eq!(files.open(&lost, OpenMode::CREATE).unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) async fn direct_files(host: Host, dir: PathBuf) {
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE.direct()).unwrap();
    if !file.is_direct() {
        // The file system of this directory has no direct I/O; the fallback is an ordinary file.
        file.write_at(&[Bytes::from_static(b"abc")], 1).unwrap();
        return;
    }
    file.write_at(&[blocks(2, 1), blocks(1, 2)], 4096).unwrap();
    assert_eq!(file.len().unwrap(), 4 * 4096);
    assert_eq!(read(&file, 3 * 4096 - 1, 2), [1, 2]);
    assert_eq!(read(&file, 4 * 4096 - 3, 100), [2, 2, 2]);
    assert_eq!(read(&file, 4 * 4096, 100), b"");
    let refused = [
        file.write_at(&[blocks(1, 3)], 512).unwrap_err(),
        file.write_at(&[blocks(1, 3).slice(..100)], 0).unwrap_err(),
        file.write_at(&[blocks(2, 3).slice(1..=4096)], 0).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(read(&file, 0, 4096), vec![0; 4096]);
}

pub(crate) async fn many_pieces(host: Host, dir: PathBuf) {
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    let pieces: Vec<Bytes> = (0..5000_u16).map(|n| Bytes::from(vec![n as u8; usize::from(n % 5)])).collect();
    file.write_at(&pieces, 3).unwrap();
    assert_eq!(read(&file, 3, 1 << 20), pieces.concat());
    file.write_at(&[], 0).unwrap();
    file.write_at(&[Bytes::new(), Bytes::new()], 1 << 30).unwrap();
    assert_eq!(file.len().unwrap(), 10_003);
}

fn names(host: &Host, dir: &Path) -> Vec<(String, bool)> {
    let entries = host.disk.files().read_dir(dir).unwrap();
    entries.into_iter().map(|entry| (entry.name, entry.is_dir)).collect()
}

pub(crate) async fn directories(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    files.create_dir_all(&dir.join("x/y/z")).unwrap();
    files.create_dir_all(&dir.join("x/y")).unwrap();
    files.open(&dir.join("x/b"), OpenMode::CREATE).unwrap();
    files.open(&dir.join("x/a"), OpenMode::CREATE).unwrap();
    let found = names(&host, &dir.join("x"));
    assert_eq!(found, [("a".to_owned(), false), ("b".to_owned(), false), ("y".to_owned(), true)]);
    files.sync_dir(&dir.join("x")).unwrap();
    assert_eq!(files.sync_dir(&dir.join("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files.read_dir(&dir.join("nothing")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(files.create_dir_all(&dir.join("x/a/under-a-file")).is_err());
    assert!(files.remove_file(&dir.join("x/y")).is_err(), "a directory");
    files.remove_file(&dir.join("x/a")).unwrap();
    assert_eq!(files.remove_file(&dir.join("x/a")).unwrap_err().kind(), ErrorKind::NotFound);
    files.rename(&dir.join("x/y"), &dir.join("x/w")).unwrap();
    assert!(files.exists(&dir.join("x/w/z")).unwrap());
    files.remove_dir_all(&dir.join("x")).unwrap();
    assert!(!files.exists(&dir.join("x")).unwrap());
    assert_eq!(files.remove_dir_all(&dir.join("x")).unwrap_err().kind(), ErrorKind::NotFound);
}

pub(crate) async fn renames_replace(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let (a, b) = (dir.join("a"), dir.join("b"));
    let file = files.open(&a, OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from_static(b"new")], 0).unwrap();
    files.open(&b, OpenMode::CREATE).unwrap().write_at(&[Bytes::from_static(b"old")], 0).unwrap();
    files.rename(&a, &b).unwrap();
    assert!(!files.exists(&a).unwrap());
    assert_eq!(files.read(&b, 100).unwrap(), b"new");
    file.write_at(&[Bytes::from_static(b"still open")], 0).unwrap();
    assert_eq!(files.read(&b, 100).unwrap(), b"still open");
    assert_eq!(files.rename(&a, &b).unwrap_err().kind(), ErrorKind::NotFound);
    files.create_dir_all(&dir.join("d")).unwrap();
    assert!(files.rename(&b, &dir.join("d")).is_err(), "a directory is not replaced by a file");
}

pub(crate) async fn removed_files_stay_open(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let path = dir.join("a");
    let file = files.open(&path, OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from_static(b"abc")], 0).unwrap();
    files.remove_file(&path).unwrap();
    let other = files.open(&path, OpenMode::CREATE_NEW).unwrap();
    assert!(other.is_empty().unwrap());
    assert_eq!(read(&file, 0, 3), b"abc");
    file.sync().unwrap();
}

pub(crate) async fn replace_and_read(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let path = dir.join("state");
    files.replace(&path, b"first and longer").unwrap();
    files.replace(&path, b"second").unwrap();
    assert_eq!(files.read(&path, 6).unwrap(), b"second");
    assert_eq!(files.read(&path, 5).unwrap_err().kind(), ErrorKind::InvalidData);
    assert_eq!(names(&host, &dir), [("state".to_owned(), false)]);
}

pub(crate) async fn locks(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let path = dir.join("lock");
    let held = files.lock(&path).unwrap();
    assert_eq!(files.lock(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(files.lock(&dir.join("other")).unwrap());
    drop(held);
    drop(files.lock(&path).unwrap());
}

pub(crate) async fn errors_name_the_path(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let path = dir.join("missing-file");
    files.open(&dir.join("a"), OpenMode::CREATE).unwrap();
    let read_only = files.open(&dir.join("a"), OpenMode::READ).unwrap();
    let errors = [
        files.open(&path, OpenMode::READ).unwrap_err(),
        files.read_dir(&path).unwrap_err(),
        files.remove_file(&path).unwrap_err(),
        files.rename(&path, &dir.join("b")).unwrap_err(),
        files.sync_dir(&path).unwrap_err(),
        files.space(&path).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("missing-file"), "{error}");
    }
    let error = read_only.write_at(&[Bytes::from_static(b"x")], 0).unwrap_err();
    assert!(error.to_string().contains(dir.join("a").to_str().unwrap()), "{error}");
}

pub(crate) async fn space_and_allocation(host: Host, dir: PathBuf) {
    let files = host.disk.files();
    let space = files.space(&dir).unwrap();
    assert!(space.available_bytes > 0 && space.available_bytes <= space.total_bytes, "{space:?}");
    let file = files.open(&dir.join("a"), OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from_static(b"abc")], 0).unwrap();
    match file.allocate(0, 1 << 20) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
    }
    assert_eq!(file.len().unwrap(), 3);
    assert_eq!(read(&file, 0, 100), b"abc");
    file.forget(0, 3);
    file.forget(0, 0);
    file.load(0, 3).unwrap();
    file.load(1, 1 << 40).unwrap();
    assert_eq!(read(&file, 0, 100), b"abc");
}
