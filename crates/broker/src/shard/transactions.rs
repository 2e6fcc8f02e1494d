//! Transactions on the side of the shard: which batches their coordinators have to be asked about.
//!
//! Invariant: the turn that gives a guard out has looked at the partition; what the partition takes after that voids it.

use protocol::ErrorCode;
use storage::PartitionKey;
use storage::producers::{Guard, Question};
use tokio::sync::oneshot;

use super::api::Refusal;
use super::message::Message;
use super::shard::Shard;
use super::{Shards, shard_of, stopped};

/// Whether a batch has to be asked about: with the guard that it is to be appended with afterwards.
pub type Asked = Result<Option<Guard>, Refusal>;

impl Shards {
    /// Which of these batches begin a transaction in their partition, as far as that knows, in their order. Their coordinators
    /// have to be asked first.
    pub fn ask_about(
        &self,
        questions: Vec<(PartitionKey, Question)>,
    ) -> impl Future<Output = Vec<Asked>> + Send + use<> {
        let keys: Vec<_> = questions.iter().map(|(key, _)| *key).collect();
        let shards = self.mailboxes.len();
        let parts: Vec<_> = self
            .split(questions, |(key, _)| *key)
            .into_iter()
            .map(|(shard, questions)| {
                let (reply, receive) = oneshot::channel();
                self.send(shard, Message::Ask { questions, reply });
                (shard, receive)
            })
            .collect();
        async move {
            let mut done: Vec<std::vec::IntoIter<Asked>> =
                (0..shards).map(|_| Vec::new().into_iter()).collect();
            for (shard, receive) in parts {
                if let (Some(place), Ok(answers)) = (done.get_mut(shard), receive.await) {
                    *place = answers.into_iter();
                }
            }
            let mut next = |key: &PartitionKey| done.get_mut(shard_of(key, shards)).and_then(Iterator::next);
            keys.iter().map(|key| next(key).unwrap_or_else(|| Err(stopped()))).collect()
        }
    }
}

impl Shard {
    pub(super) fn ask(&mut self, questions: Vec<(PartitionKey, Question)>) -> Vec<Asked> {
        let now_ms = self.host.clock.wall_ms();
        let ask = |(key, question): (PartitionKey, Question)| {
            let partition = self.partition(&key)?;
            if partition.log.leader_epoch().is_none() {
                return Err(ErrorCode::NotLeaderOrFollower.into());
            }
            Ok(partition.log.ask(&question, now_ms))
        };
        questions.into_iter().map(ask).collect()
    }
}
