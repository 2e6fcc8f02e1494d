//! Every message in every version: what is written reads back, and broken bytes are refused without harm.

use bytes::Bytes;
use proptest::prelude::*;
use protocol::testing::{Entry, Gen, catalog};

fn each_version(mut visit: impl FnMut(&Entry, i16)) {
    for entry in catalog() {
        for version in entry.versions.iter() {
            visit(entry, version);
        }
    }
}

#[test]
fn the_catalog_is_complete() {
    let requests = catalog().iter().filter(|entry| entry.name.ends_with("Request"));
    let responses = catalog().iter().filter(|entry| entry.name.ends_with("Response"));
    assert_eq!((requests.count(), responses.count(), catalog().len()), (91, 91, 195));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn messages_round_trip(seed: u64) {
        each_version(|entry, version| {
            let same = (entry.round_trip)(&mut Gen::new(seed), version);
            assert_eq!(same, Ok(true), "{} version {version}", entry.name);
        });
    }

    #[test]
    fn encoding_is_stable(seed: u64) {
        each_version(|entry, version| {
            let bytes = (entry.random)(&mut Gen::new(seed), version).unwrap();
            assert_eq!((entry.recode)(&bytes, version).as_ref(), Ok(&bytes), "{} version {version}", entry.name);
        });
    }

    /// A message cut short is never a whole one.
    #[test]
    fn truncated_messages_are_refused(seed: u64) {
        each_version(|entry, version| {
            let mut g = Gen::new(seed);
            let bytes = (entry.random)(&mut g, version).unwrap();
            if !bytes.is_empty() {
                let cut = bytes.slice(..g.below(bytes.len()));
                assert!((entry.recode)(&cut, version).is_err(), "{} version {version}", entry.name);
            }
        });
    }

    #[test]
    fn damaged_messages_do_no_harm(seed: u64) {
        each_version(|entry, version| {
            let mut g = Gen::new(seed);
            let mut bytes = (entry.random)(&mut g, version).unwrap().to_vec();
            for _ in 0..=g.below(3) {
                let place = g.below(bytes.len());
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = g.bytes().first().copied().unwrap_or(0xff);
                }
            }
            // Whether it still is a message depends on the byte; that it returns is the point.
            let _ = (entry.recode)(&Bytes::from(bytes), version);
        });
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        each_version(|entry, version| {
            let _ = (entry.recode)(&bytes, version);
        });
    }
}
