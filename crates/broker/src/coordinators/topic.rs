//! The topics of coordinators, made when the first client looks for one.

use std::sync::Arc;

use metadata::controller::{self, NewTopic};
use protocol::{ErrorCode, Str, TopicId};

use super::kind::{Kind, TopicPlan};
use crate::Broker;
use crate::random;

/// Longer than a healthy disk takes for fifty partitions.
const PATIENCE_MS: i32 = 5_000;

/// Makes sure that the topic of a kind is there; an error says that it is not yet.
pub(crate) async fn ensure<K: Kind>(broker: &Arc<Broker>) -> Result<(), ErrorCode> {
    let view = broker.metadata.view();
    if view.image.topic(K::TOPIC).is_some() {
        return Ok(());
    }
    let TopicPlan { partitions, replication_factor, min_insync_replicas, mut configs } = K::topic(&view);
    // A small cluster keeps as many replicas as it can; Kafka would not serve groups and transactions at all.
    let brokers = i16::try_from(view.live_brokers().count()).unwrap_or(i16::MAX).max(1);
    let replication_factor = replication_factor.min(brokers);
    if let Some(replicas) = min_insync_replicas {
        configs.push(("min.insync.replicas", replicas.min(i32::from(replication_factor)).to_string()));
    }
    let config_of = |(name, value): (&'static str, String)| (Str::from_static(name), Some(Str::from(value)));
    let topic = NewTopic {
        name: Str::from_static(K::TOPIC),
        topic_id: TopicId(random::uuid(&broker.host)),
        num_partitions: partitions,
        replication_factor,
        assignments: Vec::new(),
        configs: configs.into_iter().map(config_of).collect(),
    };
    let start = random::start(&broker.host);
    let decide =
        move |context: &controller::Context<'_>| controller::create_topics(context, &[topic], false, start);
    let results = broker.decide(PATIENCE_MS, decide).await?;
    match results.into_iter().next().map(|topic| topic.result) {
        Some(Ok(_)) => Ok(()),
        Some(Err(refusal)) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(()),
        Some(Err(refusal)) => {
            tracing::error!(code = refusal.code.name(), "could not create {}: {}", K::TOPIC, refusal.message);
            Err(refusal.code)
        }
        None => Err(ErrorCode::UnknownServerError),
    }
}
