//! [`write_markers`]: the end of a transaction, written to its partitions.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::records::{TimestampType, TxnMarker};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use crate::Broker;
use crate::coordinators::{Groups, Kind};
use crate::shard::{Acks, Append, Origin};
use crate::wait::within;

/// What Kafka gives the replicas of a marker: its `request.timeout.ms`.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) producer_id: ProducerId,
    /// From version 2 of transactions on, one more than that of the transaction.
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) commit: bool,
    /// The epoch of the coordinator's partition: a marker of an older one is refused.
    pub(crate) coordinator_epoch: i32,
    pub(crate) transaction_version: i8,
}

/// Writes a marker to partitions that are led here, by topic and number. All have got theirs when this returns its future, which
/// answers in their order when the markers are committed.
pub(crate) fn write_markers(
    broker: &Arc<Broker>,
    marker: &Marker,
    partitions: &[(Str, i32)],
) -> impl Future<Output = Vec<ErrorCode>> + Send + use<> {
    let writes: Vec<_> =
        partitions.iter().map(|(topic, partition)| write(broker, marker, topic, *partition)).collect();
    let deadline = broker.host.now().after(PATIENCE);
    let clock = broker.host.clock.clone();
    async move {
        let mut codes = Vec::with_capacity(writes.len());
        for write in writes {
            codes.push(match write {
                Ok(write) => {
                    let written = within(write, clock.sleep_until(deadline)).await;
                    written.unwrap_or(ErrorCode::RequestTimedOut)
                }
                Err(code) => code,
            });
        }
        codes
    }
}

type Writing = Pin<Box<dyn Future<Output = ErrorCode> + Send>>;

fn write(broker: &Arc<Broker>, marker: &Marker, topic: &str, partition: i32) -> Result<Writing, ErrorCode> {
    let view = broker.metadata.view();
    let topic = view.image.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let key = broker.led_here(topic, partition)?;
    if **topic.name() == *Groups::TOPIC {
        // Offsets that it has pending there become visible, or go, with the marker.
        let marked = broker.groups.mark(partition, *marker);
        return Ok(Box::pin(async move { of_coordinator(marked.await) }));
    }
    let settings = view.settings_of(topic.id()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let is_log_append_time = settings.rules.timestamp_type == TimestampType::LogAppendTime;
    let Marker { producer_id, producer_epoch, commit, coordinator_epoch, transaction_version } = *marker;
    let batch = TxnMarker { commit, coordinator_epoch }.to_batch(
        producer_id,
        producer_epoch,
        broker.host.clock.wall_ms(),
        is_log_append_time,
    );
    let batch = batch.map_err(|error| {
        tracing::error!("could not make the end of a transaction: {error}");
        ErrorCode::UnknownServerError
    })?;
    let append = Append { key, batch, origin: Origin::Marker { transaction_version } };
    let appending = broker.shards.append(Acks::All, vec![append]);
    let topic = topic.name().clone();
    Ok(Box::pin(async move {
        match appending.await.pop() {
            Some((_, Ok(_))) => ErrorCode::None,
            Some((_, Err(refusal))) => {
                let (code, why) = (refusal.code, refusal.message.unwrap_or_default());
                tracing::info!(%topic, partition, code = code.name(), "the end of a transaction was refused: {why}");
                code
            }
            None => ErrorCode::UnknownServerError,
        }
    }))
}

/// A coordinator of groups that is not there, or not yet, leads nothing: whoever sends markers comes back.
fn of_coordinator(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::NotCoordinator
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress => ErrorCode::NotLeaderOrFollower,
        code => code,
    }
}
