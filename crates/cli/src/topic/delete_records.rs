//! `bourn topic delete-records`

use std::collections::BTreeMap;

use anyhow::bail;
use client::{Admin, Cluster, Isolation, OffsetSpec, Start, TopicPartition};
use protocol::{Offset, Str};
use serde::Serialize;

use crate::consume::From;
use crate::context::{Globals, explain};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct DeleteRecords {
    topic: String,
    /// Delete what lies before: latest for all records, an offset, -N to keep the last N of each partition, a time as
    /// 2026-11-23T14:05Z, or @MS
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    before: From,
    /// Only of these partitions
    #[arg(short, long = "partition", value_name = "PARTITION,...", value_delimiter = ',')]
    partitions: Vec<i32>,
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Outcome {
    topic: String,
    partition: i32,
    /// The first offset that is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl DeleteRecords {
    pub(super) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        if self.before.start() == Start::Earliest {
            bail!("there is nothing before the earliest record; give --before latest to delete all");
        }
        let outcomes = globals.with_cluster(async |_, cluster| {
            let keys = self.keys(&cluster).await?;
            let before = self.places(&cluster, keys).await?;
            let deleted = Admin::new(&cluster).delete_records(before).await.map_err(explain)?;
            let outcome = |(key, result): (TopicPartition, Result<Offset, client::Error>)| Outcome {
                topic: key.topic.to_string(),
                partition: key.partition,
                first_offset: result.as_ref().ok().map(|offset| offset.get()),
                error: result.err().map(|error| explain(error).to_string()),
            };
            Ok(deleted.into_iter().map(outcome).collect::<Vec<_>>())
        })?;
        if globals.is_json() {
            output::print_json(&outcomes)?;
        } else {
            let done = outcomes.iter().filter_map(|outcome| {
                Some([
                    outcome.topic.clone(),
                    outcome.partition.to_string(),
                    outcome.first_offset?.to_string(),
                ])
            });
            let done: Vec<[String; 3]> = done.collect();
            if !done.is_empty() {
                output::print(&output::table(["TOPIC", "PARTITION", "FIRST OFFSET"], done))?;
            }
            outcomes
                .iter()
                .filter_map(|one| one.error.as_ref())
                .for_each(|error| eprintln!("bourn: {error}"));
        }
        let failed = outcomes.iter().filter(|outcome| outcome.error.is_some()).count();
        if failed > 0 {
            bail!("the records of {} could not be deleted", output::counted(failed as u64, "partition"));
        }
        Ok(())
    }

    async fn keys(&self, cluster: &Cluster) -> anyhow::Result<Vec<TopicPartition>> {
        let topic = Str::from(&self.topic);
        let known = cluster.topic(&topic, false).await.map_err(explain)?.partitions.len();
        let all = (0_i32..).take(known).map(|partition| TopicPartition::new(topic.clone(), partition));
        if self.partitions.is_empty() {
            return Ok(all.collect());
        }
        let all: Vec<TopicPartition> = all.collect();
        if let Some(wrong) =
            self.partitions.iter().find(|wanted| all.iter().all(|key| key.partition != **wanted))
        {
            bail!("topic {topic} has {known} partitions, from 0 on; there is no partition {wrong}");
        }
        Ok(all.into_iter().filter(|key| self.partitions.contains(&key.partition)).collect())
    }

    /// The first offset to stay in each partition; `None` for the end.
    async fn places(
        &self,
        cluster: &Cluster,
        keys: Vec<TopicPartition>,
    ) -> anyhow::Result<BTreeMap<TopicPartition, Option<Offset>>> {
        let list = async |spec: OffsetSpec| {
            let asked: Vec<_> = keys.iter().map(|key| (key.clone(), spec)).collect();
            let listed =
                Admin::new(cluster).list_offsets(asked, Isolation::Uncommitted).await.map_err(explain)?;
            let offset = |(key, result): (TopicPartition, Result<client::ListedOffset, client::Error>)| {
                result.map(|listed| (key, listed.offset)).map_err(explain)
            };
            listed.into_iter().map(offset).collect::<anyhow::Result<BTreeMap<_, _>>>()
        };
        Ok(match self.before.start() {
            Start::Offset(offset) => keys.into_iter().map(|key| (key, Some(offset))).collect(),
            Start::Timestamp(ms) => list(OffsetSpec::Timestamp(ms)).await?,
            Start::Tail(count) => {
                let (mut ends, begins) = (list(OffsetSpec::Latest).await?, list(OffsetSpec::Earliest).await?);
                for (key, end) in &mut ends {
                    let begin = begins.get(key).copied().flatten().unwrap_or(Offset::ZERO);
                    *end = end.map(|end| Offset(end.get().saturating_sub(count)).max(begin));
                }
                ends
            }
            Start::Earliest | Start::Latest => keys.into_iter().map(|key| (key, None)).collect(),
        })
    }
}
