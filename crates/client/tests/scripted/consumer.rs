//! Reading: in order, nothing skipped, whatever the brokers do.

use bytes::Bytes;
use client::{Consumer, ConsumerOptions, Error, OutOfRange, Start, TopicPartition};
use protocol::messages::fetch_request::FetchRequest;
use protocol::messages::fetch_response::{FetchResponse, FetchableTopicResponse, PartitionData};
use protocol::messages::list_offsets_request::ListOffsetsRequest;
use protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use protocol::records::{BatchBuilder, BatchOptions, Codec, Compression, NewRecord};
use protocol::{ApiKey, ErrorCode, Offset, Str};

use super::server::{Reply, Request, TOPIC, TOPIC_ID, World, metadata, run};

/// The partition of these tests holds the offsets from 5 to 7, a batch each.
const FIRST: i64 = 5;
const END: i64 = 8;

fn batch(offset: i64) -> Vec<u8> {
    let compression = Compression::from(Codec::Zstd);
    let options = BatchOptions { base_offset: Offset(offset), compression, ..BatchOptions::default() };
    let mut builder = BatchBuilder::new(options);
    let value = offset.to_string().repeat(100);
    builder.append(&NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() }).unwrap();
    builder.build().unwrap().to_vec()
}

fn offset_of(request: &Request) -> i64 {
    request.read::<FetchRequest>().topics[0].partitions[0].fetch_offset
}

fn fetched(request: &Request, code: ErrorCode, records: Vec<u8>) -> Reply {
    let partition = PartitionData {
        error_code: code.code(),
        high_watermark: END,
        records: Some(Bytes::from(records).into()),
        ..Default::default()
    };
    let topic =
        FetchableTopicResponse { topic_id: TOPIC_ID, partitions: vec![partition], ..Default::default() };
    request.answer(&FetchResponse { responses: vec![topic], ..Default::default() })
}

/// What a broker answers that has nothing against us.
fn honest(request: &Request) -> Option<Reply> {
    match request.key {
        ApiKey::Fetch => Some(match offset_of(request) {
            from @ FIRST..END => fetched(request, ErrorCode::None, (from..END).flat_map(batch).collect()),
            END => fetched(request, ErrorCode::None, Vec::new()),
            _ => fetched(request, ErrorCode::OffsetOutOfRange, Vec::new()),
        }),
        ApiKey::ListOffsets => {
            let asked = request.read::<ListOffsetsRequest>().topics[0].partitions[0].timestamp;
            let offset = if asked == -1 { END } else { FIRST };
            let part = ListOffsetsPartitionResponse { offset, timestamp: -1, ..Default::default() };
            let topic = ListOffsetsTopicResponse { name: Str::from(TOPIC), partitions: vec![part] };
            Some(request.answer(&ListOffsetsResponse { topics: vec![topic], ..Default::default() }))
        }
        _ => None,
    }
}

async fn consumer(world: &World, start: Start, options: ConsumerOptions) -> Consumer {
    let mut consumer = Consumer::new(&world.cluster(), options);
    let partition = TopicPartition { topic: Str::from(TOPIC), partition: 0 };
    consumer.assign(vec![(partition, start)]).await.unwrap();
    consumer
}

/// The offsets up to the end.
async fn read(consumer: &mut Consumer) -> Result<Vec<i64>, Error> {
    let mut offsets = Vec::new();
    while offsets.last() != Some(&(END - 1)) {
        let Some(chunk) = consumer.next().await? else { break };
        offsets.extend(chunk.records.iter().map(|record| record.offset.get()));
    }
    Ok(offsets)
}

/// The first `count` fetches are answered otherwise.
fn first(
    count: usize,
    mut fault: impl FnMut(&Request) -> Reply + Send + 'static,
) -> impl FnMut(&Request) -> Option<Reply> + Send + 'static {
    let mut left = count;
    move |request| match request.key {
        ApiKey::Fetch if left > 0 => {
            left -= 1;
            Some(fault(request))
        }
        _ => honest(request),
    }
}

#[test]
fn an_offset_out_of_range_is_answered_by_the_policy() {
    for outside in [0, 100] {
        let start = Start::Offset(Offset(outside));
        run(honest, async |world| {
            let options = ConsumerOptions { out_of_range: OutOfRange::Earliest, ..Default::default() };
            let mut consumer = consumer(world, start, options).await;
            assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7], "{outside}");
        });
        run(honest, async |world| {
            let options = ConsumerOptions { out_of_range: OutOfRange::Latest, ..Default::default() };
            let mut consumer = consumer(world, start, options).await;
            assert!(consumer.poll(std::time::Duration::from_secs(5)).await.unwrap().is_none());
            let partition = TopicPartition { topic: Str::from(TOPIC), partition: 0 };
            assert_eq!(consumer.position(&partition), Some(Offset(END)), "{outside}");
        });
        run(honest, async |world| {
            let options = ConsumerOptions { out_of_range: OutOfRange::Fail, ..Default::default() };
            let mut consumer = consumer(world, start, options).await;
            for _ in 0..2 {
                let error = read(&mut consumer).await.unwrap_err();
                assert_eq!(error.code(), Some(ErrorCode::OffsetOutOfRange));
                assert!(error.to_string().contains(&format!("t-0: offset {outside} ")), "{error}");
            }
        });
    }
}

#[test]
fn faults_that_pass_cost_nothing_but_time() {
    let whole = || (FIRST..END).flat_map(batch).collect::<Vec<u8>>();
    let refusals = [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::FencedLeaderEpoch,
        ErrorCode::UnknownLeaderEpoch,
        ErrorCode::KafkaStorageError,
        ErrorCode::UnknownTopicId,
    ];
    for code in refusals {
        run(first(3, move |request| fetched(request, code, Vec::new())), async |world| {
            let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
            assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7], "{code}");
        });
    }
    run(first(3, |_| Reply::HangUp), async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7]);
    });
    run(first(1, |_| Reply::Silence), async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7]);
    });
    let broken = move |request: &Request| match fetched(request, ErrorCode::None, whole()) {
        Reply::Send(bytes) => Reply::SendAndHangUp(bytes.slice(..bytes.len() - 10)),
        other => other,
    };
    run(first(2, broken), async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7]);
    });
    run(first(2, |request| request.answer(&FetchResponse::default())), async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7], "an answer without the partition");
    });
}

#[test]
fn a_new_leader_is_found_and_read_from() {
    let mut leader = 1;
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => Some(request.answer(&metadata(leader))),
        ApiKey::Fetch if request.node == 1 => {
            leader = 2;
            Some(fetched(request, ErrorCode::NotLeaderOrFollower, Vec::new()))
        }
        _ => honest(request),
    };
    run(script, async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7]);
    });
}

#[test]
fn a_batch_that_the_limit_cuts_off_is_fetched_again() {
    let script = |request: &Request| match request.key {
        ApiKey::Fetch if offset_of(request) < END - 1 => {
            let from = offset_of(request);
            let mut records = batch(from);
            records.extend(&batch(from + 1)[..70]);
            Some(fetched(request, ErrorCode::None, records))
        }
        _ => honest(request),
    };
    run(script, async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [5, 6, 7]);
        assert_eq!(world.count(ApiKey::Fetch), 3);
    });
}

/// A batch whose records could not be unpacked was an error once, and then the next batch was given out.
#[test]
fn a_damaged_batch_is_never_skipped() {
    let flipped = |at: usize| {
        let mut bytes = batch(FIRST);
        bytes[at] ^= 1;
        bytes
    };
    // The checksum is right and what it covers cannot be unpacked.
    let mut unpackable = batch(FIRST);
    let len = unpackable.len();
    unpackable[len - 20..].fill(0xee);
    let crc = protocol::records::crc32c(&unpackable[21..]);
    unpackable[17..21].copy_from_slice(&crc.to_be_bytes());
    for damaged in [flipped(70), flipped(17), flipped(16), unpackable] {
        let records = [damaged, batch(FIRST + 1), batch(FIRST + 2)].concat();
        let script = move |request: &Request| match request.key {
            ApiKey::Fetch => Some(fetched(request, ErrorCode::None, records.clone())),
            _ => honest(request),
        };
        run(script, async |world| {
            let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
            for _ in 0..3 {
                let error = read(&mut consumer).await.unwrap_err();
                assert!(matches!(&error, Error::Corrupt { offset: Offset(FIRST), .. }), "{error}");
            }
        });
    }
}

#[test]
fn a_partition_that_fails_too_long_is_an_error() {
    let script = |request: &Request| match request.key {
        ApiKey::Fetch => Some(fetched(request, ErrorCode::KafkaStorageError, Vec::new())),
        _ => honest(request),
    };
    run(script, async |world| {
        let mut consumer = consumer(world, Start::Earliest, ConsumerOptions::default()).await;
        let error = read(&mut consumer).await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::KafkaStorageError));
        assert!((60..=62).contains(&world.seconds()), "{}", world.seconds());
        let attempts = world.count(ApiKey::Fetch);
        assert!(attempts < 1000, "with pauses: {attempts}");
    });
}

/// Whoever waits for ever learns what for.
#[test]
fn what_fails_is_told_while_it_is_tried_again() {
    let mut broken = 30;
    let script = move |request: &Request| match request.key {
        ApiKey::Fetch if offset_of(request) == FIRST + 1 && broken > 0 => {
            broken -= 1;
            Some(fetched(request, ErrorCode::KafkaStorageError, Vec::new()))
        }
        ApiKey::Fetch if offset_of(request) == FIRST => Some(fetched(request, ErrorCode::None, batch(FIRST))),
        _ => honest(request),
    };
    run(script, async |world| {
        let second = std::time::Duration::from_secs(1);
        let options = ConsumerOptions { patience: None, ..Default::default() };
        let mut consumer = consumer(world, Start::Earliest, options).await;
        assert_eq!(consumer.next().await.unwrap().unwrap().records.len(), 1);
        assert_eq!(consumer.failing(second).count(), 0);
        assert!(consumer.poll(2 * second).await.unwrap().is_none());
        let failing: Vec<_> = consumer.failing(second).collect();
        let &[(key, offset, error)] = failing.as_slice() else { panic!("{failing:?}") };
        assert_eq!((key.to_string().as_str(), offset), ("t-0", Offset(FIRST + 1)));
        assert_eq!(error.code(), Some(ErrorCode::KafkaStorageError));
        while consumer.next().await.unwrap().is_some_and(|chunk| chunk.records[0].offset.get() < END - 1) {}
        assert_eq!(consumer.failing(std::time::Duration::ZERO).count(), 0);
    });
}

#[test]
fn reading_ends_at_the_end_that_was_there() {
    run(honest, async |world| {
        let options = ConsumerOptions { until_end: true, ..Default::default() };
        let mut consumer = consumer(world, Start::Tail(2), options).await;
        assert_eq!(read(&mut consumer).await.unwrap(), [6, 7]);
        assert!(consumer.next().await.unwrap().is_none() && consumer.is_at_end());
    });
}
