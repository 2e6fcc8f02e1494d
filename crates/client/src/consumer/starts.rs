//! [`resolve`]: the offsets that partitions begin and end at.

use std::collections::BTreeMap;

use protocol::Offset;

use super::{ConsumerOptions, Start};
use crate::offsets::{self, OffsetSpec};
use crate::{Cluster, Error, TopicPartition};

/// Where reading of a partition begins, and where it ends, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: TopicPartition,
    pub(crate) position: Offset,
    pub(crate) end: Option<Offset>,
}

pub(crate) async fn resolve(
    cluster: &Cluster,
    options: &ConsumerOptions,
    starts: Vec<(TopicPartition, Start)>,
) -> Result<Vec<Place>, Error> {
    let of = |spec: OffsetSpec| move |(partition, _): &(TopicPartition, Start)| (partition.clone(), spec);
    let needs = |wanted: fn(&Start) -> bool| starts.iter().filter(move |(_, start)| wanted(start));
    let isolation = options.isolation;
    let ends_needed = |start: &Start| !matches!(start, Start::Earliest | Start::Offset(_));
    let ends = match options.until_end {
        true => starts.iter().map(of(OffsetSpec::Latest)).collect::<Vec<_>>(),
        false => needs(ends_needed).map(of(OffsetSpec::Latest)).collect(),
    };
    let ends = all(offsets::list(cluster, ends, isolation).await?)?;
    let begins =
        needs(|start| matches!(start, Start::Earliest | Start::Tail(_))).map(of(OffsetSpec::Earliest));
    let begins = all(offsets::list(cluster, begins.collect::<Vec<_>>(), isolation).await?)?;
    let times = starts.iter().filter_map(|(partition, start)| match start {
        Start::Timestamp(ms) => Some((partition.clone(), OffsetSpec::Timestamp(*ms))),
        _ => None,
    });
    let times = all(offsets::list(cluster, times.collect::<Vec<_>>(), isolation).await?)?;
    let place = |(partition, start): (TopicPartition, Start)| {
        let at = |map: &BTreeMap<TopicPartition, Option<Offset>>| map.get(&partition).copied().flatten();
        let (begin, end) = (at(&begins).unwrap_or(Offset::ZERO), at(&ends).unwrap_or(Offset::ZERO));
        let position = match start {
            Start::Earliest => begin,
            Start::Latest => end,
            Start::Offset(offset) => offset,
            Start::Timestamp(_) => at(&times).unwrap_or(end),
            Start::Tail(count) => Offset(end.get().saturating_sub(count.max(0))).max(begin),
        };
        Place { partition, position, end: options.until_end.then_some(end) }
    };
    Ok(starts.into_iter().map(place).collect())
}

/// The offsets of all partitions, or the first error.
pub(super) fn all(
    answers: BTreeMap<TopicPartition, Result<offsets::ListedOffset, Error>>,
) -> Result<BTreeMap<TopicPartition, Option<Offset>>, Error> {
    answers.into_iter().map(|(key, answer)| answer.map(|answer| (key, answer.offset))).collect()
}
