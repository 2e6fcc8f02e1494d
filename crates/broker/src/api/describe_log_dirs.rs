//! DescribeLogDirs (35): the log directories of this broker, what they hold and how much room they have (KIP-113, KIP-827).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

use protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use protocol::{ErrorCode, Str};

use super::{Call, Handler, Protest};
use crate::shard::{DirectoryReport, ReplicaReport};

/// Not known.
const NONE: i64 = -1;

pub(crate) struct DescribeLogDirs;

/// Partitions by topic; `None` is all.
type Wanted = Option<HashMap<Str, HashSet<i32>>>;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;

    const ADVERTISED: RangeInclusive<i16> = 1..=5;

    async fn handle(
        call: Call,
        request: DescribeLogDirsRequest,
    ) -> Result<Option<DescribeLogDirsResponse>, Protest> {
        let wanted: Wanted = request.topics.map(|topics| {
            let mut wanted: HashMap<Str, HashSet<i32>> = HashMap::new();
            for topic in topics {
                wanted.entry(topic.topic).or_default().extend(topic.partitions);
            }
            wanted
        });
        let directories = call.broker.shards.directories().await;
        let results = directories.into_iter().map(|directory| show(directory, &wanted)).collect();
        Ok(Some(DescribeLogDirsResponse { results, ..Default::default() }))
    }
}

fn show(directory: DirectoryReport, wanted: &Wanted) -> DescribeLogDirsResult {
    // Kafka tells the absolute path, and its tools compare it with what they are given.
    let path = std::path::absolute(&directory.path).unwrap_or(directory.path);
    let log_dir = Str::from(path.to_string_lossy());
    if let Some(error) = directory.error {
        tracing::debug!(dir = %log_dir, "told as offline: {error}");
        return DescribeLogDirsResult {
            error_code: ErrorCode::KafkaStorageError.code(),
            log_dir,
            is_cordoned: directory.cordoned,
            total_bytes: NONE,
            usable_bytes: NONE,
            ..Default::default()
        };
    }
    let bytes = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for ReplicaReport { key, topic, size_bytes } in &directory.replicas {
        let is_wanted = wanted.as_ref().is_none_or(|wanted| {
            wanted.get(&**topic).is_some_and(|partitions| partitions.contains(&key.partition))
        });
        if is_wanted {
            topics.entry(topic).or_default().push(DescribeLogDirsPartition {
                partition_index: key.partition,
                partition_size: bytes(*size_bytes),
                // A leader is not behind itself.
                offset_lag: 0,
                is_future_key: false,
            });
        }
    }
    let topic = |(name, mut partitions): (&str, Vec<DescribeLogDirsPartition>)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic { name: Str::from(name), partitions }
    };
    DescribeLogDirsResult {
        log_dir,
        is_cordoned: directory.cordoned,
        topics: topics.into_iter().map(topic).collect(),
        total_bytes: directory.space.as_ref().map_or(NONE, |space| bytes(space.total_bytes)),
        usable_bytes: directory.space.as_ref().map_or(NONE, |space| bytes(space.available_bytes)),
        ..Default::default()
    }
}
