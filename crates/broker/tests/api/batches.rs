//! Produce: batches that are refused for what is in them, or how many there are.

use bytes::{Bytes, BytesMut};
use protocol::ErrorCode;
use protocol::records::{Attributes, BatchBuilder, BatchOptions, NewRecord};

use crate::support::requests::{PRODUCE, batch, batch_at, edited, only_produced, produce, sequenced, values};
use crate::support::run;

#[test]
fn record_errors_name_the_records_of_a_compacted_topic_without_a_key() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("cleanup.policy", "compact")]).await;
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for key in [Some(b"k".as_slice()), None, Some(b"l"), None] {
            builder.append(&NewRecord { timestamp: 1, key, ..NewRecord::default() }).unwrap();
        }
        for version in 3..=PRODUCE {
            let request = produce(version, -1, &topic, &[(0, builder.build().unwrap())]);
            let answer = client.call(version, &request).await;
            let part = only_produced(&answer);
            assert_eq!(ErrorCode::from(part.error_code), ErrorCode::InvalidRecord);
            if version >= 8 {
                let indexes: Vec<i32> = part.record_errors.iter().map(|error| error.batch_index).collect();
                assert_eq!(indexes, [1, 3]);
                assert!(part.record_errors.iter().all(|error| error.batch_index_error_message.is_some()));
                assert!(part.error_message.is_some());
            }
        }
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn control_batches_of_clients_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let control = edited(&batch(&["x"]), |header| {
            header.attributes = Attributes(0).with_control(true);
        });
        assert_eq!(client.append_code(&topic, control).await, ErrorCode::InvalidRecord);
    });
}

#[test]
fn a_partition_takes_exactly_one_batch() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let two = [batch(&["a"]), batch(&["b"])].concat();
        assert_eq!(client.append_code(&topic, two.into()).await, ErrorCode::InvalidRecord);
        assert_eq!(client.append_code(&topic, Bytes::new()).await, ErrorCode::InvalidRecord);
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn what_is_too_large_or_too_far_in_time_is_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let configs = [("max.message.bytes", "100"), ("message.timestamp.before.max.ms", "3600000")];
        let topic = client.create("t", 1, &configs).await;
        let large = batch(&["x".repeat(100).as_str()]);
        assert_eq!(client.append_code(&topic, large).await, ErrorCode::MessageTooLarge);
        for timestamp in [1 << 50, 1] {
            let answer = client.append(&topic, batch_at(timestamp, "x")).await;
            assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidTimestamp);
            assert_eq!(answer.record_errors[0].batch_index, 0);
        }
        assert_eq!(client.append_code(&topic, batch_at(-1, "x")).await, ErrorCode::None, "no timestamp");
    });
}

#[test]
fn a_batch_above_max_message_bytes_is_too_large_before_anything_else_is_looked_at() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let configs = [("max.message.bytes", "3000000"), ("segment.bytes", "1048576")];
        let topic = client.create("t", 1, &configs).await;
        let small = batch(&["x".repeat(1_048_576 - 100).as_str()]);
        assert!(small.len() < 1_048_576);
        assert_eq!(client.append_code(&topic, small).await, ErrorCode::None);
        // No file may hold it, although the topic would take it.
        let larger_than_a_segment = batch(&["x".repeat(1_048_576).as_str()]);
        assert_eq!(client.append_code(&topic, larger_than_a_segment).await, ErrorCode::RecordListTooLarge);
        let mut huge = BytesMut::from(&batch(&["x".repeat(3_000_000).as_str()])[..]);
        assert_eq!(client.append_code(&topic, huge.clone().freeze()).await, ErrorCode::MessageTooLarge);
        *huge.last_mut().unwrap() ^= 1;
        let answer = client.append(&topic, huge.freeze()).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::MessageTooLarge, "damaged or not");
        assert!(answer.error_message.is_some_and(|text| text.contains("3000000")), "the limit is named");
        assert_eq!(client.read(&topic, 0).await.high_watermark, 1);
    });
}

#[test]
fn batches_that_contradict_themselves_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        // A producer id asks for a sequence.
        assert_eq!(client.append_code(&topic, sequenced(7, 0, -1, &["x"])).await, ErrorCode::InvalidRecord);
        // A transaction has an id.
        let transactional = edited(&sequenced(7, 0, 0, &["x"]), |header| {
            header.attributes = Attributes(0).with_transactional(true);
        });
        assert_eq!(
            client.append_code(&topic, transactional).await,
            ErrorCode::TransactionalIdAuthorizationFailed
        );
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn a_partition_named_twice_gets_one_batch() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let request = produce(PRODUCE, -1, &topic, &[(0, batch(&["first"])), (0, batch(&["second"]))]);
        let answer = client.call(PRODUCE, &request).await;
        let parts = answer.responses[0].partition_responses.iter();
        let codes: Vec<_> = parts.map(|part| ErrorCode::from(part.error_code)).collect();
        assert_eq!(codes, [ErrorCode::None, ErrorCode::InvalidRequest]);
        assert_eq!(values(&client.read(&topic, 0).await), ["first"]);
    });
}

#[test]
fn of_many_partitions_each_gets_one_batch_too() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 40, &[]).await;
        let twice: Vec<(i32, Bytes)> =
            (0..40).chain(0..40).map(|partition| (partition, batch(&["x"]))).collect();
        let answer = client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &twice)).await;
        let parts = &answer.responses[0].partition_responses;
        let codes: Vec<_> = parts.iter().map(|part| (part.index, ErrorCode::from(part.error_code))).collect();
        let first = (0..40).map(|partition| (partition, ErrorCode::None));
        let second = (0..40).map(|partition| (partition, ErrorCode::InvalidRequest));
        assert_eq!(codes, first.chain(second).collect::<Vec<_>>());
    });
}
