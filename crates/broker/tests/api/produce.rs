//! Produce: what gets in, and what is said of what does not.

use bytes::{Bytes, BytesMut};
use protocol::messages::produce_request::ProduceRequest;
use protocol::records::{
    BatchBuilder, BatchHeader, BatchOptions, Codec, Compression, HEAD_LEN, NewRecord, TimestampType,
};
use protocol::{ErrorCode, Str, Uuid};

use crate::support::requests::{
    METADATA, PRODUCE, Topic, batch, batch_with, edited, only_produced, produce, records, values,
};
use crate::support::{SERVER, ms, run};

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
