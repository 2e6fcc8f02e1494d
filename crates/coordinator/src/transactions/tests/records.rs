//! Records against bytes that `kafka-transaction-coordinator` 4.3.1 wrote, and against bytes that nobody should have written.

use bytes::Bytes;
use proptest::prelude::*;
use protocol::ids::ProducerId;
use protocol::wire::Writer;

use super::super::record::Change;
use super::super::state::State;
use super::super::transaction::{NEVER, Partitions, Transaction};
use crate::{Error, Record};

const KEY: &str = "000000056170702d31";
const ONGOING_0: &str = "000000000000000003e800050000ea60010000000200066f7264657273000000020000000000000007000772657475726e7300000001000000030000018bcfe568000000018bcfe56418";
const EMPTY_0: &str = "000000000000000003e800050000ea6000ffffffff0000018bcfe56800ffffffffffffffff";
const ONGOING_1: &str = "000100000000000003e800050000ea600103076f7264657273030000000000000007000872657475726e730200000003000000018bcfe568000000018bcfe5641802000800000000000003e802020002";
const OVERFLOW_1: &str = "000100000000000003e87fff0000ea600203076f7264657273030000000000000007000872657475726e730200000003000000018bcfe568000000018bcfe5641803000800000000000003e8010800000000000007d002020002";
const EMPTY_1: &str =
    "000100000000000003e800050000ea6000000000018bcfe56800ffffffffffffffff01000800000000000003e7";
const COMPLETE_1: &str = "000100000000000003e800050000ea6004010000018bcfe568000000018bcfe5641800";

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn record(value: &str) -> Record {
    Record { key: bytes(KEY), value: Some(bytes(value)) }
}

fn ongoing() -> Transaction {
    let mut partitions = Partitions::new();
    partitions.insert("orders".into(), [0, 7].into());
    partitions.insert("returns".into(), [3].into());
    Transaction {
        producer_id: ProducerId(1000),
        previous_producer_id: ProducerId::NONE,
        next_producer_id: ProducerId::NONE,
        epoch: 5,
        timeout_ms: 60_000,
        state: State::Ongoing,
        partitions,
        start_ms: 1_699_999_999_000,
        last_update_ms: 1_700_000_000_000,
        client_version: 0,
    }
}

fn empty() -> Transaction {
    Transaction { state: State::Empty, partitions: Partitions::new(), start_ms: NEVER, ..ongoing() }
}

fn cases() -> Vec<(&'static str, i16, Transaction)> {
    let of = |id| ProducerId(id);
    vec![
        (ONGOING_0, 0, ongoing()),
        (EMPTY_0, 0, empty()),
        (ONGOING_1, 1, Transaction { previous_producer_id: of(1000), client_version: 2, ..ongoing() }),
        (
            OVERFLOW_1,
            2,
            Transaction {
                previous_producer_id: of(1000),
                next_producer_id: of(2000),
                epoch: i16::MAX,
                state: State::PrepareCommit,
                client_version: 2,
                ..ongoing()
            },
        ),
        (EMPTY_1, 2, Transaction { previous_producer_id: of(999), ..empty() }),
        (
            COMPLETE_1,
            1,
            Transaction { state: State::CompleteCommit, partitions: Partitions::new(), ..ongoing() },
        ),
    ]
}

#[test]
fn records_are_read_and_written_as_kafka_does() {
    for (hex, version, transaction) in cases() {
        let change = Change { id: "app-1".into(), transaction: Some(transaction) };
        assert_eq!(Change::decode(&record(hex)), Ok(Some(change.clone())), "{hex}");
        assert_eq!(change.encode(&mut Writer::new(), version), record(hex));
    }
    let gone = Change { id: "app-1".into(), transaction: None };
    let tombstone = Record { key: bytes(KEY), value: None };
    assert_eq!(gone.encode(&mut Writer::new(), 2), tombstone);
    assert_eq!(Change::decode(&tombstone), Ok(Some(gone)));
}

#[test]
fn old_records_do_not_have_what_came_with_version_1() {
    let (_, _, transaction) = cases().swap_remove(3);
    let change = Change { id: "app-1".into(), transaction: Some(transaction.clone()) };
    let read = Change::decode(&change.encode(&mut Writer::new(), 0)).unwrap().unwrap();
    let none = ProducerId::NONE;
    let left =
        Transaction { previous_producer_id: none, next_producer_id: none, client_version: 0, ..transaction };
    assert_eq!(read.transaction, Some(left));
}

#[test]
fn what_is_cut_off_or_not_known_is_an_error() {
    let whole = record(ONGOING_1);
    let value = whole.value.clone().unwrap();
    for end in 0..value.len() {
        let cut = Record { value: Some(value.slice(..end)), ..whole.clone() };
        assert!(matches!(Change::decode(&cut), Err(Error::Malformed { .. })), "{end}");
    }
    for end in 0..whole.key.len() {
        let cut = Record { key: whole.key.slice(..end), ..whole.clone() };
        assert!(matches!(Change::decode(&cut), Err(Error::Malformed { .. })), "{end}");
    }
    let too_new = record(&ONGOING_1.replacen("0001", "0002", 1));
    assert!(matches!(Change::decode(&too_new), Err(Error::Malformed { .. })));
    let no_state = record(&EMPTY_0.replacen("ea6000", "ea6008", 1));
    let Err(error) = Change::decode(&no_state) else { panic!("there is no state 8") };
    assert!(error.to_string().ends_with("app-1 is in state 8, which there is not"), "{error}");
    let other_key = Record { key: bytes(&KEY.replacen("0000", "0001", 1)), ..record(ONGOING_0) };
    assert_eq!(Change::decode(&other_key), Ok(None));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..200), version in 0..3_u8) {
        let value: Vec<u8> = [0, version].into_iter().chain(value).collect();
        let _ = Change::decode(&Record { key: bytes(KEY), value: Some(value.clone().into()) });
        let _ = Change::decode(&Record { key: value.into(), value: None });
    }
}
