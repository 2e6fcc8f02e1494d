//! An open file of the operating system.

use std::any::Any;
use std::fs::OpenOptions;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bytes::Bytes;
use rustix::fs::{Advice, FallocateFlags};
use rustix::io::{Errno, retry_on_intr};

use super::disk::at;
use crate::disk::{AlignedBuf, BLOCK_BYTES, File, check_direct};

/// Pieces in one vectored write; Linux takes at most 1024 (`IOV_MAX`).
const PIECES_MAX: usize = 1024;

/// What one call brings into the page cache at most; the kernel takes less than 2 GiB.
const LOAD_BYTES_MAX: usize = 1 << 30;

/// Bounce buffer of reads from direct files.
const BOUNCE_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct OsFile {
    fd: OwnedFd,
    path: PathBuf,
    direct: bool,
}

impl OsFile {
    pub(super) fn new(fd: OwnedFd, path: PathBuf, direct: bool) -> Self {
        Self { fd, path, direct }
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    fn advise(&self, offset: u64, len: u64, advice: Advice) {
        // Zero would mean up to the end of the file.
        if let Some(len) = NonZeroU64::new(len) {
            let _best_effort = rustix::fs::fadvise(&self.fd, offset, Some(len), advice);
        }
    }

    fn read_buffered(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match retry_on_intr(|| rustix::io::pread(&self.fd, &mut *rest, offset + done as u64))? {
                0 => break,
                read => done += read,
            }
        }
        Ok(done)
    }

    /// Has the kernel pass pages of the file on to a device that takes everything and wants none of it, for which it has to
    /// get hold of them.
    fn send_nowhere(&self, mut from: u64, to: u64) -> io::Result<()> {
        let nowhere = OpenOptions::new().write(true).open("/dev/null")?;
        while from < to {
            let len = usize::try_from(to - from).unwrap_or(usize::MAX).min(LOAD_BYTES_MAX);
            if retry_on_intr(|| rustix::fs::sendfile(&nowhere, &self.fd, Some(&mut from), len))? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Reads whole blocks into aligned memory and copies what was asked for.
    fn read_direct(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let block = BLOCK_BYTES as u64;
        let mut bounce = AlignedBuf::with_capacity(0);
        let mut done = 0;
        while done < buf.len() {
            let from = offset + done as u64;
            let skip = usize::try_from(from % block).unwrap_or(0);
            let wanted = (buf.len() - done).min(BOUNCE_BYTES_MAX);
            bounce.resize((skip + wanted).next_multiple_of(BLOCK_BYTES));
            let read = self.read_buffered(bounce.as_mut_slice(), from - from % block)?;
            let got = bounce.as_slice().get(skip..read.min(skip + wanted)).unwrap_or_default();
            if let Some(target) = buf.get_mut(done..done + got.len()) {
                target.copy_from_slice(got);
            }
            done += got.len();
            if got.len() < wanted {
                break;
            }
        }
        Ok(done)
    }

    /// Writes as much as one call takes of `pieces` without their first `skip` bytes; returns how much.
    fn write_some(&self, pieces: &[Bytes], skip: usize, offset: u64) -> io::Result<usize> {
        let mut slices = Vec::with_capacity(pieces.len().min(PIECES_MAX));
        let mut skip = skip;
        for piece in pieces {
            match piece.get(skip..).filter(|rest| !rest.is_empty()) {
                Some(rest) => {
                    slices.push(IoSlice::new(rest));
                    skip = 0;
                }
                None => skip -= piece.len(),
            }
            if slices.len() == PIECES_MAX {
                break;
            }
        }
        let written = retry_on_intr(|| rustix::io::pwritev(&self.fd, &slices, offset))?;
        // A direct write that was cut short goes on from its last whole block.
        let written = if self.direct { written - written % BLOCK_BYTES } else { written };
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    fn write_all(&self, mut pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
        if self.direct {
            check_direct(pieces, offset)?;
        }
        let mut skip = 0;
        loop {
            while let Some((first, rest)) = pieces.split_first().filter(|(first, _)| first.len() <= skip) {
                skip -= first.len();
                pieces = rest;
            }
            if pieces.is_empty() {
                return Ok(());
            }
            let written = self.write_some(pieces, skip, offset)?;
            offset += written as u64;
            skip += written;
        }
    }
}

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = if self.direct { self.read_direct(buf, offset) } else { self.read_buffered(buf, offset) };
        read.map_err(at(&self.path, "read"))
    }

    fn write_at(&self, pieces: &[Bytes], offset: u64) -> io::Result<()> {
        self.write_all(pieces, offset).map_err(at(&self.path, "write"))
    }

    fn sync(&self) -> io::Result<()> {
        let synced = retry_on_intr(|| rustix::fs::fdatasync(&self.fd));
        synced.map_err(io::Error::from).map_err(at(&self.path, "sync"))
    }

    fn len(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstat(&self.fd).map_err(io::Error::from).map_err(at(&self.path, "measure"))?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let set = retry_on_intr(|| rustix::fs::ftruncate(&self.fd, len));
        set.map_err(io::Error::from).map_err(at(&self.path, "set the length of"))
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::KEEP_SIZE;
        let allocated = retry_on_intr(|| rustix::fs::fallocate(&self.fd, flags, offset, len));
        let allocated = allocated.map_err(|error| match error {
            Errno::OPNOTSUPP | Errno::NOSYS => io::ErrorKind::Unsupported.into(),
            error => io::Error::from(error),
        });
        allocated.map_err(at(&self.path, "allocate space for"))
    }

    fn is_direct(&self) -> bool {
        self.direct
    }

    fn forget(&self, offset: u64, len: u64) {
        self.advise(offset, len, Advice::DontNeed);
    }

    fn read_ahead(&self, offset: u64, len: u64) {
        self.advise(offset, len, Advice::WillNeed);
    }

    fn load(&self, offset: u64, len: u64) -> io::Result<()> {
        self.send_nowhere(offset, offset.saturating_add(len)).map_err(at(&self.path, "read"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
