//! The one task that changes log files and quorum state.
//!
//! Invariants:
//! * One operation after the other, in the order of the commands. Appends that wait while a round is being synced
//!   share the next sync.
//! * After the first failed operation every command fails: nothing is written or synced again.
//! * A write for which the disk has no room has not failed: it waits, and the commands behind it (see [`room`]).

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use host::disk::Lock;
use host::{Clock, FileRef, Files, Host, LaneRef, Op, Place};
use openraft::storage::IOFlushed;
use tokio::sync::{mpsc, oneshot};

use super::frame;
use super::memory::Shared;
use super::room;
use super::segment::{self, Segment};
use super::state_file::{BlockWrite, Durable, Loaded, Progress, StateFile};
use super::store::payload_bytes;
use crate::raft::{Entry, LogId, TypeConfig, Vote};

/// One write holds about this much, and a round takes no more appends once it is as large.
const ROUND_BYTES: usize = 1 << 20;

pub(crate) type Done = oneshot::Sender<io::Result<()>>;

/// What openraft wants done. The number of waiting commands is bounded by the proposals in flight.
pub(crate) enum Command {
    Append {
        entries: Vec<Entry>,
        callback: IOFlushed<TypeConfig>,
    },
    SaveVote {
        vote: Vote,
        done: Done,
    },
    /// Keeps the entries before `end`.
    Truncate {
        end: u64,
        done: Done,
    },
    Purge {
        upto: LogId,
        done: Done,
    },
    Committed(LogId),
    Stop(Done),
}

pub(crate) struct Writer {
    pub(super) lane: LaneRef,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dir: PathBuf,
    state_file: StateFile,
    durable: Durable,
    progress: Progress,
    /// Whether `progress` differs from what was written last.
    progress_is_new: bool,
    pub(super) segments: VecDeque<Segment>,
    pub(super) shared: Arc<Shared>,
    pub(super) failed: bool,
    /// Nobody else may open the directory while this writes to it.
    _lock: Box<dyn Lock>,
}

impl Writer {
    pub(crate) fn spawn(
        host: &Host,
        dir: PathBuf,
        loaded: Loaded,
        segments: VecDeque<Segment>,
        shared: Arc<Shared>,
        lock: Box<dyn Lock>,
    ) -> mpsc::UnboundedSender<Command> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let Loaded { state_file, durable, mut progress } = loaded;
        let log_start = durable.purged.map_or(0, |purged| purged.index + 1);
        let log_end = segments.back().map_or(log_start, Segment::end);
        // Recovery has synced all it found.
        progress.synced_end = log_end.max(log_start);
        let lane = host.disk.lane("metadata-log");
        let writer = Self {
            lane,
            clock: Arc::clone(&host.clock),
            dir,
            state_file,
            durable,
            progress,
            progress_is_new: false,
            segments,
            shared,
            failed: false,
            _lock: lock,
        };
        host.spawn(Place::Control, "metadata-log", writer.run(receiver));
        commands
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut next = None;
        loop {
            let command = match next.take() {
                Some(command) => Some(command),
                None => match commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(_) => {
                        self.note_progress().await;
                        self.set_room_aside().await;
                        commands.recv().await
                    }
                },
            };
            match command {
                Some(Command::Append { entries, callback }) => {
                    next = self.append_round(entries, callback, &mut commands).await;
                }
                Some(Command::SaveVote { vote, done }) => {
                    let durable = Durable { vote: Some(vote), ..self.durable.clone() };
                    let result = self.save(durable).await;
                    self.answer(result, done);
                }
                Some(Command::Truncate { end, done }) => {
                    let result = self.truncate(end).await;
                    self.answer(result, done);
                }
                Some(Command::Purge { upto, done }) => {
                    let result = self.purge(upto).await;
                    self.answer(result, done);
                }
                Some(Command::Committed(committed)) => {
                    self.progress_is_new |= self.progress.committed != Some(committed);
                    self.progress.committed = Some(committed);
                }
                Some(Command::Stop(done)) => {
                    let result = self.sync_progress().await;
                    self.answer(result, done);
                    return;
                }
                None => return,
            }
        }
    }

    /// Appends `entries` and every append that already waits, then syncs once. Returns the command that ended the
    /// collecting.
    async fn append_round(
        &mut self,
        mut entries: Vec<Entry>,
        callback: IOFlushed<TypeConfig>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<Command> {
        let mut callbacks = vec![callback];
        let mut next = None;
        let mut bytes: usize = entries.iter().map(payload_bytes).sum();
        while bytes < ROUND_BYTES && next.is_none() {
            match commands.try_recv() {
                Ok(Command::Append { entries: more, callback }) => {
                    bytes += more.iter().map(payload_bytes).sum::<usize>();
                    entries.extend(more);
                    callbacks.push(callback);
                }
                Ok(Command::Committed(committed)) => {
                    self.progress_is_new = true;
                    self.progress.committed = Some(committed);
                }
                Ok(other) => next = Some(other),
                Err(_) => break,
            }
        }
        let result = self.append(&entries).await;
        let result = self.note_failure(result);
        for callback in callbacks {
            callback.io_completed(copy(&result));
        }
        next
    }

    /// Writes and syncs `entries`.
    async fn append(&mut self, mut entries: &[Entry]) -> io::Result<()> {
        self.check()?;
        while let Some(first) = entries.first() {
            let index = first.log_id.index;
            if self.segments.back().is_none_or(|last| last.len >= segment::SEGMENT_BYTES) {
                self.roll(index).await?;
            }
            let segment = self.segments.back_mut().ok_or_else(|| io::Error::other("there is no log file"))?;
            if segment.end() != index {
                return Err(io::Error::other(format!("entry {index} does not follow {}", segment.end())));
            }
            let mut buffer = BytesMut::new();
            let mut written = 0;
            for entry in entries {
                let position = segment.len + buffer.len() as u64;
                let place = frame::Place { raft_id: self.state_file.raft_id, base: segment.base, position };
                frame::encode(&mut buffer, entry, self.progress.synced_end.min(index), place);
                segment.positions.push(position);
                written += 1;
                if buffer.len() >= ROUND_BYTES {
                    break;
                }
            }
            let (offset, len) = (segment.len, buffer.len() as u64);
            segment.len += len;
            let file = Arc::clone(&segment.file);
            self.write(file, offset, buffer.freeze()).await?;
            entries = entries.get(written..).unwrap_or_default();
        }
        self.sync_log().await
    }

    /// Syncs the last file; the ones before it are synced already.
    async fn sync_log(&mut self) -> io::Result<()> {
        let Some(last) = self.segments.back() else { return Ok(()) };
        let end = last.end();
        self.lane.run(Op::Sync { file: Arc::clone(&last.file) }).await?;
        self.progress.synced_end = self.progress.synced_end.max(end);
        self.progress_is_new = true;
        Ok(())
    }

    /// Starts a new file with entry `base`. While the disk is full the one before goes on, which has room set aside.
    async fn roll(&mut self, base: u64) -> io::Result<()> {
        self.sync_log().await?;
        let segment = loop {
            let (dir, raft_id) = (self.dir.clone(), self.state_file.raft_id);
            match self.call(move |files| Segment::begin(files, &dir, base, raft_id)).await {
                Err(error) if room::is_full(&error) => {
                    if self.segments.back().is_some_and(|last| last.len < segment::SEGMENT_BYTES_MAX) {
                        return Ok(());
                    }
                    self.wait_for_room(error).await?;
                }
                begun => break begun?,
            }
        };
        let (dir, file) = (self.dir.clone(), Arc::clone(&segment.file));
        self.call(move |files| Segment::settle(files, &dir, &*file)).await?;
        self.segments.push_back(segment);
        Ok(())
    }

    async fn truncate(&mut self, end: u64) -> io::Result<()> {
        self.check()?;
        if self.segments.back().is_none_or(|last| last.end() <= end) {
            return Ok(());
        }
        // First, or a crash in the middle would look like damage.
        self.progress.synced_end = self.progress.synced_end.min(end);
        self.sync_progress().await?;
        let mut removed = Vec::new();
        while let Some(last) = self.segments.pop_back_if(|last| last.base >= end && last.base > 0) {
            removed.push(last.path);
        }
        let cut = self.segments.back_mut().and_then(|last| {
            let kept = usize::try_from(end.saturating_sub(last.base)).unwrap_or(usize::MAX);
            let len = *last.positions.get(kept)?;
            last.positions.truncate(kept);
            last.len = len;
            last.reserved = len;
            Some((Arc::clone(&last.file), len))
        });
        let dir = self.dir.clone();
        self.call(move |files| {
            // From the end backward, and durable before the cut: the log never has a hole.
            for path in &removed {
                files.remove_file(path)?;
                files.sync_dir(&dir)?;
            }
            if let Some((file, len)) = cut {
                file.set_len(len)?;
                file.sync()?;
            }
            Ok(())
        })
        .await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.check()?;
        self.save(Durable { purged: Some(upto), ..self.durable.clone() }).await?;
        let start = upto.index + 1;
        self.progress.synced_end = self.progress.synced_end.max(start);
        let mut removed = Vec::new();
        while let Some(first) = self.segments.pop_front_if(|first| first.end() <= start) {
            removed.push(first.path);
        }
        if removed.is_empty() {
            return Ok(());
        }
        let dir = self.dir.clone();
        self.call(move |files| {
            removed.iter().try_for_each(|path| files.remove_file(path))?;
            files.sync_dir(&dir)
        })
        .await
    }

    /// Replaces the vote and the purged log id on disk.
    async fn save(&mut self, durable: Durable) -> io::Result<()> {
        self.check()?;
        let BlockWrite { offset, bytes } = self.state_file.next_durable(&durable);
        self.write(self.state(), offset, bytes).await?;
        self.lane.run(Op::Sync { file: self.state() }).await?;
        self.durable = durable;
        Ok(())
    }

    /// Writes down how far the log is, for the next start. Losing it costs nothing but a check.
    async fn note_progress(&mut self) {
        if self.failed || !self.progress_is_new {
            return;
        }
        let result = match self.write_progress().await {
            Err(error) if room::is_full(&error) => Ok(()),
            result => result,
        };
        // The failure is kept and told with the next command.
        drop(self.note_failure(result));
    }

    async fn write_progress(&mut self) -> io::Result<()> {
        self.progress_is_new = false;
        let BlockWrite { offset, bytes } = self.state_file.next_progress(&self.progress);
        self.lane.run(Op::Write { file: self.state(), offset, pieces: vec![bytes] }).await.map(drop)
    }

    async fn sync_progress(&mut self) -> io::Result<()> {
        self.check()?;
        self.write_progress().await?;
        self.lane.run(Op::Sync { file: self.state() }).await?;
        Ok(())
    }

    fn state(&self) -> FileRef {
        Arc::clone(&self.state_file.file)
    }

    /// Runs blocking calls on the lane.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Files) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (send, receive) = oneshot::channel();
        let op = Op::Call(Box::new(move |files| {
            drop(send.send(call(files)?));
            Ok(Bytes::new())
        }));
        self.lane.run(op).await?;
        receive.await.map_err(|_| io::Error::other("the disk lane has dropped a result"))
    }

    fn check(&self) -> io::Result<()> {
        if self.failed {
            let reason = self.shared.failure().unwrap_or_default();
            return Err(io::Error::other(reason));
        }
        Ok(())
    }

    fn note_failure(&mut self, result: io::Result<()>) -> io::Result<()> {
        if let Err(error) = &result
            && !self.failed
        {
            self.failed = true;
            self.shared.fail(&error.to_string());
            tracing::error!(dir = %self.dir.display(), %error, "the metadata log has failed");
        }
        result
    }

    fn answer(&mut self, result: io::Result<()>, done: Done) {
        let result = self.note_failure(result);
        // Nobody may be waiting for it.
        drop(done.send(result));
    }
}

fn copy(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    }
}
