//! Whole batches: round trips, somebody else's encoder and decoder, and hostile bytes.

mod hostile;
mod oracle;
mod round_trip;

use bytes::Bytes;
use proptest::prelude::*;

use super::{BatchBuilder, BatchOptions, Codec, HeaderRef, NewRecord};
use crate::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..200))
}

fn record() -> impl Strategy<Value = Owned> {
    let timestamp = prop_oneof![Just(-1), 0..2_000_000_000_000i64, 1_700_000_000_000..1_700_000_100_000i64];
    // The oracle keeps headers in a map, so names are unique here.
    let headers = prop::collection::btree_map("[a-z\u{e9}]{0,6}", bytes(), 0..4);
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Owned {
        timestamp,
        key,
        value,
        headers: headers.into_iter().collect(),
    })
}

fn records() -> impl Strategy<Value = Vec<Owned>> {
    prop::collection::vec(record(), 1..40)
}

fn codec() -> impl Strategy<Value = Codec> {
    prop::sample::select(Codec::ALL.to_vec())
}

fn options() -> impl Strategy<Value = BatchOptions> {
    let producer =
        prop_oneof![Just(None), (0..i64::MAX, 0..i16::MAX, 0..i32::MAX, any::<bool>()).prop_map(Some)];
    (codec(), producer).prop_map(|(codec, producer)| {
        let options = BatchOptions { compression: codec.into(), ..BatchOptions::default() };
        match producer {
            None => options,
            Some((id, epoch, base_sequence, transactional)) => BatchOptions {
                producer_id: ProducerId(id),
                producer_epoch: ProducerEpoch(epoch),
                base_sequence,
                transactional,
                ..options
            },
        }
    })
}

fn builder(options: BatchOptions, records: &[Owned]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(options);
    for record in records {
        let headers: Vec<HeaderRef> = record
            .headers
            .iter()
            .map(|(key, value)| HeaderRef { key: key.as_bytes(), value: value.as_deref() })
            .collect();
        let record = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let before = builder.uncompressed_size();
        builder.append(&record).unwrap();
        assert!(builder.uncompressed_size() - before <= BatchBuilder::size_of(&record));
    }
    builder
}

fn batch(options: BatchOptions, records: &[Owned]) -> Bytes {
    builder(options, records).build().unwrap()
}

fn stored(options: BatchOptions, base_offset: i64, leader_epoch: i32) -> BatchOptions {
    BatchOptions { base_offset: Offset(base_offset), leader_epoch: LeaderEpoch(leader_epoch), ..options }
}
