//! Idempotent producers: every record once, in order, whatever is sent again.

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::produce_request::ProduceRequest;

use crate::support::requests::{PRODUCE, only_produced, produce, sequenced, values};
use crate::support::{Client, SERVER, ms, run};

async fn new_id(client: &mut Client, version: i16) -> (i64, i16) {
    let request = InitProducerIdRequest {
        transactional_id: None,
        producer_id: -1,
        producer_epoch: -1,
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let answer = client.call(version, &request).await;
    assert_eq!(answer.error_code, 0);
    (answer.producer_id, answer.producer_epoch)
}

#[test]
fn an_id_is_given_once_even_over_restarts_and_crashes() {
    run(&[], async |world| {
        let mut given = Vec::new();
        for round in 0..4 {
            let mut client = world.connect().await;
            for version in 0..=5 {
                let (id, epoch) = new_id(&mut client, version).await;
                assert_eq!(epoch, 0);
                given.push(id);
            }
            if round % 2 == 0 { world.restart().await } else { world.crash().await }
        }
        let count = given.len();
        given.sort_unstable();
        given.dedup();
        assert_eq!((given.len(), given[0] >= 0), (count, true));
    });
}

#[test]
fn a_lost_producer_gets_a_new_id_and_half_an_identity_is_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let (id, epoch) = new_id(&mut client, 5).await;
        for version in 3..=5 {
            let with = |producer_id, producer_epoch| InitProducerIdRequest {
                transactional_id: None,
                producer_id,
                producer_epoch,
                transaction_timeout_ms: 60_000,
                ..Default::default()
            };
            let answer = client.call(version, &with(id, epoch)).await;
            assert_eq!((answer.error_code, answer.producer_id != id), (0, true));
            for half in [with(id, -1), with(-1, 0)] {
                let answer = client.call(version, &half).await;
                assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::InvalidRequest);
                assert_eq!((answer.producer_id, answer.producer_epoch), (-1, -1));
            }
        }
    });
}

#[test]
fn a_duplicate_of_the_last_five_batches_answers_the_original_offset() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        let batches: Vec<Bytes> = (0..7).map(|n| sequenced(id, epoch, n * 2, &["x", "y"])).collect();
        for (n, batch) in (0_i64..).zip(&batches) {
            assert_eq!(client.append(&topic, batch.clone()).await.base_offset, n * 2);
        }
        for (n, batch) in (0_i64..).zip(&batches) {
            let again = client.append(&topic, batch.clone()).await;
            let code = if n < 2 { ErrorCode::OutOfOrderSequenceNumber } else { ErrorCode::None };
            assert_eq!(ErrorCode::from(again.error_code), code, "batch {n}");
            assert_eq!(again.base_offset, if n < 2 { -1 } else { n * 2 });
        }
        assert_eq!(values(&client.read(&topic, 0).await).len(), 14);
    });
}

#[test]
fn a_duplicate_waits_for_the_same_high_watermark_as_its_original() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        world.sim.disk(SERVER).faults(|faults| faults.sync_time = ms(2_000)..=ms(2_000));
        let request = produce(PRODUCE, -1, &topic, &[(0, sequenced(id, epoch, 0, &["x"]))]);
        client.send(PRODUCE, &request).await;
        client.silence(ms(500)).await;
        let mut other = world.connect().await;
        other.send(PRODUCE, &request).await;
        other.silence(ms(500)).await;
        for client in [&mut client, &mut other] {
            let answer = client.receive::<ProduceRequest>(PRODUCE).await;
            assert_eq!((only_produced(&answer).error_code, only_produced(&answer).base_offset), (0, 0));
        }
        assert_eq!(values(&client.read(&topic, 0).await), ["x"]);
    });
}

#[test]
fn gaps_and_old_epochs_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, _) = new_id(&mut client, 5).await;
        for (epoch, sequence, code) in [
            (1, 0, ErrorCode::None),
            (1, 2, ErrorCode::OutOfOrderSequenceNumber),
            (1, 1, ErrorCode::None),
            (2, 2, ErrorCode::OutOfOrderSequenceNumber),
            (0, 2, ErrorCode::InvalidProducerEpoch),
            (2, 0, ErrorCode::None),
            (1, 2, ErrorCode::InvalidProducerEpoch),
        ] {
            let found = client.append_code(&topic, sequenced(id, epoch, sequence, &["x"])).await;
            assert_eq!(found, code, "epoch {epoch} sequence {sequence}");
        }
    });
}

#[test]
fn sequences_wrap_at_the_largest_int32() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        for (first, values, offset) in [
            (i32::MAX - 1, ["a"].as_slice(), 0),
            // MAX, 0, 1: the wrap is inside the batch.
            (i32::MAX, ["b", "c", "d"].as_slice(), 1),
            (2, ["e"].as_slice(), 4),
            (i32::MAX, ["b", "c", "d"].as_slice(), 1),
        ] {
            let answer = client.append(&topic, sequenced(id, epoch, first, values)).await;
            assert_eq!((ErrorCode::from(answer.error_code), answer.base_offset), (ErrorCode::None, offset));
        }
    });
}

#[test]
fn a_producer_that_is_not_known_begins_with_any_sequence() {
    run(&[("producer.id.expiration.ms", "60000")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        assert_eq!(client.append_code(&topic, sequenced(id, epoch, 41, &["x"])).await, ErrorCode::None);
        let gap = sequenced(id, epoch, 77, &["x"]);
        assert_eq!(client.append_code(&topic, gap.clone()).await, ErrorCode::OutOfOrderSequenceNumber);
        world.sim.sleep(ms(3_600_000)).await;
        let mut client = world.connect().await;
        assert_eq!(client.append_code(&topic, gap).await, ErrorCode::None, "it has expired (KIP-360)");
    });
}

#[test]
fn what_is_known_of_producers_survives_a_stop_and_a_crash() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        for n in 0..6_i32 {
            let batch = sequenced(id, epoch, n, &["x"]);
            let mut client = world.connect().await;
            assert_eq!(client.append(&topic, batch.clone()).await.base_offset, i64::from(n));
            if n % 2 == 0 {
                world.restart().await
            } else {
                world.crash().await
            }
            let mut client = world.connect().await;
            let again = client.append(&topic, batch).await;
            assert_eq!((again.error_code, again.base_offset), (0, i64::from(n)), "still known");
            let gap = sequenced(id, epoch, n + 2, &["x"]);
            assert_eq!(client.append_code(&topic, gap).await, ErrorCode::OutOfOrderSequenceNumber);
        }
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await).len(), 6);
    });
}

#[test]
fn five_pipelined_batches_are_in_sequence_and_a_failure_fails_those_behind() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let (id, epoch) = new_id(&mut client, 5).await;
        for n in [0, 1, 3, 4, 2] {
            client
                .send(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, sequenced(id, epoch, n, &["x"]))]))
                .await;
        }
        let mut codes = Vec::new();
        for _ in 0..5 {
            let answer = client.receive::<ProduceRequest>(PRODUCE).await;
            codes.push(ErrorCode::from(only_produced(&answer).error_code));
        }
        let gap = ErrorCode::OutOfOrderSequenceNumber;
        assert_eq!(codes, [ErrorCode::None, ErrorCode::None, gap, gap, ErrorCode::None]);
    });
}
