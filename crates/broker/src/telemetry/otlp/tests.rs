use proptest::prelude::*;

use super::*;

fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn message(number: u64, content: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2)[..], &varint(content.len() as u64), content].concat()
}

fn fixed64(number: u64, value: u64) -> Vec<u8> {
    [&varint(number << 3 | 1)[..], &value.to_le_bytes()].concat()
}

fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// A label with a text.
fn label(field: u64, key: &str, value: &str) -> Vec<u8> {
    message(field, &[message(1, key.as_bytes()), message(2, &message(1, value.as_bytes()))].concat())
}

fn metrics(resource: &[u8], metrics: &[Vec<u8>]) -> Vec<u8> {
    let metrics: Vec<Vec<u8>> = metrics.iter().map(|metric| message(2, metric)).collect();
    message(1, &[message(1, resource), message(2, &metrics.concat())].concat())
}

fn metric(name: &str, kind: u64, fields: &[u8]) -> Vec<u8> {
    [message(1, name.as_bytes()), message(kind, fields)].concat()
}

fn json(bytes: &[u8]) -> String {
    to_json(bytes).unwrap().json
}

#[test]
fn every_kind_of_metric_is_told() {
    let gauge = message(
        1,
        &[fixed64(3, 7_000_000), fixed64(4, 1.5_f64.to_bits()), label(7, "node", "n\"1")].concat(),
    );
    let sum = [message(1, &fixed64(6, (-3_i64).cast_unsigned())), number(2, 1), number(3, 1)].concat();
    let counts = message(6, &[1_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat());
    let bounds = message(7, &2.5_f64.to_bits().to_le_bytes());
    let histogram = message(1, &[fixed64(4, 3), fixed64(5, 9_f64.to_bits()), counts, bounds].concat());
    let summary = message(1, &[fixed64(4, 2), fixed64(5, f64::NAN.to_bits())].concat());
    let bytes = metrics(
        &label(1, "rack", "r1"),
        &[
            metric("a.gauge", 5, &gauge),
            metric("a.sum", 7, &sum),
            metric("a.histogram", 9, &histogram),
            metric("a.summary", 11, &summary),
        ],
    );
    let told = to_json(&bytes).unwrap();
    assert_eq!((told.points, told.left_out), (4, 0));
    assert_eq!(
        told.json,
        "[{\"name\":\"a.gauge\",\"kind\":\"gauge\",\"time_ms\":7,\"value\":1.5,\"labels\":{\"rack\":\"r1\",\"node\":\"n\\\"1\"}},\
         {\"name\":\"a.sum\",\"kind\":\"sum\",\"temporality\":\"delta\",\"monotonic\":true,\"value\":-3,\"labels\":{\"rack\":\"r1\"}},\
         {\"name\":\"a.histogram\",\"kind\":\"histogram\",\"count\":3,\"sum\":9.0,\"counts\":[1, 2],\"bounds\":[2.5],\
         \"labels\":{\"rack\":\"r1\"}},\
         {\"name\":\"a.summary\",\"kind\":\"summary\",\"count\":2,\"sum\":\"NaN\",\"labels\":{\"rack\":\"r1\"}}]"
    );
    assert_eq!(json(&[]), "[]");
}

#[test]
fn one_long_name_before_many_points_costs_no_more_than_its_length() {
    let points = message(1, &[]).repeat(1_000_000);
    let bytes = metrics(&[], &[metric(&"x".repeat(400_000), 5, &points)]);
    let told = to_json(&bytes).unwrap();
    assert_eq!((told.points, told.left_out), (2, 999_998));
    assert!(told.json.len() <= TEXT_BYTES_MAX + 2);
}

#[test]
fn what_is_cut_off_is_refused() {
    let bytes = metrics(&[], &[metric("a", 5, &message(1, &fixed64(4, 0)))]);
    assert!((1..bytes.len()).all(|len| to_json(&bytes[..len]).is_err()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let whole = metrics(&[], &[metric("a", 5, &bytes), metric("a", 9, &message(1, &bytes))]);
        for bytes in [&bytes[..], &whole] {
            let _ = to_json(bytes);
        }
    }
}
