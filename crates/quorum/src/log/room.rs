//! A full disk: what waits for room, and the room that is set aside.
//!
//! Invariants:
//! * Nothing of a write that found no room was acknowledged: the same bytes go to the same place again, until there is
//!   room or the node stops. A failed sync is final all the same.
//! * Behind the last entry up to [`ROOM_BYTES`] are set aside without changing the file's length, so that topics can
//!   be deleted on a disk that others have filled.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use host::{FileRef, Op};

use super::writer::Writer;

/// What is kept for the log: thousands of deletions.
const ROOM_BYTES: u64 = 1 << 20;

/// How long a write waits before it looks for room again.
const FULL_DISK_WAIT: Duration = Duration::from_secs(1);

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Writer {
    /// Writes all of it, as soon as there is room.
    pub(super) async fn write(&mut self, file: FileRef, offset: u64, bytes: Bytes) -> io::Result<()> {
        loop {
            let write = Op::Write { file: Arc::clone(&file), offset, pieces: vec![bytes.clone()] };
            match self.lane.run(write).await {
                Err(error) if is_full(&error) => self.wait_for_room(error).await?,
                written => {
                    if written.is_ok() && self.shared.set_full(None) {
                        tracing::info!(dir = %self.dir.display(), "there is room for the metadata log again: changes go on");
                    }
                    return written.map(drop);
                }
            }
        }
    }

    /// Waits a while; `error` comes back if nobody wants to wait any longer.
    pub(super) async fn wait_for_room(&mut self, error: io::Error) -> io::Result<()> {
        if self.shared.set_full(Some(error.to_string())) {
            let dir = self.dir.display();
            tracing::error!(%error, "no space for the metadata log in {dir}: changes of topics and configurations wait");
        }
        self.clock.sleep(FULL_DISK_WAIT).await;
        if self.shared.has_given_up() { Err(error) } else { Ok(()) }
    }

    /// Sets room aside once half of it is used up.
    pub(super) async fn set_room_aside(&mut self) {
        let Some(last) = self.segments.back().filter(|_| !self.failed) else { return };
        let (file, len) = (Arc::clone(&last.file), last.len);
        if last.reserved >= len + ROOM_BYTES / 2 {
            return;
        }
        let set_aside = self.call(move |_| file.allocate(len, ROOM_BYTES)).await;
        if set_aside.as_ref().is_err_and(is_full) {
            // The next round asks again.
            return;
        }
        if let Err(error) = set_aside {
            tracing::debug!(%error, "this file system sets no room aside for the metadata log");
        }
        if let Some(last) = self.segments.back_mut() {
            last.reserved = len + ROOM_BYTES;
        }
    }
}
