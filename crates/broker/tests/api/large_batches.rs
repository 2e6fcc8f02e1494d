//! Batches that take long to unpack or to pack anew: checked beside the shards, and nobody can tell but by the clock.

use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::produce_request::ProduceRequest;
use protocol::records::{BatchOptions, Codec, Compression};
use protocol::{ErrorCode, ProducerEpoch, ProducerId};

use crate::support::requests::{PRODUCE, Topic, batch, batch_with, only_produced, produce, values};
use crate::support::{Client, run};

fn packed(codec: Codec) -> BatchOptions {
    BatchOptions { compression: Compression::from(codec), ..BatchOptions::default() }
}

async fn answer(client: &mut Client) -> (ErrorCode, i64) {
    let answer = client.receive::<ProduceRequest>(PRODUCE).await;
    let part = only_produced(&answer);
    (ErrorCode::from(part.error_code), part.base_offset)
}

#[test]
fn a_large_batch_keeps_its_place_among_those_of_its_connection() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let none = InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..Default::default() };
        let id = client.call(5, &none).await;
        let large = "a".repeat(3 << 20);
        let texts = [large.as_str(), "b", "c", large.as_str(), "d", large.as_str()];
        for (sequence, text) in (0..).zip(texts) {
            let options = BatchOptions {
                producer_id: ProducerId(id.producer_id),
                producer_epoch: ProducerEpoch(id.producer_epoch),
                base_sequence: sequence,
                ..packed(if text.len() > 1 { Codec::Zstd } else { Codec::None })
            };
            let request = produce(PRODUCE, -1, &topic, &[(0, batch_with(options, &[text]))]);
            client.send(PRODUCE, &request).await;
        }
        for offset in 0..6 {
            assert_eq!(answer(&mut client).await, (ErrorCode::None, offset));
        }
        assert_eq!(values(&client.read(&topic, 0).await).len(), 6);
    });
}

#[test]
fn large_batches_stand_beside_small_and_bad_ones_in_one_request() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 5, &[]).await;
        let large = |codec| batch_with(packed(codec), &[&"x".repeat(2 << 20)]);
        let bomb = batch_with(packed(Codec::Zstd), &[&"\0".repeat(200 << 20)]);
        let mut damaged = large(Codec::Lz4).to_vec();
        damaged[100] ^= 1;
        let parts = [
            (0, large(Codec::Gzip)),
            (1, batch(&["small"])),
            (2, bomb),
            (3, damaged.into()),
            (4, large(Codec::Snappy)),
        ];
        let answer = client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &parts)).await;
        let codes: Vec<_> = answer.responses[0]
            .partition_responses
            .iter()
            .map(|part| (part.index, ErrorCode::from(part.error_code), part.base_offset))
            .collect();
        assert_eq!(
            codes,
            [
                (0, ErrorCode::None, 0),
                (1, ErrorCode::None, 0),
                (2, ErrorCode::MessageTooLarge, -1),
                (3, ErrorCode::CorruptMessage, -1),
                (4, ErrorCode::None, 0),
            ]
        );
    });
}

#[test]
fn large_batches_are_packed_anew_as_small_ones_are() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic: Topic = client.create("t", 1, &[("compression.type", "gzip")]).await;
        let text = "abc".repeat(200_000);
        for codec in [Codec::None, Codec::Lz4, Codec::Gzip] {
            let code = client.append_code(&topic, batch_with(packed(codec), &[&text])).await;
            assert_eq!(code, ErrorCode::None, "{codec}");
        }
        let read = client.read(&topic, 0).await;
        assert_eq!(values(&read), [text.as_str(); 3]);
        assert!(read.records.unwrap().len() < 30_000, "they are packed");
    });
}

#[test]
fn who_leaves_while_its_batch_is_unpacked_harms_nobody() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let large = batch_with(packed(Codec::Zstd), &[&"x".repeat(2 << 20)]);
        for _ in 0..20 {
            let mut leaving = world.connect().await;
            leaving.send(PRODUCE, &produce(PRODUCE, 1, &topic, &[(0, large.clone())])).await;
        }
        assert_eq!(client.append_code(&topic, large).await, ErrorCode::None);
    });
}
