//! Reads of several shards, put together into one answer.
//!
//! Invariants:
//! * The answer is the one that a single shard would give: partitions share `bytes_max` in the order in which they
//!   were asked for, only the first batch of the whole answer may exceed it (KIP-74), and a partition that does not
//!   fit is cut behind the last batch that does. It takes all of its limit then: nobody behind it gets the rest.
//! * Shards read at the same time, each as if all of `bytes_max` were its own. Only what turns out to be too much is
//!   read again, one partition after the other, with what is left.
//!
//! Does not know: where records are.

use std::sync::Arc;

use protocol::RecordSet;
use protocol::records::BATCH_OVERHEAD;
use tokio::sync::oneshot;

use super::message::{Message, ReadDone};
use super::{Read, ReadBatch, ReadReply, ReadWaiter, Shards, shard_of, stopped};

/// What is left of the answer's limit.
#[derive(Clone, Copy, Debug)]
struct Left {
    bytes: usize,
    /// Nothing has been read yet, so the first batch is exempt from every limit.
    at_least_one: bool,
}

impl Left {
    /// Whether as much as this may go into the answer.
    fn fits(self, bytes: usize, partition_bytes_max: usize) -> bool {
        self.at_least_one || bytes <= self.bytes.min(partition_bytes_max)
    }

    /// No batch is small enough.
    fn is_used_up(self) -> bool {
        self.bytes < BATCH_OVERHEAD && !self.at_least_one
    }

    fn take(&mut self, reply: &ReadReply) {
        self.bytes = self.bytes.saturating_sub(reply.taken_bytes);
        self.at_least_one &= reply.records.is_empty();
    }
}

impl Shards {
    /// Reads from some partitions, which share `bytes_max` in the order in which they are given. Replies are in that
    /// order. If a `waiter` is given, each partition registers it in the turn in which it is read, so nothing
    /// appended afterwards is missed.
    pub fn read(
        &self,
        reads: Vec<Read>,
        bytes_max: usize,
        at_least_one: bool,
        waiter: Option<Arc<ReadWaiter>>,
    ) -> impl Future<Output = Vec<ReadReply>> + Send + use<> {
        let this = self.clone();
        async move {
            let replies = this.read_all(&reads, bytes_max, at_least_one, waiter).await;
            if this.mailboxes.len() < 2 {
                return replies;
            }
            this.gather(reads, replies, Left { bytes: bytes_max, at_least_one }).await
        }
    }

    /// Every shard reads as if it were the only one.
    async fn read_all(
        &self,
        reads: &[Read],
        bytes_max: usize,
        at_least_one: bool,
        waiter: Option<Arc<ReadWaiter>>,
    ) -> Vec<ReadReply> {
        let shards = self.mailboxes.len();
        let mut waiting = Vec::new();
        for (shard, reads) in self.split(reads.to_vec(), |read| read.key) {
            let (reply, receive) = oneshot::channel();
            let batch = ReadBatch { reads, bytes_max, at_least_one, waiter: waiter.clone() };
            self.send(shard, Message::Read { batch, reply });
            waiting.push((shard, receive));
        }
        let mut done: Vec<std::vec::IntoIter<ReadReply>> =
            (0..shards).map(|_| Vec::new().into_iter()).collect();
        for (shard, receive) in waiting {
            if let (Ok(ReadDone { replies }), Some(place)) = (receive.await, done.get_mut(shard)) {
                *place = replies.into_iter();
            }
        }
        let next = |read: &Read| {
            let reply = done.get_mut(shard_of(&read.key, shards)).and_then(Iterator::next);
            reply.unwrap_or_else(|| ReadReply::refused(read.key, stopped().code))
        };
        reads.iter().map(next).collect()
    }

    /// Keeps the limit over all shards.
    async fn gather(&self, reads: Vec<Read>, replies: Vec<ReadReply>, mut left: Left) -> Vec<ReadReply> {
        // Shards whose replies are no longer those that the limit over all asks for: what one of their partitions
        // had to give back, they have kept from those behind it.
        let mut stale = vec![false; self.mailboxes.len()];
        let mut gathered = Vec::with_capacity(replies.len());
        for (read, mut reply) in reads.into_iter().zip(replies) {
            let stale = stale.get_mut(shard_of(&read.key, self.mailboxes.len()));
            let is_stale = stale.as_ref().is_some_and(|stale| **stale);
            if left.is_used_up() {
                reply.records = RecordSet::new();
                reply.taken_bytes = 0;
            } else if is_stale || !left.fits(reply.taken_bytes, read.bytes_max) {
                if let Some(stale) = stale {
                    *stale = true;
                }
                let again = self.read_all(&[read], left.bytes, left.at_least_one, None).await;
                reply = again.into_iter().next().unwrap_or(reply);
            }
            left.take(&reply);
            gathered.push(reply);
        }
        gathered
    }
}
