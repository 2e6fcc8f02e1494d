//! [`Transactions`]: the coordinators of transactions, which keep whose transactional ids are and how transactions end.

use std::collections::BTreeMap;
use std::sync::Weak;

use coordinator::transactions::{Effect, Options, Reply, Request, Topics};
use coordinator::{Caller, Producer};
use host::Place;
use protocol::records::Codec;
use protocol::{ErrorCode, Str};

use super::delivery::Delivery;
use super::kind::{Kind, Led, TopicPlan};
use super::{TopicsChanged, TransactionCoordinators};
use crate::Broker;
use crate::metadata_view::View;
use crate::transactions::Verification;

/// What the level of the feature says: whether records have tagged fields, and whether every transaction has an epoch.
pub(crate) const FEATURE: &str = "transaction.version";

/// The transaction version of who adds partitions with their first batch.
const ADDS_PARTITIONS: i16 = 2;

/// The kind.
#[derive(Clone, Debug)]
pub(crate) struct Transactions {
    /// Ends before its coordinators do.
    pub(crate) broker: Weak<Broker>,
}

impl Kind for Transactions {
    type Coordinator = coordinator::transactions::Transactions;

    const TOPIC: &'static str = "__transaction_state";
    const TASK: &'static str = "transaction coordinator";
    const CONTENT: &'static str = "transactional ids";

    fn topic(view: &View) -> TopicPlan {
        let config = &view.config.transactions;
        TopicPlan {
            partitions: config.topic_partitions,
            replication_factor: config.topic_replication_factor,
            min_insync_replicas: Some(config.topic_min_insync_replicas),
            configs: vec![
                ("cleanup.policy", "compact".to_owned()),
                ("compression.type", "uncompressed".to_owned()),
                ("segment.bytes", config.topic_segment_bytes.to_string()),
                ("unclean.leader.election.enable", "false".to_owned()),
            ],
        }
    }

    fn coordinator(&self, view: &View) -> Self::Coordinator {
        Self::Coordinator::new(options(view))
    }

    fn load_buffer_bytes(view: &View) -> usize {
        view.config.transactions.load_buffer_bytes
    }

    fn codec(_view: &View) -> Codec {
        Codec::None
    }

    fn tell(transactions: &mut Self::Coordinator, view: &View) {
        transactions.set_options(options(view));
    }

    /// What has written to a topic that is gone hears of it when it sends its markers.
    fn topics_changed(_changed: &TopicsChanged) -> Vec<Request> {
        Vec::new()
    }

    fn carry_out(&self, led: &Led<Self>, effects: Vec<Effect>) {
        let Some(broker) = self.broker.upgrade() else { return };
        for Effect::SendMarkers(markers) in effects {
            let delivery = Delivery::new(self.broker.clone(), led.clone(), markers);
            let place = Place::Shard(usize::try_from(led.partition).unwrap_or(0));
            broker.host.spawn(place, "transaction markers", delivery.run());
        }
    }
}

fn options(view: &View) -> Options {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    let config = &view.config.transactions;
    Options {
        transaction_max_timeout_ms: config.max_timeout_ms,
        transactional_id_expiration_ms: config.id_expiration_ms,
        timeout_check_interval_ms: ms(config.timeout_check_interval_ms),
        expiration_check_interval_ms: ms(config.expiration_check_interval_ms),
        completion_patience_ms: ms(config.add_retry_backoff_max_ms),
        transaction_version: view.image.feature_level(FEATURE),
    }
}

impl TransactionCoordinators {
    /// Asks whether partitions belong to a transaction, or has them do so; answers in their order.
    pub(crate) async fn verify(&self, view: &View, verification: &Verification) -> Vec<ErrorCode> {
        let Verification { transactional_id, producer_id, producer_epoch, partitions, adds } = verification;
        let transactional_id = transactional_id.clone();
        let producer = Producer { id: *producer_id, epoch: *producer_epoch };
        let topics = by_topic(partitions);
        let request = match adds {
            true => Request::AddPartitions {
                transactional_id: transactional_id.clone(),
                producer,
                topics,
                client_version: ADDS_PARTITIONS,
            },
            false => {
                Request::VerifyPartitions { transactional_id: transactional_id.clone(), producer, topics }
            }
        };
        let caller = Caller { version: 0, client_id: Str::EMPTY, client_host: Str::EMPTY };
        let missing = match self.ask(view, &transactional_id, caller, request).await {
            Ok(Reply::Added(Ok(()))) => Ok(Topics::new()),
            Ok(Reply::Verified(missing)) => missing,
            Ok(Reply::Added(Err(code))) | Err(code) => Err(code),
            // A coordinator answers a request with the reply of its kind.
            Ok(_) => Err(ErrorCode::UnknownServerError),
        };
        let code = |(topic, partition): &(Str, i32)| match &missing {
            Err(code) => *code,
            Ok(missing) => {
                let is_missing = |(name, ids): &(Str, Vec<i32>)| name == topic && ids.contains(partition);
                if missing.iter().any(is_missing) { ErrorCode::TransactionAbortable } else { ErrorCode::None }
            }
        };
        partitions.iter().map(code).collect()
    }
}

/// Partitions, gathered by topic.
pub(crate) fn by_topic(partitions: &[(Str, i32)]) -> Topics {
    let mut topics: BTreeMap<&Str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    topics.into_iter().map(|(topic, partitions)| (topic.clone(), partitions)).collect()
}
