//! Produce: what gets in, and what is said of what does not.

use bytes::{Bytes, BytesMut};
use protocol::messages::produce_request::ProduceRequest;
use protocol::records::{
    Attributes, BatchBuilder, BatchHeader, BatchOptions, Codec, Compression, HEAD_LEN, NewRecord,
    TimestampType, crc32c,
};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{
    METADATA, PRODUCE, Topic, batch, batch_at, batch_with, only_produced, produce, records, sequenced, values,
};
use crate::support::{SERVER, ms, run};

/// Changes a batch and makes its CRC right again.
fn edited(batch: &Bytes, edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    edit(&mut header);
    let mut bytes = BytesMut::from(header.to_bytes().as_slice());
    bytes.extend_from_slice(&batch[bytes.len()..]);
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

fn compressed(codec: Codec, values: &[&str]) -> Bytes {
    let compression = Compression { codec, ..Compression::default() };
    batch_with(BatchOptions { compression, ..BatchOptions::default() }, values)
}

#[test]
fn every_version_appends() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for version in 3..=13 {
            let value = version.to_string();
            let request = produce(version, -1, &topic, &[(0, batch(&[&value]))]);
            let answer = client.call(version, &request).await;
            let part = only_produced(&answer);
            assert_eq!(ErrorCode::from(part.error_code), ErrorCode::None);
            assert_eq!((part.index, part.base_offset), (0, i64::from(version - 3)));
            assert_eq!(part.log_append_time_ms, -1, "the producer's timestamps count");
            assert_eq!(part.log_start_offset, if version >= 5 { 0 } else { -1 });
            let by_id = answer.responses[0].topic_id == topic.id;
            assert_eq!((by_id, answer.responses[0].name == topic.name), (version >= 13, version < 13));
        }
        assert_eq!(values(&client.read(&topic, 0).await).len(), 11);
    });
}

#[test]
fn acks_are_minus_1_or_0_or_1() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        for acks in [2, -2, i16::MAX, i16::MIN] {
            let request = produce(PRODUCE, acks, &topic, &[(0, batch(&["a"])), (1, batch(&["b"]))]);
            let answer = client.call(PRODUCE, &request).await;
            for part in &answer.responses[0].partition_responses {
                assert_eq!(ErrorCode::from(part.error_code), ErrorCode::InvalidRequiredAcks);
                assert_eq!(part.base_offset, -1);
            }
        }
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
        for acks in [1, -1] {
            let answer = client.call(PRODUCE, &produce(PRODUCE, acks, &topic, &[(0, batch(&["a"]))])).await;
            assert_eq!(only_produced(&answer).error_code, 0);
        }
    });
}

#[test]
fn one_bad_partition_does_not_fail_the_others() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        let mut corrupt = BytesMut::from(&batch(&["x"])[..]);
        *corrupt.last_mut().unwrap() ^= 1;
        let parts = [(1, corrupt.freeze()), (7, batch(&["y"])), (0, batch(&["good"])), (2, Bytes::new())];
        let answer = client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &parts)).await;
        let parts = answer.responses[0].partition_responses.iter();
        let codes: Vec<_> = parts.map(|part| (part.index, ErrorCode::from(part.error_code))).collect();
        assert_eq!(
            codes,
            [
                (1, ErrorCode::CorruptMessage),
                (7, ErrorCode::UnknownTopicOrPartition),
                (0, ErrorCode::None),
                (2, ErrorCode::InvalidRecord),
            ]
        );
        assert_eq!(values(&client.read(&topic, 0).await), ["good"]);
    });
}

#[test]
fn log_append_time_rewrites_timestamps_and_is_told() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for codec in Codec::ALL {
            let config = [("message.timestamp.type", "LogAppendTime")];
            let topic = client.create(codec.name(), 1, &config).await;
            let answer = client.append(&topic, compressed(codec, &["a", "b"])).await;
            assert_eq!(answer.error_code, 0);
            let appended = answer.log_append_time_ms;
            assert!(appended > 1_001, "the broker's clock, not the producer's");
            let data = client.read(&topic, 0).await;
            assert!(records(&data).iter().all(|record| record.timestamp == appended));
            let header = BatchHeader::parse(&data.records.unwrap().to_bytes().unwrap()).unwrap();
            assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
            assert_eq!(header.max_timestamp, appended);
        }
    });
}

#[test]
fn the_largest_timestamp_comes_from_the_records_compressed_or_not() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for codec in Codec::ALL {
            let topic = client.create(codec.name(), 1, &[]).await;
            let compression = Compression { codec, ..Compression::default() };
            let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
            for timestamp in [5, 9, 7] {
                builder.append(&NewRecord { timestamp, ..NewRecord::default() }).unwrap();
            }
            // What the header claims is not believed.
            let lying = edited(&builder.build().unwrap(), |header| header.max_timestamp = 1_000);
            assert_eq!(client.append_code(&topic, lying).await, ErrorCode::None);
            let found = client.offset_at(11, &topic, -3).await;
            assert_eq!((found.timestamp, found.offset), (9, 1), "{codec:?}");
        }
    });
}

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
fn acks_0_gets_no_answer() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for version in 3..=PRODUCE {
            client.send(version, &produce(version, 0, &topic, &[(0, batch(&["a"]))])).await;
            client.skip();
            // The next answer is that to the next request.
            assert_eq!(client.describe(METADATA, "t", false).await.error_code, 0);
        }
        assert_eq!(values(&client.read(&topic, 0).await).len(), 11);
    });
}

#[test]
fn a_failed_write_with_acks_0_closes_the_connection() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.send(PRODUCE, &produce(PRODUCE, 0, &topic, &[(0, batch(&["a"])), (5, batch(&["b"]))])).await;
        assert!(client.is_hung_up().await);
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a"], "the good partition was written");
    });
}

#[test]
fn too_few_replicas_are_told_before_the_append() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("min.insync.replicas", "2")]).await;
        assert_eq!(client.append_code(&topic, batch(&["a"])).await, ErrorCode::NotEnoughReplicas);
        assert_eq!(client.offset_at(11, &topic, -1).await.offset, 0);
        let answer = client.call(PRODUCE, &produce(PRODUCE, 1, &topic, &[(0, batch(&["a"]))])).await;
        assert_eq!(only_produced(&answer).error_code, 0, "acks=1 asks for nobody else");
    });
}

#[test]
fn unknown_topics_are_told_by_the_way_they_were_named() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let nobody = Topic { name: Str::from("nobody"), id: Uuid::from([7; 16]) };
        for version in 3..=PRODUCE {
            let answer = client.call(version, &produce(version, -1, &nobody, &[(0, batch(&["a"]))])).await;
            let code =
                if version < 13 { ErrorCode::UnknownTopicOrPartition } else { ErrorCode::UnknownTopicId };
            assert_eq!(ErrorCode::from(only_produced(&answer).error_code), code);
        }
        // A write creates nothing, whatever Metadata does.
        assert_eq!(client.describe(METADATA, "nobody", false).await.error_code, 3);
    });
}

#[test]
fn every_codec_is_stored_as_it_came_and_zstd_needs_version_7() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for codec in Codec::ALL {
            let topic = client.create(codec.name(), 1, &[]).await;
            let batch = compressed(codec, &["one", "two", "three"]);
            for version in 3..=PRODUCE {
                let answer = client.call(version, &produce(version, -1, &topic, &[(0, batch.clone())])).await;
                let refused = codec == Codec::Zstd && version < 7;
                let code = if refused { ErrorCode::UnsupportedCompressionType } else { ErrorCode::None };
                assert_eq!(ErrorCode::from(only_produced(&answer).error_code), code, "{codec:?} {version}");
            }
            let data = client.read(&topic, 0).await;
            let stored = data.records.as_ref().unwrap().to_bytes().unwrap();
            assert_eq!(stored[HEAD_LEN..batch.len()], batch[HEAD_LEN..]);
            assert_eq!(values(&data)[..3], ["one", "two", "three"]);
        }
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
fn a_write_that_takes_longer_than_its_timeout_is_told_so_and_may_still_happen() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(2_000)..=ms(2_000));
        let request = produce(PRODUCE, -1, &topic, &[(0, batch(&["late"]))]);
        let began = world.sim.now();
        let answer = client.call(PRODUCE, &ProduceRequest { timeout_ms: 100, ..request }).await;
        let part = only_produced(&answer);
        assert_eq!((ErrorCode::from(part.error_code), part.base_offset), (ErrorCode::RequestTimedOut, -1));
        assert_eq!(world.sim.now().since(began).as_millis() / 10, 10);
        world.sim.sleep(ms(10_000)).await;
        assert_eq!(values(&client.read(&topic, 0).await), ["late"]);
    });
}

#[test]
fn batches_that_contradict_themselves_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        // A producer id asks for a sequence.
        assert_eq!(client.append_code(&topic, sequenced(7, 0, -1, &["x"])).await, ErrorCode::InvalidRecord);
        // Nobody coordinates transactions here, so none can be under way.
        let transactional = edited(&sequenced(7, 0, 0, &["x"]), |header| {
            header.attributes = Attributes(0).with_transactional(true);
        });
        assert_eq!(client.append_code(&topic, transactional).await, ErrorCode::InvalidTxnState);
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

#[test]
fn internal_topics_are_flagged_and_not_for_clients_to_write_to() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        for name in ["__consumer_offsets", "__transaction_state", "__share_group_state"] {
            let found = client.describe(METADATA, name, true).await;
            assert_eq!(found.error_code, 3, "nobody's question creates it");
            let topic = client.create(name, 1, &[]).await;
            for version in 4..=METADATA {
                assert!(client.describe(version, name, false).await.is_internal);
            }
            for version in 3..=PRODUCE {
                let request = produce(version, -1, &topic, &[(0, batch(&["x"]))]);
                let code = only_produced(&client.call(version, &request).await).error_code;
                assert_eq!(ErrorCode::from(code), ErrorCode::InvalidTopic);
            }
            assert_eq!(client.read(&topic, 0).await.error_code, 0, "everybody may read it");
            let mut tool = world.connect().await.named("__admin_client");
            assert_eq!(tool.append_code(&topic, batch(&["x"])).await, ErrorCode::None);
        }
        assert!(!client.describe(METADATA, "__cluster_metadata", false).await.is_internal);
    });
}

#[test]
fn pipelined_writes_are_appended_and_answered_in_their_order() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for (number, acks) in [-1, 1, -1, 1, 1, -1].into_iter().enumerate() {
            let value = number.to_string();
            client.send(PRODUCE, &produce(PRODUCE, acks, &topic, &[(0, batch(&[&value]))])).await;
        }
        for offset in 0..6 {
            let answer = client.receive::<ProduceRequest>(PRODUCE).await;
            assert_eq!(only_produced(&answer).base_offset, offset);
        }
        assert_eq!(values(&client.read(&topic, 0).await), ["0", "1", "2", "3", "4", "5"]);
    });
}
