//! [`ask`]: a question about partitions, put to their leaders, again when leaders move.

use std::collections::{BTreeMap, BTreeSet};

use protocol::{ErrorCode, LeaderEpoch, NodeId, Str};

use crate::cluster::{Retry, refused};
use crate::{Cluster, Error, TopicPartition};

/// What is asked of the leaders.
pub(crate) trait Question: Sync {
    /// What is said about each partition.
    type About: Copy + Send + Sync;
    type Answer: Send;

    const NAME: &'static str;

    /// Asks one leader; partitions that it does not answer for are asked about again.
    fn put(
        &self,
        cluster: &Cluster,
        leader: NodeId,
        asked: &Asked<Self::About>,
    ) -> impl Future<Output = Result<Answered<Self::Answer>, Error>> + Send;
}

/// Partitions in the order of their names.
pub(crate) type Asked<T> = Vec<(TopicPartition, T, LeaderEpoch)>;
/// The broker's code where it refuses.
pub(crate) type Answered<T> = Vec<(TopicPartition, Result<T, ErrorCode>)>;
pub(crate) type Answers<T> = BTreeMap<TopicPartition, Result<T, Error>>;

/// One answer a partition. Waits for leaders as long as the cluster's options say.
pub(crate) async fn ask<Q: Question>(
    cluster: &Cluster,
    question: &Q,
    partitions: impl IntoIterator<Item = (TopicPartition, Q::About)>,
) -> Result<Answers<Q::Answer>, Error> {
    let mut open: BTreeMap<TopicPartition, Q::About> = partitions.into_iter().collect();
    let mut answers = Answers::new();
    let mut retry = Retry::new(cluster);
    loop {
        let mut last = None;
        for (leader, asked) in by_leader(cluster, &mut open, &mut answers, &mut last).await? {
            match question.put(cluster, leader, &asked).await {
                Ok(answered) => sort_out(answered, &mut open, &mut answers, &mut last),
                Err(error) if error.is_retriable() => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        if open.is_empty() {
            return Ok(answers);
        }
        let unanswered = || refused(Q::NAME, ErrorCode::LeaderNotAvailable, None);
        let error = last.unwrap_or_else(unanswered);
        if let Err(error) = retry.pause(error).await {
            answers.extend(open.into_keys().map(|partition| (partition, Err(error.clone()))));
            return Ok(answers);
        }
        let topics: BTreeSet<Str> = open.keys().map(|partition| partition.topic.clone()).collect();
        if let Err(error) = cluster.refresh(topics.into_iter().collect(), false).await
            && !error.is_retriable()
        {
            return Err(error);
        }
    }
}

/// Groups what is still open by leader; what can never be answered gets its answer.
async fn by_leader<T: Copy, A>(
    cluster: &Cluster,
    open: &mut BTreeMap<TopicPartition, T>,
    answers: &mut Answers<A>,
    last: &mut Option<Error>,
) -> Result<BTreeMap<NodeId, Asked<T>>, Error> {
    let mut groups: BTreeMap<NodeId, Asked<T>> = BTreeMap::new();
    let all: Vec<(TopicPartition, T)> = open.iter().map(|(key, about)| (key.clone(), *about)).collect();
    for (key, about) in all {
        let found = match cluster.topic(&key.topic, false).await {
            Ok(topic) => topic
                .partition(key.partition)
                .cloned()
                .ok_or_else(|| refused(key.to_string(), ErrorCode::UnknownTopicOrPartition, None)),
            Err(error) if error.code().is_some() => Err(error),
            Err(error) => return Err(error),
        };
        match found {
            Ok(partition) => match partition.leader {
                Some(leader) => groups.entry(leader).or_default().push((key, about, partition.leader_epoch)),
                None => *last = Some(refused(key.to_string(), ErrorCode::LeaderNotAvailable, None)),
            },
            Err(error) => {
                open.remove(&key);
                answers.insert(key, Err(error));
            }
        }
    }
    Ok(groups)
}

fn sort_out<T, A>(
    answered: Answered<A>,
    open: &mut BTreeMap<TopicPartition, T>,
    answers: &mut Answers<A>,
    last: &mut Option<Error>,
) {
    for (key, result) in answered {
        let answer = match result {
            Ok(answer) => Ok(answer),
            Err(code) if code.is_retriable() || code == ErrorCode::FencedLeaderEpoch => {
                *last = Some(refused(key.to_string(), code, None));
                continue;
            }
            Err(code) => Err(refused(key.to_string(), code, None)),
        };
        if open.remove(&key).is_some() {
            answers.insert(key, answer);
        }
    }
}
