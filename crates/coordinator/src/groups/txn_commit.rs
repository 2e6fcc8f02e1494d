//! TxnOffsetCommit: what a producer has read, which counts when its transaction does (KIP-98, KIP-447).

use protocol::ids::{ProducerEpoch, ProducerId};
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use protocol::{ErrorCode, Str};

use super::Turn;
use crate::record::{Change, OffsetCommit};
use crate::{Caller, Producer, Reply, Ticket};

/// From here a commit to a group that is not there, or at a stale member epoch, says so (KIP-1319).
const GROUP_NOT_FOUND: i16 = 6;

impl Turn<'_> {
    pub(super) fn commit_in_transaction(
        &mut self,
        ticket: Ticket,
        caller: &Caller,
        request: TxnOffsetCommitRequest,
    ) {
        let checked = self
            .check_commit_in_transaction(caller, &request)
            .and_then(|()| self.check_epochs_in_transaction(caller, &request));
        let producer =
            Producer { id: ProducerId(request.producer_id), epoch: ProducerEpoch(request.producer_epoch) };
        let group = match self.env.logged.group_id(&request.group_id) {
            Some(known) => known.clone(),
            None => request.group_id.detached(),
        };
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let metadata = partition.committed_metadata.as_ref();
                let result = checked.and_then(|()| self.check_metadata(metadata));
                if result.is_ok() {
                    self.commit_pending(producer, &group, &topic, partition);
                }
                TxnOffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: result.err().unwrap_or_default().code(),
                }
            });
            let partitions = partitions.collect();
            let (name, topic_id) = (topic.name, topic.topic_id);
            topics.push(TxnOffsetCommitResponseTopic { name, topic_id, partitions });
        }
        let response = TxnOffsetCommitResponse { topics, ..Default::default() };
        self.reply(ticket, Reply::TxnOffsetCommit(response));
    }

    fn check_commit_in_transaction(
        &self,
        caller: &Caller,
        request: &TxnOffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        if let Some(group) = self.live.get(&request.group_id) {
            let instance_id = request.group_instance_id.as_ref();
            return group.check_commit_in_transaction(&request.member_id, instance_id, generation);
        }
        if self.consumer_group(&request.group_id).is_some() {
            return Ok(());
        }
        // Below zero: whoever commits chooses its partitions itself.
        if generation < 0 {
            return Ok(());
        }
        match self.env.logged.group(&request.group_id) {
            Some(_) => Err(ErrorCode::UnknownMemberId),
            None if caller.version >= GROUP_NOT_FOUND => Err(ErrorCode::GroupIdNotFound),
            None => Err(ErrorCode::IllegalGeneration),
        }
    }

    /// Of a consumer group: who commits may do so for every partition that it names, or for none.
    fn check_epochs_in_transaction(
        &self,
        caller: &Caller,
        request: &TxnOffsetCommitRequest,
    ) -> Result<(), ErrorCode> {
        let Some(group) = self.consumer_group(&request.group_id) else { return Ok(()) };
        let (member_id, epoch) = (&request.member_id, request.generation_id_or_member_epoch);
        let committer =
            group.check_commit_in_transaction(member_id, request.group_instance_id.as_ref(), epoch);
        let mut named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| (&topic.topic_id, partition.partition_index))
        });
        let checked = committer
            .and_then(|committer| named.try_for_each(|(topic, partition)| committer.check(topic, partition)));
        checked.map_err(|error| match error {
            ErrorCode::StaleMemberEpoch if caller.version < GROUP_NOT_FOUND => ErrorCode::IllegalGeneration,
            error => error,
        })
    }

    fn commit_pending(
        &mut self,
        producer: Producer,
        group: &Str,
        topic: &TxnOffsetCommitRequestTopic,
        partition: &TxnOffsetCommitRequestPartition,
    ) {
        let metadata = partition.committed_metadata.as_ref().filter(|metadata| !metadata.is_empty());
        let commit = OffsetCommit {
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch.max(-1),
            metadata: metadata.map(Str::detached).unwrap_or_default(),
            commit_timestamp: self.env.now.wall_ms,
            expire_timestamp: -1,
            topic_id: topic.topic_id,
        };
        let change = Change::Offset {
            group: group.clone(),
            topic: topic.name.clone(),
            partition: partition.partition_index,
            commit: Some(commit),
        };
        self.env.emit_pending(producer, change);
    }
}
