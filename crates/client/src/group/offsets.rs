//! Committed offsets: written and read as a member of the group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use protocol::messages::offset_fetch_response::OffsetFetchResponse;
use protocol::{ApiKey, ErrorCode, Offset, VersionRange};
use tokio::sync::watch;

use super::coordinator::Coordinator;
use super::embedded::by_topic;
use super::membership::{Identity, Verdict, passing};
use crate::cluster::{Retry, refused};
use crate::{Connection, Error, TopicPartition};

/// The versions that name topics. The newest ones have ids instead.
const COMMIT_VERSIONS: VersionRange = VersionRange::new(2, 9);
const FETCH_VERSIONS: VersionRange = VersionRange::new(2, 9);
/// From here on offsets of open transactions can be waited for.
const FETCH_WITH_STABLE: i16 = 7;
/// From here on several groups are asked about at once.
const FETCH_WITH_GROUPS: i16 = 8;
const NO_EPOCH: i32 = -1;

pub(super) type Offsets = BTreeMap<TopicPartition, Offset>;

/// What a group has committed and who asks: both requests go out again until their patience ends.
#[derive(Clone, Debug)]
pub(super) struct Committed {
    pub(super) coordinator: Coordinator,
    pub(super) identity: watch::Receiver<Identity>,
}

impl Committed {
    /// Commits; all of it or an error.
    pub(super) async fn write(mut self, offsets: Offsets) -> Result<(), Error> {
        let cluster = self.coordinator.cluster().clone();
        let mut retry = Retry::new(&cluster);
        loop {
            let identity = self.identity.borrow_and_update().clone();
            let Some(epoch) = identity.epoch else {
                // Others may have the partitions by now.
                return Err(self.coordinator.refused(ErrorCode::UnknownMemberId, None));
            };
            let result = match self.coordinator.connection().await {
                Ok(connection) => commit(&connection, &self.coordinator, &identity, epoch, &offsets).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => return Ok(()),
                Err(error) => self.judge(error, &mut retry).await?,
            }
        }
    }

    /// What is committed of these partitions. Waits for transactions that are to commit offsets of them.
    pub(super) async fn read(
        &mut self,
        partitions: &BTreeSet<TopicPartition>,
        patience: Option<Duration>,
    ) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Error> {
        let cluster = self.coordinator.cluster().clone();
        let mut retry = Retry::lasting(&cluster, patience);
        loop {
            let identity = self.identity.borrow_and_update().clone();
            let result = match self.coordinator.connection().await {
                Ok(connection) => fetch(&connection, &self.coordinator, &identity, partitions).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(offsets) => return Ok(offsets),
                // The member is about to lose these partitions.
                Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => retry.pause(error).await?,
                Err(error) => self.judge(error, &mut retry).await?,
            }
        }
    }

    /// Waits until it may go better, or gives the error back.
    async fn judge(&mut self, error: Error, retry: &mut Retry<'_>) -> Result<(), Error> {
        if error.code() == Some(ErrorCode::StaleMemberEpoch) {
            // The member has a newer epoch, or gets it with its next heartbeat.
            if !self.identity.has_changed().unwrap_or(false) {
                retry.pause(error).await?;
            }
            return Ok(());
        }
        match passing(&error) {
            Some(Verdict::Elsewhere) => self.coordinator.forget().await,
            Some(_) => {}
            None => return Err(error),
        }
        retry.pause(error).await
    }
}

async fn commit(
    connection: &Connection,
    coordinator: &Coordinator,
    identity: &Identity,
    epoch: i32,
    offsets: &Offsets,
) -> Result<(), Error> {
    let version = connection.version(ApiKey::OffsetCommit, COMMIT_VERSIONS)?;
    let topic = |(name, partitions): (protocol::Str, Vec<i32>)| {
        let partition = |index: i32| {
            let key = TopicPartition { topic: name.clone(), partition: index };
            let committed_offset = offsets.get(&key).map_or(0, |offset| offset.get());
            OffsetCommitRequestPartition { partition_index: index, committed_offset, ..Default::default() }
        };
        let partitions = partitions.into_iter().map(partition).collect();
        OffsetCommitRequestTopic { name: name.clone(), partitions, ..Default::default() }
    };
    let request = OffsetCommitRequest {
        group_id: coordinator.group().clone(),
        generation_id_or_member_epoch: epoch,
        member_id: identity.member_id.clone(),
        group_instance_id: identity.instance_id.clone(),
        topics: by_topic(offsets.keys()).into_iter().map(topic).collect(),
        ..Default::default()
    };
    let response = connection.call_in(version, &request, Duration::ZERO).await?;
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|one| (format!("{}-{}", topic.name, one.partition_index), one.error_code))
    });
    // The worst first: what does not pass is not hidden by what does.
    let errors = answers.filter_map(|(subject, code)| match ErrorCode::from(code) {
        ErrorCode::None => None,
        code => Some(refused(format!("commit of {subject}"), code, None)),
    });
    errors.min_by_key(Error::is_retriable).map_or(Ok(()), Err)
}

async fn fetch(
    connection: &Connection,
    coordinator: &Coordinator,
    identity: &Identity,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Error> {
    let version = connection.version(ApiKey::OffsetFetch, FETCH_VERSIONS)?;
    let topics = by_topic(partitions).into_iter();
    let mut request =
        OffsetFetchRequest { require_stable: version >= FETCH_WITH_STABLE, ..Default::default() };
    if version < FETCH_WITH_GROUPS {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes };
        request.group_id = coordinator.group().clone();
        request.topics = Some(topics.map(topic).collect());
    } else {
        let topic = |(name, partition_indexes)| OffsetFetchRequestTopics {
            name,
            partition_indexes,
            ..Default::default()
        };
        request.groups = vec![OffsetFetchRequestGroup {
            group_id: coordinator.group().clone(),
            member_id: identity.is_modern.then(|| identity.member_id.clone()),
            member_epoch: identity.epoch.filter(|_| identity.is_modern).unwrap_or(NO_EPOCH),
            topics: Some(topics.map(topic).collect()),
        }];
    }
    let response = connection.call_in(version, &request, Duration::ZERO).await?;
    let mut found = answers(coordinator, response)?;
    let take = |partition: &TopicPartition| {
        let missing = || refused(partition.to_string(), ErrorCode::UnknownServerError, None);
        Ok((partition.clone(), found.remove(partition).ok_or_else(missing)?))
    };
    partitions.iter().map(take).collect()
}

/// The offsets, in whichever version.
fn answers(
    coordinator: &Coordinator,
    response: OffsetFetchResponse,
) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Error> {
    let mut found = BTreeMap::new();
    let mut one = |topic: &protocol::Str, partition: i32, code: i16, offset: i64| {
        let key = TopicPartition { topic: topic.detached(), partition };
        match ErrorCode::from(code) {
            ErrorCode::None => {
                found.insert(key, Offset(offset).known());
                Ok(())
            }
            code => Err(refused(format!("committed offset of {key}"), code, None)),
        }
    };
    let whole = response.groups.first().map_or(response.error_code, |group| group.error_code);
    if let code @ 1.. | code @ ..=-1 = whole {
        return Err(coordinator.refused(ErrorCode::from(code), None));
    }
    for topic in response.groups.iter().flat_map(|group| &group.topics) {
        for part in &topic.partitions {
            one(&topic.name, part.partition_index, part.error_code, part.committed_offset)?;
        }
    }
    for topic in &response.topics {
        for part in &topic.partitions {
            one(&topic.name, part.partition_index, part.error_code, part.committed_offset)?;
        }
    }
    Ok(found)
}
