//! Transactions on the side of the partitions: what is decided is read, what is not is not, and markers end them. No coordinator
//! takes part: the markers are those of an operator.

mod compaction;
mod markers;

use bytes::Bytes;
use protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use protocol::messages::describe_producers_response::ProducerState;
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::fetch_response::PartitionData;
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::produce_request::ProduceRequest;
use protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use protocol::records::{Attributes, BatchOptions, Batches};
use protocol::{ErrorCode, ProducerEpoch, ProducerId, Str};

use crate::support::requests::{
    FETCH, LIST, PRODUCE, Topic, batch, edited, fetch, from_offset, only, only_produced, produce, sequenced,
};
use crate::support::{Client, World, ms, run};

const MARKERS: i16 = 2;
/// The newest version in which partitions are not added by their first batch.
const NOT_ADDED: i16 = 11;
/// Nobody is asked.
const ON_TRUST: &[(&str, &str)] = &[("transaction.partition.verification.enable", "false")];

/// A batch of a transaction.
pub(crate) fn part(producer_id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    let options = BatchOptions {
        producer_id: ProducerId(producer_id),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        transactional: true,
        ..BatchOptions::default()
    };
    crate::support::requests::batch_with(options, values)
}

/// A marker for partition 0.
fn marker(topic: &Topic, producer_id: i64, epoch: i16, commit: bool) -> WritableTxnMarker {
    WritableTxnMarker {
        producer_id,
        producer_epoch: epoch,
        transaction_result: commit,
        topics: vec![WritableTxnMarkerTopic { name: topic.name.clone(), partition_indexes: vec![0] }],
        coordinator_epoch: 0,
        transaction_version: 0,
    }
}

/// What readers of committed records see of partition 0, as clients do: without what is aborted, and without markers.
struct Seen {
    values: Vec<String>,
    last_stable_offset: i64,
    high_watermark: i64,
    aborted: Vec<(i64, i64)>,
    /// Where to read next.
    next: i64,
}

fn seen(data: &PartitionData, from: i64) -> Seen {
    assert_eq!(data.error_code, 0);
    let aborted = data.aborted_transactions.clone().expect("told to readers of committed records");
    let mut left: Vec<_> =
        aborted.iter().map(|aborted| (aborted.first_offset, aborted.producer_id)).collect();
    left.sort_unstable();
    let (mut gone, mut values, mut next) = (Vec::new(), Vec::new(), from);
    for found in Batches::new(data.records.as_ref().unwrap().to_bytes().unwrap()) {
        let found = found.unwrap();
        let header = found.header();
        next = header.next_offset().0;
        let began = left.iter().take_while(|(first, _)| *first <= header.last_offset().0).count();
        gone.extend(left.drain(..began).map(|(_, producer_id)| producer_id));
        if header.attributes.is_control() {
            let ended = gone.iter().position(|id| *id == header.producer_id.0);
            ended.map(|at| gone.remove(at));
        } else if !header.attributes.is_transactional() || !gone.contains(&header.producer_id.0) {
            let mut scratch = protocol::records::Scratch::new();
            let records = found.records(&mut scratch, &protocol::records::Limits::default()).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let records = records.map(Result::unwrap).filter(|record| record.offset.0 >= from);
            values.extend(records.map(|record| text(record.value.unwrap())));
        }
    }
    let mut aborted: Vec<_> = aborted.iter().map(|one| (one.producer_id, one.first_offset)).collect();
    aborted.sort_unstable();
    Seen {
        values,
        last_stable_offset: data.last_stable_offset,
        high_watermark: data.high_watermark,
        aborted,
        next,
    }
}

fn committed(topic: &Topic, offset: i64) -> FetchRequest {
    FetchRequest { isolation_level: 1, ..fetch(FETCH, topic, vec![from_offset(0, offset)]) }
}

impl Client {
    async fn read_committed(&mut self, topic: &Topic, offset: i64) -> Seen {
        let response = self.call(FETCH, &committed(topic, offset)).await;
        seen(only(&response), offset)
    }

    /// All that is there, in as many reads as it takes.
    async fn all_committed(&mut self, topic: &Topic, from: i64, bytes_max: i32) -> Vec<String> {
        let (mut values, mut next) = (Vec::new(), from);
        loop {
            let mut request = committed(topic, next);
            request.topics[0].partitions[0].partition_max_bytes = bytes_max;
            let found = seen(only(&self.call(FETCH, &request).await), next);
            values.extend(found.values);
            if found.next == next {
                return values;
            }
            next = found.next;
        }
    }

    /// Sends a batch of a transaction to partition 0.
    async fn send_part(&mut self, topic: &Topic, batch: Bytes) -> ErrorCode {
        let request = ProduceRequest {
            transactional_id: Some(Str::from("tx")),
            ..produce(NOT_ADDED, -1, topic, &[(0, batch)])
        };
        let response = self.call(NOT_ADDED, &request).await;
        ErrorCode::from(only_produced(&response).error_code)
    }

    async fn mark(&mut self, marker: WritableTxnMarker) -> ErrorCode {
        let response = self.call(MARKERS, &WriteTxnMarkersRequest { markers: vec![marker] }).await;
        let [marker] = response.markers.as_slice() else { panic!("{response:?}") };
        ErrorCode::from(marker.topics[0].partitions[0].error_code)
    }

    async fn producers(&mut self, topic: &Topic) -> Vec<ProducerState> {
        let topics = vec![TopicRequest { name: topic.name.clone(), partition_indexes: vec![0] }];
        let mut response = self.call(0, &DescribeProducersRequest { topics }).await;
        response.topics.remove(0).partitions.remove(0).active_producers
    }

    async fn committed_offset(&mut self, topic: &Topic, timestamp: i64) -> i64 {
        let partition = ListOffsetsPartition { timestamp, current_leader_epoch: -1, ..Default::default() };
        let topic = ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: 1,
            topics: vec![topic],
            ..Default::default()
        };
        self.call(LIST, &request).await.topics.remove(0).partitions.remove(0).offset
    }
}

#[test]
fn what_is_decided_is_read_and_nothing_behind_what_is_not() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["plain 0"]).await;
        assert_eq!(client.send_part(&topic, part(7, 0, 0, &["a1", "a2"])).await, ErrorCode::None);
        assert_eq!(client.send_part(&topic, part(8, 3, 0, &["b1"])).await, ErrorCode::None);
        client.fill(&topic, &["plain 4"]).await;
        let found = client.read_committed(&topic, 0).await;
        assert_eq!(
            (found.values.as_slice(), found.last_stable_offset),
            (["plain 0".to_owned()].as_slice(), 1)
        );
        assert_eq!((found.high_watermark, client.committed_offset(&topic, -1).await), (5, 1));
        // At time 1000 there are the first records of all batches.
        assert_eq!(client.committed_offset(&topic, 1000).await, 0);
        assert_eq!(client.committed_offset(&topic, 1001).await, -1, "it is not decided yet");

        assert_eq!(client.mark(marker(&topic, 8, 3, false)).await, ErrorCode::None);
        let found = client.read_committed(&topic, 0).await;
        assert_eq!((found.values.len(), found.last_stable_offset, found.high_watermark), (1, 1, 6));
        assert_eq!(client.mark(marker(&topic, 7, 0, true)).await, ErrorCode::None);
        let found = client.read_committed(&topic, 0).await;
        assert_eq!(found.values, ["plain 0", "a1", "a2", "plain 4"]);
        assert_eq!((found.last_stable_offset, found.high_watermark), (7, 7));
        assert_eq!(found.aborted, [(8, 3)]);
        // Of a range, what overlaps with it is told.
        for (offset, aborted) in [(3, 1), (5, 1), (6, 0)] {
            assert_eq!(client.read_committed(&topic, offset).await.aborted.len(), aborted, "from {offset}");
        }
        assert_eq!(client.committed_offset(&topic, 1001).await, 2);
        // Others hear nothing of it.
        let all = client.read(&topic, 0).await;
        assert_eq!((all.aborted_transactions, all.last_stable_offset), (None, 7));
    });
}

#[test]
fn an_open_transaction_survives_a_stop_and_a_crash() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.send_part(&topic, part(7, 0, 0, &["a"])).await;
        client.mark(marker(&topic, 7, 0, false)).await;
        client.send_part(&topic, part(8, 0, 0, &["b"])).await;
        client.fill(&topic, &["plain"]).await;
        for round in 0..4 {
            if round % 2 == 0 {
                world.restart().await
            } else {
                world.crash().await
            }
            let mut client = world.connect().await;
            let found = client.read_committed(&topic, 0).await;
            assert_eq!((found.values.len(), found.last_stable_offset), (0, 2), "round {round}");
            assert_eq!(found.aborted, [(7, 0)], "round {round}");
            let producers = client.producers(&topic).await;
            let open: Vec<_> = producers.iter().map(|state| state.current_txn_start_offset).collect();
            assert_eq!(open, [-1, 2], "round {round}");
        }
        let mut client = world.connect().await;
        assert_eq!(client.mark(marker(&topic, 8, 0, true)).await, ErrorCode::None);
        // What is in memory is not read together with what is in a file.
        assert_eq!(client.all_committed(&topic, 0, 1 << 20).await, ["b", "plain"]);
        assert_eq!(client.read_committed(&topic, 5).await.last_stable_offset, 5);
    });
}

#[test]
fn who_waits_for_committed_records_hears_of_the_decision() {
    run(ON_TRUST, async |world| {
        let (mut reader, mut client) = (world.connect().await, world.connect().await);
        let topic = client.create("t", 1, &[]).await;
        let waits = FetchRequest { max_wait_ms: 60_000, min_bytes: 1, ..committed(&topic, 0) };
        reader.send(FETCH, &waits).await;
        client.send_part(&topic, part(7, 0, 0, &["a"])).await;
        reader.silence(ms(1_000)).await;
        client.mark(marker(&topic, 7, 0, true)).await;
        let found = seen(only(&reader.receive::<FetchRequest>(FETCH).await), 0);
        assert_eq!((found.values, found.last_stable_offset), (vec!["a".to_owned()], 2));
    });
}

#[test]
fn batches_of_others_do_not_get_into_a_transaction() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.send_part(&topic, part(7, 2, 0, &["a"])).await;
        let plain = sequenced(7, 2, 1, &["outside"]);
        assert_eq!(client.append_code(&topic, plain.clone()).await, ErrorCode::InvalidTxnState);
        for (batch, code) in [
            (part(7, 1, 1, &["zombie"]), ErrorCode::InvalidProducerEpoch),
            (part(7, 2, 2, &["gap"]), ErrorCode::OutOfOrderSequenceNumber),
            (part(7, 3, 1, &["gap"]), ErrorCode::OutOfOrderSequenceNumber),
            (part(7, 2, 0, &["a"]), ErrorCode::None),
            (part(7, 2, 1, &["b"]), ErrorCode::None),
        ] {
            assert_eq!(client.send_part(&topic, batch).await, code);
        }
        client.mark(WritableTxnMarker { transaction_version: 2, ..marker(&topic, 7, 3, true) }).await;
        assert_eq!(client.append_code(&topic, plain).await, ErrorCode::InvalidProducerEpoch);
        // The epoch is a new one, and its sequences begin anew.
        assert_eq!(
            client.send_part(&topic, part(7, 3, 2, &["c"])).await,
            ErrorCode::OutOfOrderSequenceNumber
        );
        assert_eq!(client.send_part(&topic, part(7, 3, 0, &["c"])).await, ErrorCode::None);
        let found = client.read_committed(&topic, 0).await;
        assert_eq!(found.values, ["a", "b"]);
    });
}

#[test]
fn without_a_transactional_id_nothing_of_a_transaction_is_taken() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let request = produce(PRODUCE, -1, &topic, &[(0, part(7, 0, 0, &["a"])), (1, batch(&["plain"]))]);
        let response = client.call(PRODUCE, &request).await;
        let codes: Vec<_> = response.responses[0]
            .partition_responses
            .iter()
            .map(|part| ErrorCode::from(part.error_code))
            .collect();
        assert_eq!(codes, [ErrorCode::TransactionalIdAuthorizationFailed; 2]);
        let control = edited(&part(7, 0, 0, &["a"]), |header| {
            header.attributes = Attributes(header.attributes.0).with_control(true);
        });
        assert_eq!(
            client.send_part(&topic, control).await,
            ErrorCode::InvalidRecord,
            "brokers write markers"
        );
    });
}

#[test]
fn an_unknown_transaction_is_not_begun() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        // What producers of any age try again.
        assert_eq!(client.send_part(&topic, part(7, 0, 0, &["a"])).await, ErrorCode::NotEnoughReplicas);
        let found = client.read_committed(&topic, 0).await;
        assert_eq!((found.values.len(), found.high_watermark), (0, 0));
        let two = [(0, part(7, 0, 0, &["a"])), (1, part(8, 0, 0, &["b"]))];
        let topic = client.create("u", 2, &[]).await;
        let request =
            ProduceRequest { transactional_id: Some(Str::from("tx")), ..produce(PRODUCE, -1, &topic, &two) };
        let response = client.call(PRODUCE, &request).await;
        let codes: Vec<_> = response.responses[0]
            .partition_responses
            .iter()
            .map(|part| ErrorCode::from(part.error_code))
            .collect();
        assert_eq!(codes, [ErrorCode::InvalidProducerIdMapping; 2], "of more than one producer");
    });
}

/// Whatever the limit and wherever the segments end, every committed record is read, and no aborted one.
#[test]
fn no_committed_record_is_skipped_at_the_border_of_a_segment() {
    run(ON_TRUST, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("segment.bytes", "1048576")]).await;
        let expected = fill_with_transactions(world, &mut client, &topic).await;
        for round in 0..3 {
            let mut client = world.connect().await;
            for bytes_max in [100, 1_000, 1 << 20] {
                assert!(client.all_committed(&topic, 0, bytes_max).await == expected, "{round} {bytes_max}");
            }
            if round == 0 { world.restart().await } else { world.crash().await }
        }
    });
}

/// Some megabytes in which transactions overlap and reach over segments; what of them is committed.
async fn fill_with_transactions(_: &mut World, client: &mut Client, topic: &Topic) -> Vec<String> {
    let (mut expected, mut sequences) = (Vec::new(), [0; 7]);
    for n in 0..400_usize {
        let producer = n % 7;
        let value = format!("{n:05}").repeat(2_000);
        let number = i64::try_from(producer).unwrap();
        let batch = part(number, 0, sequences[producer], &[&value]);
        sequences[producer] += 1;
        assert_eq!(client.send_part(topic, batch).await, ErrorCode::None);
        // The last producer goes on until the end.
        let commits = producer % 2 == 0;
        if commits {
            expected.push(value);
        }
        if n % 10 < 3 && producer != 6 {
            assert_eq!(client.mark(marker(topic, number, 0, commits)).await, ErrorCode::None);
        }
    }
    for producer in 0..7 {
        assert_eq!(client.mark(marker(topic, producer, 0, producer % 2 == 0)).await, ErrorCode::None);
    }
    expected
}
