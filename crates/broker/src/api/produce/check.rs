//! What is looked at before a batch is appended: who leads the partition, and the batch itself, here or on a thread for
//! what takes long.
//!
//! Invariants:
//! * A batch whose records are few is checked at once; one that unpacks to more than [`HERE_BYTES_MAX`], or is to be packed
//!   anew and has more than [`REPACK_HERE_BYTES_MAX`], keeps no shard's thread busy with that.
//! * Whichever it is, the outcome is the same.

use std::cell::RefCell;

use bytes::Bytes;
use metadata::image::Topic;
use protocol::ErrorCode;
use protocol::messages::produce_request::PartitionProduceData;
use protocol::records::compression::{self, Limits};
use protocol::records::{self, BATCH_OVERHEAD, BatchHeader, Codec, Rules, Scratch, Validated};
use storage::PartitionKey;

use super::super::Call;
use super::{Fault, ZSTD};
use crate::metadata_view::View;
use crate::shard::Append;
use crate::workers::Workers;

/// The client id that may write to internal topics, as in Kafka: its own admin tools go by it.
const ADMIN_CLIENT: &str = "__admin_client";

/// So many bytes are unpacked and looked at within about a millisecond.
const HERE_BYTES_MAX: usize = 1 << 20;
/// Packing takes many times as long.
const REPACK_HERE_BYTES_MAX: usize = 64 << 10;
/// A packed batch of this size is not tried first: it surely holds more than [`HERE_BYTES_MAX`], or nearly so.
const PACKED_HERE_BYTES_MAX: usize = 512 << 10;
/// A scratch buffer that a large batch has blown up is given back at once.
const KEPT_BYTES_MAX: usize = 4 << 20;

thread_local! {
    /// What decompression and recompression need, for all connections of a shard's thread, and for one worker.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A batch that takes longer to check than others should wait for it.
pub(super) struct Large {
    key: PartitionKey,
    records: Bytes,
    rules: Rules,
    now_ms: i64,
}

pub(super) enum Checked {
    Good(Append),
    Large(Large),
}

/// Finds a partition's leader here and a batch in its records.
pub(super) fn check(
    call: &Call,
    view: &View,
    topic: &Topic,
    partition: PartitionProduceData,
) -> Result<Checked, Fault> {
    let key = call.broker.led_here(topic, partition.index)?;
    if topic.is_internal() && call.client_id.as_deref() != Some(ADMIN_CLIENT) {
        let message = Some(format!("clients may not write to the internal topic {}", topic.name()));
        return Err(Fault { code: ErrorCode::InvalidTopic, message, record_errors: Vec::new() });
    }
    let settings = view.settings_of(topic.id()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let records = partition.records.unwrap_or_default().to_bytes().map_err(|_| ErrorCode::InvalidRecord)?;
    let rules = Rules { zstd_allowed: call.version >= ZSTD, ..settings.rules };
    let now_ms = call.broker.host.clock.wall_ms();
    let Some(here) = limits_here(&records, &rules) else {
        return Ok(Checked::Large(Large { key, records, rules, now_ms }));
    };
    let few = Rules { limits: here, ..rules };
    let checked =
        SCRATCH.with_borrow_mut(|scratch| records::validate(records.clone(), &few, now_ms, scratch));
    match checked {
        Err(records::Refusal::Compression(compression::Error::TooLarge { compressed, .. }))
            if here.bound(compressed) < rules.limits.bound(compressed) =>
        {
            Ok(Checked::Large(Large { key, records, rules, now_ms }))
        }
        checked => append(key, checked?).map(Checked::Good),
    }
}

/// How much of a batch may come to light here; `None` if it is too large to begin with.
fn limits_here(records: &[u8], rules: &Rules) -> Option<Limits> {
    // What has no header is refused at once.
    let codec = BatchHeader::parse(records).ok().and_then(|header| header.attributes.codec());
    let codec = codec.unwrap_or_default();
    let packed_anew = rules.compression.is_some_and(|target| target.codec != codec);
    let bytes_max = if packed_anew { REPACK_HERE_BYTES_MAX } else { HERE_BYTES_MAX };
    let packed = records.len().saturating_sub(BATCH_OVERHEAD);
    let tried = match codec {
        Codec::None if packed_anew => packed <= bytes_max,
        Codec::None => true,
        _ => packed <= bytes_max.min(PACKED_HERE_BYTES_MAX),
    };
    let decompressed_bytes_max = rules.limits.decompressed_bytes_max.min(bytes_max);
    tried.then_some(Limits { decompressed_bytes_max, ..rules.limits })
}

fn append(key: PartitionKey, valid: Validated) -> Result<Append, Fault> {
    Ok(Append::trusted(key, valid.batch))
}

impl Large {
    /// Checks it when a worker has time.
    pub(super) async fn check(self, workers: &Workers) -> Result<Append, Fault> {
        let Large { key, records, rules, now_ms } = self;
        let checked = workers.run(move || {
            SCRATCH.with_borrow_mut(|scratch| {
                let checked = records::validate(records, &rules, now_ms, scratch);
                if scratch.capacity() > KEPT_BYTES_MAX {
                    *scratch = Scratch::new();
                }
                checked
            })
        });
        // A panic is a bug, and logged by the lane.
        let checked = checked.await.ok_or(ErrorCode::UnknownServerError)?;
        append(key, checked?)
    }
}

#[cfg(test)]
mod tests {
    use protocol::records::{BatchBuilder, BatchOptions, Compression, NewRecord};

    use super::*;

    #[test]
    fn what_takes_long_is_not_begun_here() {
        let batch = |codec, bytes: usize| {
            let compression = Compression::from(codec);
            let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
            // Nothing that a codec makes much smaller.
            let noise =
                |at: usize| u8::try_from(at.wrapping_mul(at).wrapping_mul(2_654_435_761) >> 13 & 0xff);
            let value: Vec<u8> = (0..bytes).map(|at| noise(at).unwrap_or_default()).collect();
            builder.append(&NewRecord { value: Some(&value), ..NewRecord::default() }).unwrap();
            builder.build().unwrap()
        };
        let as_it_comes = Rules::default();
        let zstd = Rules { compression: Some(Compression::from(Codec::Zstd)), ..as_it_comes };
        let here =
            |bytes: &[u8], rules| limits_here(bytes, rules).map(|limits| limits.decompressed_bytes_max);
        for (codec, bytes, rules, expected) in [
            (Codec::None, 2 << 20, &as_it_comes, Some(HERE_BYTES_MAX)),
            (Codec::Lz4, 100 << 10, &as_it_comes, Some(HERE_BYTES_MAX)),
            (Codec::Lz4, 2 << 20, &as_it_comes, None),
            (Codec::Zstd, 2 << 20, &zstd, None),
            (Codec::None, 1000, &zstd, Some(REPACK_HERE_BYTES_MAX)),
            (Codec::Lz4, 1000, &zstd, Some(REPACK_HERE_BYTES_MAX)),
            (Codec::None, 100 << 10, &zstd, None),
        ] {
            assert_eq!(here(&batch(codec, bytes), rules), expected, "{codec} {bytes}");
        }
        assert_eq!(here(b"no batch", &as_it_comes), Some(HERE_BYTES_MAX), "it is refused at once");
    }
}
