//! The ring grows in the background: a piece at a time, with pauses, unless the journal stands still for it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use host::{Files, Host, Instant, LaneRef, Op};
use storage::directory::{Growth, JOURNAL};
use storage::journal::RingFile;

use super::{Committer, FULL_DISK_PAUSE, Message, completion, is_full_disk, is_over};

/// Between pieces of 256 KiB, which take the disk about as long.
const PACE: Duration = Duration::from_millis(2);

pub(super) struct Background {
    /// For growth and checkpoints, neither of which may delay the journal.
    pub(super) lane: LaneRef,
    journal: PathBuf,
    reserve_bytes: u64,
    /// A file that is being filled, while no operation has it.
    filling: Option<Growth>,
    busy: bool,
    /// Between pieces.
    pace: Option<Instant>,
    /// After the disk was found full.
    pause: Option<Instant>,
}

/// How one step of a growth went.
#[derive(Debug)]
pub(super) enum Grown {
    /// More is to be filled.
    Partly(Growth),
    Whole(RingFile),
    /// Less than the reserve would be left.
    NoSpace,
    Failed(io::Error),
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Background {
    pub(super) fn new(host: &Host, directory: &Path, reserve_bytes: u64) -> Self {
        Self {
            lane: host.disk.lane("journal growth"),
            journal: directory.join(JOURNAL),
            reserve_bytes,
            filling: None,
            busy: false,
            pace: None,
            pause: None,
        }
    }

    /// `stalled`: the journal cannot go on without more room.
    pub(super) fn next_time(&self, stalled: bool) -> Option<Instant> {
        let next = if self.filling.is_some() { self.pace } else { self.pause.filter(|_| stalled) };
        next.filter(|_| !self.busy)
    }
}

impl Committer {
    pub(super) fn grow(&mut self, now: Instant) {
        let urgent = self.journal.is_full();
        if self.background.busy {
            return;
        }
        if self.background.filling.is_some() && !urgent && !is_over(self.background.pace, now) {
            return;
        }
        if let Some(growth) = self.background.filling.take() {
            return self.run_growth(move |files| step(files, growth));
        }
        if !is_over(self.background.pause, now) {
            return;
        }
        self.background.pause = None;
        if let Some((id, bytes)) = self.journal.next_growth() {
            let (journal, reserve) = (self.background.journal.clone(), self.background.reserve_bytes);
            self.run_growth(move |files| begin(files, &journal, id, bytes, reserve));
        }
    }

    fn run_growth(
        &mut self,
        work: impl FnOnce(&dyn Files) -> Result<Grown, storage::Error> + Send + 'static,
    ) {
        self.background.busy = true;
        let (send, receive) = mpsc::channel();
        let op = Op::Call(Box::new(move |files| {
            // The other end lives until the completion has run.
            let _ = send.send(work(files).unwrap_or_else(failed));
            Ok(Bytes::new())
        }));
        let lost = || Grown::Failed(io::Error::other("the lane has lost a result"));
        let wrap = move |_| Message::Grown(receive.try_recv().unwrap_or_else(|_| lost()));
        self.background.lane.submit(op, completion(&self.to_self, wrap));
    }

    pub(super) fn grown(&mut self, grown: Grown) {
        self.background.busy = false;
        let now = self.host.now();
        let path = self.path.display();
        match grown {
            Grown::Partly(growth) => {
                self.background.filling = Some(growth);
                self.background.pace = Some(now.after(PACE));
            }
            Grown::Whole(file) => {
                tracing::debug!(dir = %path, bytes = file.bytes, "the journal grows");
                self.checkpoints.grown = Some(file);
            }
            Grown::NoSpace => {
                self.journal.not_grown();
                self.background.pause = Some(now.after(FULL_DISK_PAUSE));
                tracing::warn!(dir = %path, "too little free space for the journal to grow");
            }
            Grown::Failed(error) => {
                self.journal.not_grown();
                self.fail(&error.to_string().into());
            }
        }
    }
}

fn begin(
    files: &dyn Files,
    journal: &Path,
    id: u32,
    bytes: u64,
    reserve: u64,
) -> Result<Grown, storage::Error> {
    let space = files.space(journal);
    let space = space.map_err(|cause| storage::Error::Io {
        path: journal.to_path_buf(),
        doing: "measure free space",
        cause,
    })?;
    // The first files are needed whatever the disk looks like.
    if id > 1 && space.available_bytes < reserve.saturating_add(bytes) {
        return Ok(Grown::NoSpace);
    }
    Ok(Grown::Partly(Growth::begin(files, journal, id, bytes)?))
}

fn step(files: &dyn Files, mut growth: Growth) -> Result<Grown, storage::Error> {
    match growth.step() {
        Ok(true) => Ok(Grown::Partly(growth)),
        Ok(false) => growth.finish(files).map(Grown::Whole),
        Err(storage::Error::Io { cause, .. }) if is_full_disk(&cause) => {
            growth.abandon(files)?;
            Ok(Grown::NoSpace)
        }
        Err(error) => Err(error),
    }
}

fn failed(error: storage::Error) -> Grown {
    match error {
        storage::Error::Io { cause, .. } if is_full_disk(&cause) => Grown::NoSpace,
        error => Grown::Failed(io::Error::other(error)),
    }
}
