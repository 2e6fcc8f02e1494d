//! What a coordinator has decided, as batches for its topic.

use coordinator::{Producer, Record, Ticket};
use protocol::ErrorCode;
use protocol::records::{
    BatchBuilder, BatchOptions, BuildError, Compression, NewRecord, TimestampType, TxnMarker, ValidBatch,
};
use tokio::sync::oneshot;

use super::kind::Kind;
use super::partition::{Mark, PartitionTask};
use crate::shard::{Append, Origin, Verified};

/// Bytes of a batch unless the topic allows less; one record may be larger.
const BATCH_BYTES: usize = 512 << 10;

/// What follows each other in the log.
#[derive(Debug)]
pub(super) enum Run {
    Records(Vec<Record>),
    Pending(Pending),
    Mark(Mark),
}

/// Records of a transaction: the log may refuse them, and nothing else is lost then.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) producer: Producer,
    pub(super) verified: Verified,
    pub(super) records: Vec<Record>,
    pub(super) ticket: Ticket,
}

/// A batch, and what there is to do when it is written or refused.
pub(super) struct Written {
    pub(super) append: Append,
    pub(super) done: Done,
}

#[derive(Debug)]
pub(super) enum Done {
    Records,
    Pending { producer: Producer, records: Vec<Record>, ticket: Ticket },
    Marker { producer: Producer, commit: bool, order: u64, reply: oneshot::Sender<ErrorCode> },
}

/// `order` is the coordinator's, for markers: see [`coordinator::Coordinator::order`].
pub(super) fn batches<K: Kind>(
    task: &PartitionTask<K>,
    runs: Vec<(Run, u64)>,
) -> Result<Vec<Written>, BuildError> {
    let mut written = Vec::new();
    for (run, order) in runs {
        match run {
            Run::Records(records) => {
                for (batch, _) in split(task, None, records)? {
                    written.push(Written { append: Append::trusted(task.key, batch), done: Done::Records });
                }
            }
            Run::Pending(Pending { producer, verified, records, ticket }) => {
                let mut origin = Origin::Producer { verified };
                for (batch, records) in split(task, Some(producer), records)? {
                    let append = Append { key: task.key, batch, origin };
                    written.push(Written { append, done: Done::Pending { producer, records, ticket } });
                    // The first one has begun the transaction.
                    origin = Origin::Producer { verified: Verified::By(None) };
                }
            }
            Run::Mark(mark) => written.push(marker(task, mark, order)?),
        }
    }
    Ok(written)
}

fn marker<K: Kind>(task: &PartitionTask<K>, mark: Mark, order: u64) -> Result<Written, BuildError> {
    let Mark { marker, reply } = mark;
    let view = task.view.view();
    let is_log_append_time = view
        .settings_of(task.key.topic_id)
        .is_some_and(|settings| settings.rules.timestamp_type == TimestampType::LogAppendTime);
    let crate::transactions::Marker {
        producer_id,
        producer_epoch,
        commit,
        coordinator_epoch,
        transaction_version,
    } = marker;
    let timestamp_ms = task.host.clock.wall_ms();
    let batch = TxnMarker { commit, coordinator_epoch }.to_batch(
        producer_id,
        producer_epoch,
        timestamp_ms,
        is_log_append_time,
    )?;
    let append = Append { key: task.key, batch, origin: Origin::Marker { transaction_version } };
    let producer = Producer { id: producer_id, epoch: producer_epoch };
    Ok(Written { append, done: Done::Marker { producer, commit, order, reply } })
}

/// Records as batches that the topic takes, each with the records in it.
fn split<K: Kind>(
    task: &PartitionTask<K>,
    producer: Option<Producer>,
    records: Vec<Record>,
) -> Result<Vec<(ValidBatch, Vec<Record>)>, BuildError> {
    let view = task.view.view();
    let allowed = view.settings_of(task.key.topic_id).map(|settings| settings.rules.message_bytes_max);
    let bytes_max = BATCH_BYTES.min(allowed.unwrap_or(BATCH_BYTES));
    let timestamp = task.host.clock.wall_ms();
    let compression = Compression { codec: K::codec(&view), level: None };
    let mut options = BatchOptions { compression, ..BatchOptions::default() };
    if let Some(producer) = producer {
        options.producer_id = producer.id;
        options.producer_epoch = producer.epoch;
        options.transactional = true;
    }
    let mut batches = Vec::new();
    let (mut builder, mut within) = (BatchBuilder::new(options), Vec::new());
    for record in records {
        let key = Some(record.key.as_ref());
        let new = NewRecord { timestamp, key, value: record.value.as_deref(), headers: &[] };
        let full = builder.uncompressed_size() + BatchBuilder::size_of(&new) > bytes_max;
        if full && !builder.is_empty() {
            let done = std::mem::replace(&mut builder, BatchBuilder::new(options));
            batches.push((done.build_valid()?, std::mem::take(&mut within)));
        }
        builder.append(&new)?;
        within.push(record);
    }
    batches.push((builder.build_valid()?, within));
    Ok(batches)
}
