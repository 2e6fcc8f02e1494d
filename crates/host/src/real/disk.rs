//! The operating system's file systems.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::file::OsFile;
use super::lane::{Priority, ThreadLane};
use crate::disk::{DirEntry, Disk, FileRef, Files, LaneRef, Lock, OpenMode, Space};

#[derive(Debug)]
pub(super) struct OsDisk;

impl Disk for OsDisk {
    fn files(&self) -> Arc<dyn Files> {
        Arc::new(OsFiles)
    }

    fn open_files_max(&self) -> usize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
    }

    fn lane(&self, name: &'static str) -> LaneRef {
        Arc::new(ThreadLane::start(name, Priority::Usual))
    }

    fn background_lane(&self, name: &'static str) -> LaneRef {
        Arc::new(ThreadLane::start(name, Priority::Lowest))
    }
}

#[derive(Debug)]
pub(super) struct OsFiles;

/// Adds the path to an error's text and keeps its kind.
pub(super) fn at(path: &Path, doing: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

fn open_fd(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    rustix::io::retry_on_intr(|| rustix::fs::open(path, flags | OFlags::CLOEXEC, mode))
}

fn flags(mode: OpenMode) -> OFlags {
    let mut flags = if mode.write { OFlags::RDWR } else { OFlags::RDONLY };
    flags.set(OFlags::CREATE, mode.create);
    flags.set(OFlags::EXCL, mode.create && mode.exclusive);
    flags
}

impl Files for OsFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<FileRef> {
        let flags = flags(mode);
        let mut direct = mode.direct;
        let mut opened = open_fd(path, if direct { flags | OFlags::DIRECT } else { flags });
        if direct && matches!(opened, Err(Errno::INVAL | Errno::OPNOTSUPP)) {
            // A refused O_DIRECT may have made the file already, so `exclusive` has had its say.
            direct = false;
            opened = match open_fd(path, flags) {
                Err(Errno::EXIST) => open_fd(path, flags - OFlags::EXCL),
                opened => opened,
            };
        }
        let fd = opened.map_err(io::Error::from).map_err(at(path, "open"))?;
        Ok(Arc::new(OsFile::new(fd, path.to_owned(), direct)))
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let read = || -> io::Result<Vec<DirEntry>> {
            let mut entries = Vec::new();
            for entry in std::fs::read_dir(path)? {
                let entry = entry?;
                // A name that is not UTF-8 is not one of ours; it is listed, and cannot be opened by this text.
                let name = entry.file_name().to_string_lossy().into_owned();
                // The directory tells the type; only a link has to be followed.
                let file_type = entry.file_type()?;
                let is_dir = file_type.is_dir() || (file_type.is_symlink() && entry.path().is_dir());
                entries.push(DirEntry { name, is_dir });
            }
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(entries)
        };
        read().map_err(at(path, "list"))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir_all(path).map_err(at(path, "create directory"))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to).map_err(at(from, &format!("rename to {}", to.display())))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path).map_err(at(path, "remove"))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path).map_err(at(path, "remove directory"))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let sync = || -> Result<(), Errno> {
            let fd = open_fd(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
            rustix::io::retry_on_intr(|| rustix::fs::fsync(&fd))
        };
        sync().map_err(io::Error::from).map_err(at(path, "sync directory"))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists().map_err(at(path, "look up"))
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let stat = rustix::io::retry_on_intr(|| rustix::fs::statvfs(path));
        let stat = stat.map_err(io::Error::from).map_err(at(path, "measure free space of"))?;
        Ok(Space {
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let lock = || -> Result<OwnedFd, Errno> {
            let fd = open_fd(path, OFlags::RDWR | OFlags::CREATE)?;
            rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
            Ok(fd)
        };
        let fd = lock().map_err(io::Error::from).map_err(at(path, "lock"))?;
        Ok(Box::new(OsLock { _fd: fd }))
    }
}

/// Held by the open file description: the kernel releases it when the descriptor closes.
#[derive(Debug)]
struct OsLock {
    _fd: OwnedFd,
}

impl Lock for OsLock {}
