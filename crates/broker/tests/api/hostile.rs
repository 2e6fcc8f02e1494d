//! Bytes that no client would send: the broker answers with an error code or hangs up, and serves the next one.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use protocol::ErrorCode;
use protocol::messages::metadata_request::MetadataRequest;
use protocol::records::{Attributes, BATCH_OVERHEAD, BatchHeader, BatchOptions, Codec, Compression, crc32c};

use crate::samples::samples;
use crate::support::requests::{
    FETCH, METADATA, PRODUCE, Topic, batch, batch_at, batch_with, fetch, from_offset, produce, values,
};
use crate::support::{Client, World, run};

async fn assert_serves(world: &World) {
    let mut client = world.connect().await;
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    assert_eq!(client.call(METADATA, &request).await.brokers.len(), 1);
}

fn framed(body: &[u8]) -> Bytes {
    let len = u32::try_from(body.len()).unwrap();
    [&len.to_be_bytes()[..], body].concat().into()
}

/// Keys and their newest versions.
const APIS: [(i16, i16); 16] = [
    (0, 13),
    (1, 18),
    (2, 11),
    (3, 13),
    (10, 6),
    (17, 1),
    (18, 5),
    (19, 7),
    (20, 6),
    (22, 5),
    (23, 4),
    (32, 4),
    (36, 2),
    (37, 3),
    (60, 2),
    (75, 0),
];

/// A frame with a sound header and anything behind it, or anything at all.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let noise = || proptest::collection::vec(any::<u8>(), 0..300);
    let headed = (0..APIS.len(), 0_i16..=18, noise()).prop_map(|(api, back, noise)| {
        let (key, newest) = APIS[api];
        let version = (newest - back).max(0);
        let mut body = [key.to_be_bytes(), version.to_be_bytes()].concat();
        body.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0]);
        body.extend_from_slice(&noise);
        body
    });
    prop_oneof![1 => noise(), 4 => headed]
}

#[test]
fn random_frames_are_answered_or_end_the_connection() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let many = proptest::collection::vec(frames(), 50);
    runner
        .run(&many, |frames| {
            run(&[], async |world| {
                for frame in &frames {
                    let mut client = world.connect().await;
                    client.send_bytes(&framed(frame)).await;
                    client.finish().await;
                    client.drain().await;
                }
                assert_serves(world).await;
            });
            Ok(())
        })
        .unwrap();
}

#[test]
fn produce_and_fetch_cut_or_changed_anywhere_are_survived() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let request = produce(PRODUCE, -1, &topic, &[(0, batch(&["some value"]))]);
        let requests = [
            client.encode(PRODUCE, &request),
            client.encode(FETCH, &fetch(FETCH, &topic, vec![from_offset(0, 0)])),
        ];
        for request in requests {
            let body = &request[4..];
            for len in 0..body.len() {
                send(world, &body[..len]).await;
            }
            for place in 0..body.len() {
                for change in [0x80, 0xff] {
                    let mut body = body.to_vec();
                    body[place] ^= change;
                    send(world, &body).await;
                }
            }
        }
        assert_serves(world).await;
    });
}

async fn send(world: &World, body: &[u8]) {
    let mut client = world.connect().await;
    client.send_bytes(&framed(body)).await;
    client.finish().await;
    client.drain().await;
}

/// Spoils a request in one of the ways in which requests get spoilt.
fn spoil(rng: &mut impl FnMut(usize) -> usize, body: &[u8], other: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..=rng(3) {
        let (at, from) = (rng(body.len().max(1)).min(body.len()), rng(other.len()));
        let part = &other[from..(from + rng(20)).min(other.len())];
        match rng(7) {
            0 => body.truncate(at),
            1 => body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng(8)),
            2 => body.iter_mut().skip(at).take(1).for_each(|byte| *byte = [0, 1, 0x7f, 0x80, 0xff][rng(5)]),
            3 => body.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
            4 => drop(body.splice(at..at, part.iter().copied())),
            5 => drop(body.drain(at..(at + rng(8)).min(body.len()))),
            _ => body.iter_mut().skip(at).zip(part).for_each(|(byte, new)| *byte = *new),
        }
    }
    body
}

#[test]
fn spoilt_requests_of_every_api_and_version_are_survived() {
    run(&[("log.retention.check.interval.ms", "1000")], async |world| {
        let topic = world.connect().await.create("t", 2, &[]).await;
        let samples = samples(&topic);
        assert_eq!(samples.len(), crate::versions::count(), "as many as are advertised");
        for sample in &samples {
            let mut client = world.connect().await;
            client.send_bytes(&framed(sample)).await;
            assert!(client.frame().await.is_some(), "it is sound: {sample:?}");
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut rng = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below.max(1)
        };
        for _ in 0..20 {
            for sample in &samples {
                let other = &samples[rng(samples.len())];
                send(world, &spoil(&mut rng, sample, other)).await;
            }
        }
        assert_serves(world).await;
    });
}

#[test]
fn lengths_that_are_huge_or_negative_end_the_connection() {
    run(&[], async |world| {
        for len in [i32::MAX, i32::MIN, -1, 104_857_601] {
            let mut client = world.connect().await;
            client.send_bytes(&len.to_be_bytes()).await;
            assert!(client.is_hung_up().await, "{len}");
        }
        // The largest that is allowed, and then nothing: no memory is taken for what has not come.
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let mut client = world.connect().await;
            client.send_bytes(&1_000_000_i32.to_be_bytes()).await;
            waiting.push(client);
        }
        assert_serves(world).await;
    });
}

#[test]
fn counts_beyond_the_limits_end_the_connection() {
    run(&[], async |world| {
        // Metadata 13: an array of a million and one topics, or of two billion; a struct with too many tags.
        let header = [0, 3, 0, 13, 0, 0, 0, 1, 0xff, 0xff, 0];
        for claim in [&[0xc2, 0x84, 0x3d][..], &[0xff, 0xff, 0xff, 0xff, 0x0f], &[1, 0, 0, 0x91, 0x4e]] {
            let mut client = world.connect().await;
            client.send_bytes(&framed(&[&header[..], claim].concat())).await;
            assert!(client.is_hung_up().await, "{claim:?}");
        }
        assert_serves(world).await;
    });
}

/// The code for these bytes in place of a batch, in the oldest and newest versions.
async fn code_of(client: &mut Client, topic: &Topic, records: &Bytes) -> ErrorCode {
    let mut codes = Vec::new();
    for version in [3, 8, PRODUCE] {
        let answer = client.call(version, &produce(version, -1, topic, &[(0, records.clone())])).await;
        codes.push(ErrorCode::from(answer.responses[0].partition_responses[0].error_code));
    }
    codes.dedup();
    assert_eq!(codes.len(), 1, "{codes:?}");
    codes[0]
}

fn with_bytes(batch: &Bytes, at: usize, new: &[u8]) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes.freeze()
}

fn with_crc(batch: &Bytes) -> Bytes {
    with_bytes(batch, 17, &crc32c(&batch[21..]).to_be_bytes())
}

#[test]
fn batches_that_are_damaged_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let good = batch(&["some value"]);
        for (what, records, code) in [
            ("crc", with_bytes(&good, 17, &[1, 2, 3, 4]), ErrorCode::CorruptMessage),
            ("a bit of a value", with_bytes(&good, good.len() - 2, &[0xee]), ErrorCode::CorruptMessage),
            ("magic 3", with_bytes(&good, 16, &[3]), ErrorCode::InvalidRecord),
            ("magic -1", with_bytes(&good, 16, &[0xff]), ErrorCode::InvalidRecord),
            ("length 0", with_bytes(&good, 8, &[0, 0, 0, 0]), ErrorCode::CorruptMessage),
            ("length -1", with_bytes(&good, 8, &[0xff; 4]), ErrorCode::CorruptMessage),
            ("noise", Bytes::from_static(&[0xa5; 100]), ErrorCode::CorruptMessage),
        ] {
            let found = code_of(&mut client, &topic, &records).await;
            assert_ne!(found, ErrorCode::None, "{what}");
            assert_ne!(found, ErrorCode::UnknownServerError, "{what}");
            let both_refuse = matches!(found, ErrorCode::CorruptMessage | ErrorCode::InvalidRecord);
            assert!(found == code || both_refuse, "{what}: {found:?}");
        }
        for len in 0..good.len() {
            assert_ne!(
                code_of(&mut client, &topic, &good.slice(..len)).await,
                ErrorCode::None,
                "cut at {len}"
            );
        }
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
        assert_eq!(code_of(&mut client, &topic, &good).await, ErrorCode::None);
    });
}

#[test]
fn headers_that_lie_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let good = batch(&["a", "b"]);
        let edit = |change: &dyn Fn(&mut BatchHeader)| {
            let mut header = BatchHeader::parse(&good).unwrap();
            change(&mut header);
            with_crc(&with_bytes(&good, 0, &header.to_bytes()))
        };
        let count = 57;
        for (what, records) in [
            ("more records", with_crc(&with_bytes(&good, count, &3_i32.to_be_bytes()))),
            ("fewer records", with_crc(&with_bytes(&good, count, &1_i32.to_be_bytes()))),
            ("no records", with_crc(&with_bytes(&good, count, &0_i32.to_be_bytes()))),
            ("negative count", with_crc(&with_bytes(&good, count, &(-1_i32).to_be_bytes()))),
            ("huge count", with_crc(&with_bytes(&good, count, &i32::MAX.to_be_bytes()))),
            ("last delta", edit(&|header| header.last_offset_delta = 9)),
            ("negative delta", with_crc(&with_bytes(&good, 23, &(-5_i32).to_be_bytes()))),
            ("base offset", edit(&|header| header.base_offset = protocol::Offset(5))),
            ("unknown codec", edit(&|header| header.attributes = Attributes(7))),
        ] {
            let found = code_of(&mut client, &topic, &records).await;
            assert!(!matches!(found, ErrorCode::None | ErrorCode::UnknownServerError), "{what}: {found:?}");
        }
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn compressed_data_that_is_damaged_is_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let compression = Compression { codec, ..Compression::default() };
            let options = BatchOptions { compression, ..BatchOptions::default() };
            let good = batch_with(options, &["some value".repeat(20).as_str(), "other"]);
            for place in BATCH_OVERHEAD..good.len() {
                let damaged = with_crc(&with_bytes(&good, place, &[!good[place]]));
                let request = produce(PRODUCE, -1, &topic, &[(0, damaged)]);
                let answer = client.call(PRODUCE, &request).await;
                // Some changes leave sound data; most do not. None harms.
                let code = ErrorCode::from(answer.responses[0].partition_responses[0].error_code);
                let expected =
                    matches!(code, ErrorCode::None | ErrorCode::InvalidRecord | ErrorCode::CorruptMessage);
                assert!(expected, "{codec:?} at {place}: {code:?}");
            }
        }
        assert_serves(world).await;
    });
}

#[test]
fn decompression_bombs_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let zeros = "\0".repeat(300 << 20);
        for codec in [Codec::Gzip, Codec::Zstd] {
            let compression = Compression { codec, ..Compression::default() };
            let bomb = batch_with(BatchOptions { compression, ..BatchOptions::default() }, &[&zeros]);
            assert!(bomb.len() < 1_000_000, "{} bytes", bomb.len());
            let code = client.append_code(&topic, bomb).await;
            assert!(
                matches!(code, ErrorCode::InvalidRecord | ErrorCode::MessageTooLarge),
                "{codec:?} {code:?}"
            );
        }
        assert_eq!(client.read(&topic, 0).await.high_watermark, 0);
    });
}

#[test]
fn negative_timestamps_do_no_harm() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let mut stored = 0;
        for timestamp in [-1, -2, i64::MIN, i64::MIN + 1, 0] {
            let code = client.append_code(&topic, batch_at(timestamp, "x")).await;
            assert!(matches!(code, ErrorCode::None | ErrorCode::InvalidTimestamp), "{timestamp}: {code:?}");
            stored += usize::from(code == ErrorCode::None);
        }
        for asked in [-1, -2, -3, 0, 5] {
            assert_eq!(client.offset_at(11, &topic, asked).await.error_code, 0);
        }
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await).len(), stored);
    });
}
