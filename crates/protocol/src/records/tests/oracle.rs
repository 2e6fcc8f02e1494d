//! The record encoder and decoder of the `kafka-protocol` crate, which has C's lz4 and a zstd of its own.

use bytes::BytesMut;
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;

use super::*;
use crate::records::{Limits, Records, Rules, Scratch, ValidBatch, sequence_after, validate};

fn their_codec(codec: Codec) -> theirs::Compression {
    match codec {
        Codec::None => theirs::Compression::None,
        Codec::Gzip => theirs::Compression::Gzip,
        Codec::Snappy => theirs::Compression::Snappy,
        Codec::Lz4 => theirs::Compression::Lz4,
        Codec::Zstd => theirs::Compression::Zstd,
    }
}

fn their_records(options: &BatchOptions, records: &[Owned]) -> Vec<theirs::Record> {
    let copy = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| Bytes::copy_from_slice(bytes));
    let records = records.iter().zip(0i32..).map(|(record, index)| theirs::Record {
        transactional: options.transactional,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: options.leader_epoch.0,
        producer_id: options.producer_id.0,
        producer_epoch: options.producer_epoch.0,
        timestamp_type: theirs::TimestampType::Creation,
        offset: options.base_offset.0 + i64::from(index),
        sequence: options.base_sequence.wrapping_add(index),
        timestamp: record.timestamp,
        key: copy(&record.key),
        value: copy(&record.value),
        headers: record
            .headers
            .iter()
            .map(|(key, value)| (StrBytes::from_string(key.clone()), copy(value)))
            .collect::<IndexMap<_, _>>(),
    });
    records.collect()
}

proptest! {
    #[test]
    fn their_decoder_reads_our_batches(options in options(), records in records()) {
        let options = BatchOptions { base_sequence: options.base_sequence.min(i32::MAX - 100), ..options };
        let mut bytes = batch(stored(options, 17, 4), &records);
        let set = theirs::RecordBatchDecoder::decode(&mut bytes).unwrap();
        prop_assert_eq!(set.compression, their_codec(options.compression.codec));
        prop_assert_eq!(set.records, their_records(&stored(options, 17, 4), &records));
    }

    #[test]
    fn our_reader_reads_their_batches(options in options(), records in records()) {
        let options = BatchOptions { base_sequence: options.base_sequence.min(i32::MAX - 100), ..options };
        let encoding = theirs::RecordEncodeOptions { version: 2, compression: their_codec(options.compression.codec) };
        let mut out = BytesMut::new();
        let want = their_records(&options, &records);
        theirs::RecordBatchEncoder::encode(&mut out, &want, &encoding).unwrap();
        let bytes = out.freeze();

        let rules = Rules { timestamp_after_max_ms: i64::MAX, ..Rules::default() };
        let batch = validate(bytes.clone(), &rules, 0, &mut Scratch::new()).unwrap();
        prop_assert!(!batch.rewritten);
        let batch = ValidBatch::split_from(&mut batch.batch.to_bytes()).unwrap();
        prop_assert_eq!(batch.to_bytes(), bytes);
        let ours = Records::open(&batch, &mut Scratch::new(), &Limits::default()).unwrap().map(Result::unwrap);
        for ((ours, want), index) in ours.zip(&want).zip(0i32..) {
            prop_assert_eq!(ours.offset.0, want.offset);
            prop_assert_eq!(ours.timestamp, want.timestamp);
            prop_assert_eq!(&ours.key, &want.key);
            prop_assert_eq!(&ours.value, &want.value);
            let headers = ours.headers.into_iter().map(|header| (header.key, header.value));
            let wanted = want.headers.iter().map(|(key, value)| (key.clone().into_bytes(), value.clone()));
            prop_assert!(headers.eq(wanted));
            if options.base_sequence >= 0 {
                prop_assert_eq!(sequence_after(batch.header().base_sequence, index), want.sequence);
            }
        }
    }
}
