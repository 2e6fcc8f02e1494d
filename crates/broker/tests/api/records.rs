//! DeleteRecords and DescribeProducers.

use protocol::ErrorCode;
use protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use protocol::messages::describe_producers_response::PartitionResponse;
use protocol::{Str, Uuid};

use crate::support::requests::{LIST, Topic, batch, only_produced, sequenced, values};
use crate::support::requests::{PRODUCE, produce};
use crate::support::{Client, run};

fn request(topic: &str, offsets: &[(i32, i64)]) -> DeleteRecordsRequest {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
    };
    let partitions = offsets.iter().map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: Str::from(topic), partitions }];
    DeleteRecordsRequest { topics, timeout_ms: 30_000 }
}

/// Low watermark and code of partition 0.
async fn delete(client: &mut Client, topic: &Topic, offset: i64) -> (i64, ErrorCode) {
    let answer = client.call(2, &request(&topic.name, &[(0, offset)])).await;
    let result = &answer.topics[0].partitions[0];
    (result.low_watermark, ErrorCode::from(result.error_code))
}

/// librdkafka gives no time at all. It was told that the time was up, while the records were being deleted.
#[test]
fn the_leader_deletes_however_little_time_it_is_given() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a", "b", "c"]).await;
        for (offset, timeout_ms) in [(1, 0), (2, -1)] {
            let request = DeleteRecordsRequest { timeout_ms, ..request("t", &[(0, offset)]) };
            let answer = client.call(2, &request).await;
            let result = &answer.topics[0].partitions[0];
            assert_eq!((result.low_watermark, result.error_code), (offset, 0), "with {timeout_ms} ms");
        }
    });
}

#[test]
fn records_are_deleted_up_to_an_offset_or_the_high_watermark() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a", "b", "c", "d"]).await;
        for version in 0..=2 {
            let offset = i64::from(version) + 1;
            let answer = client.call(version, &request("t", &[(0, offset)])).await;
            let result = &answer.topics[0].partitions[0];
            assert_eq!((result.low_watermark, result.error_code), (offset, 0));
        }
        // What was deleted stays deleted.
        assert_eq!(delete(&mut client, &topic, 1).await, (3, ErrorCode::None));
        assert_eq!(delete(&mut client, &topic, 0).await, (3, ErrorCode::None));
        assert_eq!(client.offset_at(LIST, &topic, -2).await.offset, 3);
        let below = client.read(&topic, 2).await;
        assert_eq!(ErrorCode::from(below.error_code), ErrorCode::OffsetOutOfRange);
        assert_eq!(values(&client.read(&topic, 3).await), ["d"]);
        assert_eq!(delete(&mut client, &topic, -1).await, (4, ErrorCode::None));
        assert_eq!(values(&client.read(&topic, 4).await), [""; 0]);
        client.fill(&topic, &["e"]).await;
        assert_eq!(values(&client.read(&topic, 4).await), ["e"]);
        assert_eq!(client.append(&topic, batch(&["f"])).await.log_start_offset, 4);
    });
}

#[test]
fn a_deletion_of_records_that_was_answered_survives_a_crash() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        // In the middle of a batch, too.
        client.append(&topic, batch(&["a", "b", "c"])).await;
        assert_eq!(delete(&mut client, &topic, 2).await, (2, ErrorCode::None));
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(client.offset_at(LIST, &topic, -2).await.offset, 2);
        assert_eq!(client.offset_at(LIST, &topic, 0).await.offset, 2, "no record below is found by time");
        let below = client.read(&topic, 1).await;
        assert_eq!(ErrorCode::from(below.error_code), ErrorCode::OffsetOutOfRange);
        assert_eq!(values(&client.read(&topic, 2).await).last().map(String::as_str), Some("c"));
        world.restart().await;
        let mut client = world.connect().await;
        assert_eq!(client.offset_at(LIST, &topic, -2).await.offset, 2);
    });
}

#[test]
fn records_that_cannot_be_deleted_are_refused_by_themselves() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        client.fill(&topic, &["a"]).await;
        for offset in [2, i64::MAX, -2, i64::MIN] {
            assert_eq!(delete(&mut client, &topic, offset).await, (-1, ErrorCode::OffsetOutOfRange));
        }
        let answer = client.call(2, &request("t", &[(0, 9), (1, 0), (7, 0), (-1, 0)])).await;
        let codes: Vec<(i32, ErrorCode)> = answer.topics[0]
            .partitions
            .iter()
            .map(|result| (result.partition_index, ErrorCode::from(result.error_code)))
            .collect();
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(
            codes,
            [(-1, unknown), (0, ErrorCode::OffsetOutOfRange), (1, ErrorCode::None), (7, unknown)]
        );
        let nobody = Topic { name: Str::from("nobody"), id: Uuid::ZERO };
        assert_eq!(delete(&mut client, &nobody, 0).await, (-1, unknown));
        let compacted = client.create("compacted", 1, &[("cleanup.policy", "compact")]).await;
        assert_eq!(delete(&mut client, &compacted, 0).await, (-1, ErrorCode::PolicyViolation));
        let both = client.create("both", 1, &[("cleanup.policy", "compact,delete")]).await;
        assert_eq!(delete(&mut client, &both, -1).await, (0, ErrorCode::None));
        let internal = client.create("__consumer_offsets", 1, &[]).await;
        assert_eq!(delete(&mut client, &internal, 0).await, (-1, ErrorCode::InvalidTopic));
        // A partition twice is answered once.
        let answer = client.call(2, &request("t", &[(0, 9), (0, 1)])).await;
        assert_eq!(answer.topics[0].partitions.len(), 1);
        assert_eq!(answer.topics[0].partitions[0].low_watermark, 1);
    });
}

#[test]
fn producers_that_a_partition_remembers_are_told() {
    run(
        &[("producer.id.expiration.ms", "60000"), ("log.retention.check.interval.ms", "1000")],
        async |world| {
            let mut client = world.connect().await;
            let topic = client.create("t", 1, &[]).await;
            let one = sequenced(7, 3, 0, &["a", "b"]);
            let answer = client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, one)])).await;
            assert_eq!(only_produced(&answer).error_code, 0);
            let mut describe = async |name: &str, partition: i32| -> PartitionResponse {
                let topics =
                    vec![TopicRequest { name: Str::from(name), partition_indexes: vec![partition; 3] }];
                let mut answer = client.call(0, &DescribeProducersRequest { topics }).await;
                let mut partitions = answer.topics.remove(0).partitions;
                assert_eq!(partitions.len(), 1);
                partitions.remove(0)
            };
            let told = describe("t", 0).await;
            let [producer] = told.active_producers.as_slice() else { panic!("{told:?}") };
            assert_eq!((producer.producer_id, producer.producer_epoch, producer.last_sequence), (7, 3, 1));
            assert_eq!((producer.last_timestamp, producer.coordinator_epoch), (1001, -1));
            assert_eq!(producer.current_txn_start_offset, -1);
            for (name, partition, code) in [
                ("t", 1, ErrorCode::UnknownTopicOrPartition),
                ("nobody", 0, ErrorCode::UnknownTopicOrPartition),
                ("a b", 0, ErrorCode::InvalidTopic),
            ] {
                let told = describe(name, partition).await;
                assert_eq!((ErrorCode::from(told.error_code), told.error_message.is_some()), (code, true));
            }
            // A shorter memory counts while the broker runs.
            world.sim.sleep(crate::support::ms(20_000)).await;
            assert_eq!(describe("t", 0).await.active_producers.len(), 1);
            let mut other = world.connect().await;
            crate::alter_configs::set(&mut other, (4, ""), "producer.id.expiration.ms", "5000").await;
            world.sim.sleep(crate::support::ms(5_000)).await;
            assert_eq!(describe("t", 0).await.active_producers.len(), 0);
        },
    );
}
