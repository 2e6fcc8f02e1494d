//! DeleteGroups and OffsetDelete.

use std::collections::BTreeSet;

use protocol::messages::delete_groups_response::DeletableGroupResult;
use protocol::messages::offset_delete_request::OffsetDeleteRequest;
use protocol::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use protocol::{ErrorCode, Str};

use super::Turn;
use crate::classic::CONSUMER;
use crate::record::Change;
use crate::{Reply, Ticket};

impl Turn<'_> {
    pub(super) fn delete_group(&mut self, ticket: Ticket, group_id: Str) {
        let result = match self.live.get(&group_id) {
            Some(group) if group.has_members() => Err(ErrorCode::NonEmptyGroup),
            None if self.attendances.contains_key(&group_id) => Err(ErrorCode::NonEmptyGroup),
            _ if self.env.logged.group(&group_id).is_none() => Err(ErrorCode::GroupIdNotFound),
            _ => Ok(()),
        };
        if result.is_ok() {
            self.bury(&group_id);
        }
        let error_message = match result {
            Ok(()) => None,
            Err(ErrorCode::GroupIdNotFound) => Some(Str::from(format!("Group {group_id} not found."))),
            Err(error) => Some(Str::from_static(error.message())),
        };
        let error_code = result.err().unwrap_or_default().code();
        self.reply(ticket, Reply::DeleteGroup(DeletableGroupResult { group_id, error_code, error_message }));
    }

    /// Offsets first: what is left of a group without them is nothing.
    pub(super) fn bury(&mut self, group_id: &Str) {
        let Some(group) = self.env.logged.group(group_id) else { return };
        let (has_metadata, is_consumer) = (group.metadata.is_some(), group.consumer.is_some());
        let committed = (group.offsets.iter())
            .flat_map(|(topic, offsets)| offsets.iter().map(|(&partition, _)| (topic.clone(), partition)));
        let pending = group.pending.iter().flat_map(|pending| pending.iter().map(|(place, _)| place.clone()));
        let offsets: BTreeSet<(Str, i32)> = committed.chain(pending).collect();
        for (topic, partition) in offsets {
            self.forget_offset(group_id, topic, partition);
        }
        if is_consumer {
            self.rule(group_id, |ruling| ruling.bury());
        }
        if has_metadata {
            self.env.emit(Change::Group { group: group_id.clone(), metadata: None });
        }
        // Ids that were given to clients who wanted to join it are worth nothing now.
        if let Some(group) = self.live.remove(group_id) {
            group.abandon(&mut self.env);
        }
    }

    pub(super) fn forget_offset(&mut self, group: &Str, topic: Str, partition: i32) {
        self.env.emit(Change::Offset { group: group.clone(), topic, partition, commit: None });
    }

    pub(super) fn delete_offsets(&mut self, ticket: Ticket, request: &OffsetDeleteRequest) {
        let group_id = &request.group_id;
        let live = self.live.get(group_id).filter(|group| group.has_members());
        let result = match live {
            _ if group_id.is_empty() => Err(ErrorCode::InvalidGroupId),
            Some(group) if group.protocol_type().is_none_or(|kind| kind != CONSUMER) => {
                Err(ErrorCode::NonEmptyGroup)
            }
            None if self.env.logged.group(group_id).is_none() => Err(ErrorCode::GroupIdNotFound),
            _ => Ok(()),
        };
        if let Err(error) = result {
            let response = OffsetDeleteResponse { error_code: error.code(), ..Default::default() };
            self.reply(ticket, Reply::OffsetDelete(response));
            return;
        }
        let reading = self.reading(group_id);
        let are_read: Vec<bool> = request.topics.iter().map(|topic| reading.may_be(&topic.name)).collect();
        let mut topics = Vec::with_capacity(request.topics.len());
        for (topic, is_read) in request.topics.iter().zip(are_read) {
            let error = if is_read { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None };
            let partitions = topic.partitions.iter().map(|partition| partition.partition_index);
            for partition in partitions.clone().filter(|_| !is_read) {
                let group = self.env.logged.group(group_id);
                let is_there = group.is_some_and(|group| {
                    group.offset(&topic.name, partition).is_some() || group.is_pending(&topic.name, partition)
                });
                if is_there {
                    self.forget_offset(group_id, topic.name.clone(), partition);
                }
            }
            let partitions = partitions.map(|partition_index| OffsetDeleteResponsePartition {
                partition_index,
                error_code: error.code(),
            });
            let partitions = partitions.collect();
            topics.push(OffsetDeleteResponseTopic { name: topic.name.clone(), partitions });
        }
        self.reply(ticket, Reply::OffsetDelete(OffsetDeleteResponse { topics, ..Default::default() }));
    }
}
