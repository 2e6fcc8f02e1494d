//! openraft's log storage: reads from memory, hands changes to the writer and waits where openraft must.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use tokio::sync::{mpsc, oneshot};

use super::memory::Shared;
use super::writer::{Command, Done};
use crate::raft::{Entry, LogId, Payload, TypeConfig, Vote};

/// About how many payload bytes one read for replication returns.
const READ_BYTES: usize = 1 << 20;

#[derive(Clone, Debug)]
pub(crate) struct LogStore {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl LogStore {
    pub(crate) fn new(shared: Arc<Shared>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self { shared, commands }
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// See [`Shared::without_room`].
    pub(crate) async fn without_room(&self) -> String {
        self.shared.without_room().await
    }

    /// See [`Shared::give_up`].
    pub(crate) fn give_up(&self) {
        self.shared.give_up();
    }

    /// Whether nothing was ever logged, voted or purged here.
    pub(crate) fn is_pristine(&self) -> bool {
        let memory = self.shared.memory();
        memory.last().is_none() && memory.vote.is_none()
    }

    /// Notes how far the log is, durably, and ends the writer once everything before is done.
    pub(crate) async fn stop(&self) {
        // An error means that the writer has ended already.
        drop(self.ask(Command::Stop).await);
    }

    async fn ask(&self, command: impl FnOnce(Done) -> Command) -> io::Result<()> {
        let (done, result) = oneshot::channel();
        self.commands.send(command(done)).map_err(|_| self.stopped())?;
        result.await.unwrap_or_else(|_| Err(self.stopped()))
    }

    fn stopped(&self) -> io::Error {
        let reason = self.shared.failure();
        io::Error::other(reason.unwrap_or_else(|| "the metadata log has stopped".to_owned()))
    }
}

/// A view for openraft's other tasks.
#[derive(Clone, Debug)]
pub(crate) struct LogReader(Arc<Shared>);

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.0.memory().read(range).cloned().collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.memory().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let mut bytes = 0;
        let memory = self.0.memory();
        let taken = memory.read(start..end).take_while(|entry| {
            let fits = bytes < READ_BYTES;
            bytes += payload_bytes(entry);
            fits
        });
        Ok(taken.cloned().collect())
    }
}

/// The size of what a client proposed; the other kinds are small.
pub(crate) fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Normal(batch) => batch.0.len(),
        Payload::Blank | Payload::Membership(_) => 0,
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let memory = self.shared.memory();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last() })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader(Arc::clone(&self.shared))
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let vote = *vote;
        self.ask(|done| Command::SaveVote { vote, done }).await?;
        self.shared.memory().vote = Some(vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.shared.memory().committed = committed;
        let Some(committed) = committed else { return Ok(()) };
        self.commands.send(Command::Committed(committed)).map_err(|_| self.stopped())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.shared.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.shared.memory().entries.extend(entries.iter().cloned());
        self.commands.send(Command::Append { entries, callback }).map_err(|_| self.stopped())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        self.shared.memory().truncate(last_log_id.as_ref());
        let end = last_log_id.map_or(0, |id| id.index + 1);
        self.ask(|done| Command::Truncate { end, done }).await
    }

    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        self.shared.memory().purge(log_id);
        self.ask(|done| Command::Purge { upto: log_id, done }).await
    }
}
