//! The bytes of records, and bytes that are not.

use proptest::prelude::*;

use bytes::Bytes;
use protocol::TopicId;

use super::*;
use crate::Error;

fn refused(bytes: &[u8]) -> Error {
    decode_batch(&Bytes::copy_from_slice(bytes)).unwrap_err()
}

#[test]
fn bytes_on_disk_stay_as_documented() {
    let records = [
        Record::FeatureLevel { name: "group.version".into(), level: 1 },
        Record::ChangePartition {
            topic_id: TopicId::ZERO,
            partition: 7,
            change: PartitionChange { leader: Some(NodeId(3)), ..PartitionChange::default() },
        },
    ];
    let mut expected = vec![1, 2];
    expected.extend([0, 2, 1, 16, 13]);
    expected.extend(b"group.version");
    expected.extend([0, 1]);
    expected.extend([0, 8, 1, 26]);
    expected.extend([0; 16]);
    expected.extend([0, 0, 0, 7, 0x80, 1, 0, 0, 0, 3]);
    assert_eq!(encode_batch(&records), expected);
}

#[test]
fn what_a_newer_version_wrote_is_named() {
    assert_eq!(refused(&[2, 0]), Error::UnknownFormat { format: 2, supported: 1 });
    assert_eq!(refused(&[1, 1, 0x7f, 0xff, 1, 0]), Error::UnknownRecord { tag: 0x7fff });
    assert_eq!(
        refused(&[1, 1, 0, 9, 2, 0]),
        Error::UnknownVersion { name: "remove topic", version: 2, supported: 1 }
    );
}

#[test]
fn fields_appended_later_are_skipped() {
    let mut bytes = vec![1, 1, 0, 9, 1, 20];
    bytes.extend([7; 20]);
    let records = decode_batch(&Bytes::from(bytes)).unwrap();
    assert_eq!(records, [Record::RemoveTopic { topic_id: TopicId([7; 16].into()) }]);
}

#[test]
fn counts_that_the_bytes_cannot_hold_are_refused() {
    assert!(matches!(refused(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f]), Error::Truncated { .. }));
    assert!(matches!(refused(&[1, 0xff, 0xff, 0xff, 0xff, 0x1f]), Error::Invalid { .. }));
    assert!(matches!(refused(&[1, 1, 0, 9, 1, 16]), Error::Truncated { .. }));
    assert_eq!(refused(&[1, 0, 5]), Error::TrailingBytes { bytes: 1 });
    assert!(matches!(refused(&[]), Error::Truncated { .. }));
}

proptest! {
    #[test]
    fn records_survive_their_bytes(records in prop::collection::vec(arbitrary::record(), 0..20)) {
        prop_assert_eq!(decode_batch(&encode_batch(&records)).unwrap(), records);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_batch(&Bytes::from(bytes));
    }

    #[test]
    fn damaged_batches_are_answered(
        records in prop::collection::vec(arbitrary::record(), 1..8),
        place: prop::sample::Index,
        value: u8,
        cut: prop::sample::Index,
    ) {
        let mut bytes = encode_batch(&records).to_vec();
        let place = place.index(bytes.len());
        bytes[place] = value;
        let _ = decode_batch(&Bytes::copy_from_slice(&bytes));
        let _ = decode_batch(&Bytes::copy_from_slice(&bytes[..cut.index(bytes.len())]));
    }
}
