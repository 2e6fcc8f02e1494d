//! An open simulated file.

use std::any::Any;
use std::io;
use std::path::PathBuf;

use bytes::Bytes;

use super::faults::OpKind;
use super::files::{SimFiles, at};
use super::names::Ino;
use super::state::{Gate, State, note};
use crate::disk::{File, check_direct};
use crate::sim::trace::hash_bytes;

#[derive(Debug)]
pub(crate) struct SimFile {
    pub(super) files: SimFiles,
    pub(super) ino: Ino,
    pub(super) path: PathBuf,
    pub(super) direct: bool,
    pub(super) writable: bool,
}

impl SimFile {
    fn run<T>(
        &self,
        op: OpKind,
        doing: &str,
        numbers: &[u64],
        act: impl FnOnce(&mut State, Gate) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.files.shared.state();
        let gate = state.gate(self.files.generation, op, &self.path);
        let result = act(&mut state, gate);
        drop(state);
        note(&self.files.shared, op, &self.path, numbers, result.is_err());
        result.map_err(|error| at(&self.path, doing, &error))
    }

    /// Whether the machine still runs on which this was opened.
    fn is_alive(&self, state: &State) -> bool {
        state.generation == self.files.generation && !state.dead
    }

    fn check_writable(&self) -> io::Result<()> {
        // What Linux answers to a write through a descriptor that was opened for reading: EBADF.
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(9)) }
    }
}

/// Writes as far as the quota allows.
fn write(state: &mut State, ino: Ino, pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
    let sector = state.faults.sector_bytes;
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        if !state.fits(state.inodes.get(&ino).map_or(0, |i| i.current().pages_missing(offset, piece.len()))) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.inode(ino).write(piece, offset, sector);
        offset += piece.len() as u64;
    }
    Ok(())
}

/// A write that fails may have written some of its pieces.
fn write_part(state: &mut State, ino: Ino, pieces: &[Bytes], offset: u64) {
    let count = state.rng.index(pieces.len() + 1);
    drop(write(state, ino, pieces.get(..count).unwrap_or_default(), offset));
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let numbers = [offset, buf.len() as u64];
        self.run(OpKind::Read, "read", &numbers, |state, gate| match gate {
            Gate::Pass => Ok(state.inode(self.ino).current().read(buf, offset)),
            Gate::Fail(error) | Gate::Die(error) => Err(error),
        })
    }

    fn write_at(&self, pieces: &[Bytes], offset: u64) -> io::Result<()> {
        self.check_writable().map_err(|error| at(&self.path, "write", &error))?;
        if self.direct {
            check_direct(pieces, offset).map_err(|error| at(&self.path, "write", &error))?;
        }
        let mut numbers = vec![offset];
        numbers.extend(pieces.iter().map(|piece| hash_bytes(piece)));
        self.run(OpKind::Write, "write", &numbers, |state, gate| match gate {
            Gate::Pass => write(state, self.ino, pieces, offset),
            Gate::Fail(error) => {
                if self.is_alive(state) {
                    write_part(state, self.ino, pieces, offset);
                }
                Err(error)
            }
            Gate::Die(error) => {
                write_part(state, self.ino, pieces, offset);
                Err(error)
            }
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.run(OpKind::Sync, "sync", &[], |state, gate| match gate {
            Gate::Pass => {
                state.inode(self.ino).sync();
                Ok(())
            }
            Gate::Fail(error) => {
                if self.is_alive(state) {
                    let State { rng, inodes, faults, .. } = state;
                    let inode = inodes.entry(self.ino).or_default();
                    inode.settle(rng, super::CrashPolicy::Random, faults.sector_bytes);
                }
                Err(error)
            }
            Gate::Die(error) => {
                if state.rng.coin() {
                    state.inode(self.ino).sync();
                }
                Err(error)
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.files.shared.state();
        if !self.is_alive(&state) {
            return Err(at(&self.path, "measure", &io::Error::other("the simulated machine has crashed")));
        }
        Ok(state.inode(self.ino).current().len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable().map_err(|error| at(&self.path, "set the length of", &error))?;
        self.run(OpKind::SetLen, "set the length of", &[len], |state, gate| {
            let (act, result) = match gate {
                Gate::Pass => (true, Ok(())),
                Gate::Fail(error) => (false, Err(error)),
                Gate::Die(error) => (state.rng.coin(), Err(error)),
            };
            if act {
                state.inode(self.ino).set_len(len);
            }
            result
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable().map_err(|error| at(&self.path, "allocate space for", &error))?;
        self.run(OpKind::Allocate, "allocate space for", &[offset, len], |state, gate| {
            if let Gate::Fail(error) | Gate::Die(error) = gate {
                return Err(error);
            }
            // Without a quota nobody can tell, and explicit zero pages would only cost memory.
            if state.faults.quota_bytes.is_none() {
                return Ok(());
            }
            let len = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
            let missing = state.inode(self.ino).current().pages_missing(offset, len);
            if !state.fits(missing) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.inode(self.ino).allocate(offset, len);
            Ok(())
        })
    }

    fn is_direct(&self) -> bool {
        self.direct
    }

    fn forget(&self, _offset: u64, _len: u64) {}

    fn read_ahead(&self, _offset: u64, _len: u64) {}

    fn load(&self, offset: u64, len: u64) -> io::Result<()> {
        self.run(OpKind::Read, "read", &[offset, len], |_, gate| match gate {
            Gate::Pass => Ok(()),
            Gate::Fail(error) | Gate::Die(error) => Err(error),
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.files.shared.state();
        if state.generation != self.files.generation {
            return;
        }
        state.inode(self.ino).handles -= 1;
    }
}
