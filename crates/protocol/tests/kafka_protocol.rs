//! Byte for byte with another implementation: what we write, `kafka-protocol` reads and writes again.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use protocol::testing::{Entry, Gen, catalog};

/// Versions that `kafka-protocol` lists for the API but whose request it cannot read: its schemas are Kafka 4.1's.
const NOT_THEIRS: &[(&str, i16)] =
    &[("InitProducerIdRequest", 6), ("OffsetCommitRequest", 10), ("OffsetFetchRequest", 10)];

/// Decodes with the other implementation and encodes what it understood. `None` if it has no such API or version.
fn theirs(entry: &Entry, version: i16, bytes: &Bytes) -> Option<Result<Bytes, String>> {
    let key = ApiKey::try_from(entry.api_key?).ok()?;
    let known = key.valid_versions();
    if version < known.min || version > known.max || NOT_THEIRS.contains(&(entry.name, version)) {
        return None;
    }
    let mut input = bytes.clone();
    let mut output = BytesMut::new();
    let recoded =
        match entry.name.ends_with("Request") {
            true => RequestKind::decode(key, &mut input, version)
                .and_then(|kind| kind.encode(&mut output, version)),
            false => ResponseKind::decode(key, &mut input, version)
                .and_then(|kind| kind.encode(&mut output, version)),
        };
    Some(match recoded {
        Ok(()) if input.is_empty() => Ok(output.freeze()),
        Ok(()) => Err(format!("{} bytes were not read", input.len())),
        Err(error) => Err(error.to_string()),
    })
}

#[test]
fn filled_messages_are_the_same_bytes() {
    let mut compared = 0;
    for entry in catalog() {
        for version in entry.versions.iter() {
            for seed in 0..16 {
                let ours = (entry.random)(&mut Gen::new(seed), version).unwrap();
                let Some(theirs) = theirs(entry, version, &ours) else { break };
                assert_eq!(theirs, Ok(ours), "{} version {version}, seed {seed}", entry.name);
                compared += 1;
            }
        }
    }
    assert!(compared > 8_000, "only {compared} messages compared");
}
