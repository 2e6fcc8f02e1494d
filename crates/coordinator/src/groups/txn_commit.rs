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

/// From here a commit to a group that is not there says so (KIP-1319).
const GROUP_NOT_FOUND: i16 = 6;

impl Turn<'_> {
    pub(super) fn commit_in_transaction(
        &mut self,
        ticket: Ticket,
        caller: &Caller,
        request: TxnOffsetCommitRequest,
    ) {
        let checked = self.check_commit_in_transaction(caller, &request);
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
