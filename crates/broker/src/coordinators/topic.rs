//! `__consumer_offsets`, made when the first client looks for a coordinator.

use std::sync::Arc;

use metadata::controller::{self, NewTopic};
use protocol::records::Codec;
use protocol::{ErrorCode, Str, TopicId};

use super::OFFSETS_TOPIC;
use crate::Broker;
use crate::random;

/// Longer than a healthy disk takes for fifty partitions.
const PATIENCE_MS: i32 = 5_000;

/// Makes sure that the topic is there; an error says that it is not yet.
pub(crate) async fn ensure(broker: &Arc<Broker>) -> Result<(), ErrorCode> {
    let view = broker.metadata.view();
    if view.image.topic(OFFSETS_TOPIC).is_some() {
        return Ok(());
    }
    let config = &view.config.groups;
    // A small cluster keeps as many replicas as it can; Kafka would not serve groups at all.
    let brokers = i16::try_from(view.live_brokers().count()).unwrap_or(i16::MAX).max(1);
    let topic = NewTopic {
        name: Str::from_static(OFFSETS_TOPIC),
        topic_id: TopicId(random::uuid(&broker.host)),
        num_partitions: config.topic_partitions,
        replication_factor: config.topic_replication_factor.min(brokers),
        assignments: Vec::new(),
        configs: vec![
            config_of("cleanup.policy", "compact"),
            // Compressed by its writers if at all: see `offsets.topic.compression.codec`.
            config_of("compression.type", "producer"),
            config_of("segment.bytes", &config.topic_segment_bytes.to_string()),
        ],
    };
    let start = random::start(&broker.host);
    let decide =
        move |context: &controller::Context<'_>| controller::create_topics(context, &[topic], false, start);
    let results = broker.decide(PATIENCE_MS, decide).await?;
    match results.into_iter().next().map(|topic| topic.result) {
        Some(Ok(_)) => Ok(()),
        Some(Err(refusal)) if refusal.code == ErrorCode::TopicAlreadyExists => Ok(()),
        Some(Err(refusal)) => {
            tracing::error!(
                code = refusal.code.name(),
                "could not create {OFFSETS_TOPIC}: {}",
                refusal.message
            );
            Err(refusal.code)
        }
        None => Err(ErrorCode::UnknownServerError),
    }
}

fn config_of(name: &'static str, value: &str) -> (Str, Option<Str>) {
    (Str::from_static(name), Some(Str::from(value.to_owned())))
}

/// `offsets.topic.compression.codec`, which names codecs by number.
pub(super) fn codec(id: u8) -> Codec {
    Codec::from_id(id).unwrap_or(Codec::None)
}
