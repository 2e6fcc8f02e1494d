//! OffsetCommit.

use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use protocol::{ErrorCode, Str, Uuid};

use super::Turn;
use crate::classic::State;
use crate::record::{Change, OffsetCommit};
use crate::{Caller, Reply, Ticket};

/// From here a commit to a group that is not there says so.
const GROUP_NOT_FOUND: i16 = 9;

impl Turn<'_> {
    pub(super) fn commit(&mut self, ticket: Ticket, caller: &Caller, request: OffsetCommitRequest) {
        let checked = self.check_commit(caller, &request).and_then(|()| self.check_epochs(caller, &request));
        if checked.is_ok() {
            self.keep_alive_by_commit(&request);
        }
        let mut topics = Vec::with_capacity(request.topics.len());
        let group = match self.env.logged.group_id(&request.group_id) {
            Some(known) => known.clone(),
            None => request.group_id.detached(),
        };
        let expire_timestamp = match request.retention_time_ms {
            -1 => -1,
            retention_ms => self.env.now.wall_ms.saturating_add(retention_ms),
        };
        for topic in request.topics {
            let partitions = topic.partitions.iter().map(|partition| {
                let result =
                    checked.and_then(|()| self.check_metadata(partition.committed_metadata.as_ref()));
                if result.is_ok() {
                    self.commit_one(&group, &topic, partition, expire_timestamp);
                }
                OffsetCommitResponsePartition {
                    partition_index: partition.partition_index,
                    error_code: result.err().unwrap_or_default().code(),
                }
            });
            let partitions = partitions.collect();
            topics.push(OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions });
        }
        self.reply(ticket, Reply::OffsetCommit(OffsetCommitResponse { topics, ..Default::default() }));
    }

    fn check_commit(&self, caller: &Caller, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let generation = request.generation_id_or_member_epoch;
        if let Some(group) = self.live.get(&request.group_id) {
            return group.check_commit(&request.member_id, request.group_instance_id.as_ref(), generation);
        }
        if self.consumer_group(&request.group_id).is_some() {
            return Ok(());
        }
        // Below zero: whoever commits chooses its partitions itself, or is a tool.
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
    fn check_epochs(&self, caller: &Caller, request: &OffsetCommitRequest) -> Result<(), ErrorCode> {
        let Some(group) = self.consumer_group(&request.group_id) else { return Ok(()) };
        let epoch = request.generation_id_or_member_epoch;
        let committer = group.check_commit(caller.version, &request.member_id, epoch)?;
        let mut named = request.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| (&topic.topic_id, partition.partition_index))
        });
        named.try_for_each(|(topic, partition)| committer.check(topic, partition))
    }

    /// A member that commits is alive.
    fn keep_alive_by_commit(&mut self, request: &OffsetCommitRequest) {
        if let Some(group) = self.live.get_mut(&request.group_id)
            && matches!(group.state(), State::Stable | State::PreparingRebalance)
        {
            group.keep_alive(&mut self.env, &request.member_id);
        }
    }

    /// The limit counts as Java does: UTF-16 code units, of which there are never more than bytes.
    pub(super) fn check_metadata(&self, metadata: Option<&Str>) -> Result<(), ErrorCode> {
        let limit = self.env.options.offset_metadata_max_bytes;
        match metadata {
            Some(metadata) if metadata.len() > limit && metadata.encode_utf16().count() > limit => {
                Err(ErrorCode::OffsetMetadataTooLarge)
            }
            _ => Ok(()),
        }
    }

    fn commit_one(
        &mut self,
        group: &Str,
        topic: &OffsetCommitRequestTopic,
        partition: &OffsetCommitRequestPartition,
        expire_timestamp: i64,
    ) {
        let metadata = partition.committed_metadata.as_ref().filter(|metadata| !metadata.is_empty());
        // The record of a commit that expires holds neither of them; versions that ask for it do not have them either.
        let expires = expire_timestamp != -1;
        let commit = OffsetCommit {
            offset: partition.committed_offset,
            leader_epoch: if expires { -1 } else { partition.committed_leader_epoch.max(-1) },
            metadata: metadata.map(Str::detached).unwrap_or_default(),
            commit_timestamp: self.env.now.wall_ms,
            expire_timestamp,
            topic_id: if expires { Uuid::ZERO } else { topic.topic_id },
        };
        self.env.emit(Change::Offset {
            group: group.clone(),
            topic: topic.name.clone(),
            partition: partition.partition_index,
            commit: Some(commit),
        });
    }
}
