//! Reads a partition of a coordinator's topic back into the state that its records add up to.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use coordinator::{Coordinator, Producer, Record};
use host::{FileRef, LaneRef, Op};
use protocol::ids::Offset;
use protocol::records::{Limits, Scratch, TxnMarker, ValidBatch};
use protocol::wire::Piece;
use protocol::{ErrorCode, RecordSet};
use storage::PartitionKey;

use crate::shard::{Read, ReadWaiter, Refusal, Shards};

/// What was read, for the log.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

/// Replays the whole log, up to its end as it is when the last record has been read.
pub(super) async fn load<C: Coordinator>(
    shards: &Shards,
    lane: &LaneRef,
    key: PartitionKey,
    bytes_max: usize,
    coordinator: &mut C,
) -> Result<Loaded, Refusal> {
    let mut loaded = Loaded::default();
    let mut scratch = Scratch::new();
    let mut status = shards.status(key).await?;
    let mut next = status.log_start_offset;
    while next < status.log_end_offset {
        let waiter = ReadWaiter::unarmed();
        let bytes = read(shards, lane, key, next, bytes_max, &waiter).await?;
        if bytes.is_empty() {
            status = shards.status(key).await?;
            if status.high_watermark >= status.log_end_offset {
                // Compaction has left nothing up to the end.
                break;
            }
            waiter.arm(1);
            waiter.satisfied().await;
            continue;
        }
        loaded.bytes += bytes.len() as u64;
        next = replay(bytes, next, &mut scratch, coordinator, &mut loaded.records).map_err(|error| {
            tracing::error!(%key, offset = next.0, "could not read a batch of a coordinator: {error}");
            Refusal::from(ErrorCode::KafkaStorageError)
        })?;
    }
    Ok(loaded)
}

async fn read(
    shards: &Shards,
    lane: &LaneRef,
    key: PartitionKey,
    offset: Offset,
    bytes_max: usize,
    waiter: &Arc<ReadWaiter>,
) -> Result<Bytes, Refusal> {
    let read = Read {
        key,
        offset,
        bytes_max,
        current_leader_epoch: None,
        last_fetched_epoch: None,
        committed_only: false,
        from_file: false,
    };
    let replies = shards.read(vec![read], bytes_max, true, Some(waiter.clone())).await;
    let Some(reply) = replies.into_iter().next() else { return Err(ErrorCode::NotLeaderOrFollower.into()) };
    if reply.error != ErrorCode::None {
        return Err(reply.error.into());
    }
    in_memory(lane, &reply.records).await
}

/// Brings what is in files into memory.
async fn in_memory(lane: &LaneRef, records: &RecordSet) -> Result<Bytes, Refusal> {
    if let Ok(bytes) = records.to_bytes() {
        return Ok(bytes);
    }
    let mut all = BytesMut::with_capacity(records.len());
    for piece in records.pieces() {
        match piece {
            Piece::Bytes(bytes) => all.extend_from_slice(bytes),
            Piece::Extern(region) => {
                let file = region.handle.downcast_ref::<FileRef>().cloned();
                let file = file.ok_or(ErrorCode::UnknownServerError)?;
                let read = Op::Read { file, offset: region.offset, len: region.len };
                let bytes = lane.run(read).await.map_err(|error| Refusal {
                    code: ErrorCode::KafkaStorageError,
                    message: Some(error.to_string()),
                })?;
                all.extend_from_slice(&bytes);
            }
        }
    }
    Ok(all.freeze())
}

fn replay<C: Coordinator>(
    mut bytes: Bytes,
    from: Offset,
    scratch: &mut Scratch,
    coordinator: &mut C,
    count: &mut u64,
) -> Result<Offset, protocol::records::Error> {
    let mut next = from;
    while !bytes.is_empty() {
        let batch = ValidBatch::split_from(&mut bytes)?;
        let header = batch.header();
        next = header.next_offset();
        if header.attributes.is_control() {
            if let Some(marker) = TxnMarker::of(&batch)? {
                coordinator.replay_end(header.producer_id, marker.commit);
            }
            continue;
        }
        let producer = header
            .attributes
            .is_transactional()
            .then_some(Producer { id: header.producer_id, epoch: header.producer_epoch });
        for record in batch.records(scratch, &Limits::default())? {
            let record = record?;
            let Some(key) = record.key else { continue };
            let record =
                Record { key: Bytes::copy_from_slice(key), value: record.value.map(Bytes::copy_from_slice) };
            *count += 1;
            if let Err(error) = coordinator.replay(&record, producer) {
                // Nothing that a coordinator has written: what one record says is lost, and no more.
                tracing::error!(offset = next.0, "passed over a record of a coordinator: {error}");
            }
        }
    }
    Ok(next)
}
