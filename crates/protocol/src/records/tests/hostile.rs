use super::*;
use crate::records::header::BATCH_OVERHEAD;
use crate::records::validate::rebuild;
use crate::records::{
    BatchHeader, Batches, Error, Limits, RecordRefs, Records, Refusal, Rules, Scratch, ValidBatch, validate,
};

const BOUND: usize = 100_000;

fn rules() -> Rules {
    let limits = Limits { decompressed_bytes_max: BOUND, ..Limits::default() };
    Rules { timestamp_after_max_ms: i64::MAX, limits, ..Rules::default() }
}

/// Everything that reads batches, on bytes that nobody has checked. What validates must be readable.
fn feed(bytes: &Bytes) {
    let _ = BatchHeader::parse(bytes);
    for batch in Batches::new(bytes.clone()).filter_map(Result::ok) {
        let mut scratch = Scratch::new();
        if let Ok(records) = Records::open(&batch, &mut scratch, &rules().limits) {
            assert!(records.count() <= BOUND);
        }
        assert!(scratch.capacity() <= BOUND + 1);
    }
    let mut scratch = Scratch::new();
    if let Ok(validated) = validate(bytes.clone(), &rules(), 0, &mut scratch) {
        let records = Records::open(&validated.batch, &mut Scratch::new(), &rules().limits).unwrap();
        let count = records.map(Result::unwrap).count();
        assert_eq!(i32::try_from(count), Ok(validated.batch.header().record_count));
    }
    assert!(scratch.capacity() <= BOUND + 1);
}

/// A batch with these contents whose header and checksum are right.
fn sealed(codec: Codec, count: i32, contents: &[u8]) -> Bytes {
    let record = Owned { timestamp: 0, key: None, value: None, headers: vec![] };
    let mut header = BatchHeader::parse(&batch(BatchOptions::default(), &[record])).unwrap();
    header.attributes = header.attributes.with_codec(codec);
    (header.record_count, header.last_offset_delta) = (count, count - 1);
    rebuild(&header, contents).1
}

/// Fuzzing: the error of a reader that keeps its records called each of them the first one.
#[test]
fn the_record_that_is_malformed_is_named() {
    // A record of one byte that is too short, behind two whole ones.
    let whole = [12, 0, 0, 0, 1, 1, 0];
    let contents = [&whole[..], &whole, &[2, 0]].concat();
    let mut bytes = sealed(Codec::None, 3, &contents);
    let batch = ValidBatch::split_from(&mut bytes).unwrap();
    let kept = Records::open(&batch, &mut Scratch::new(), &Limits::default()).unwrap();
    let kept: Vec<_> = kept.map(Result::err).collect();
    let what = "its timestamp is cut off";
    assert_eq!(kept, [None, None, Some(Error::Record { index: 2, what })]);
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        feed(&bytes.into());
    }

    #[test]
    fn random_bytes_behind_a_good_start(mut bytes in prop::collection::vec(any::<u8>(), 61..300)) {
        let length = i32::try_from(bytes.len() - 12).unwrap();
        bytes[..8].fill(0);
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[16] = 2;
        feed(&bytes.into());
    }

    #[test]
    fn random_contents_under_a_good_checksum(
        codec in codec(), count in 1..50i32, contents in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        feed(&sealed(codec, count, &contents));
    }

    #[test]
    fn changed_bytes_under_a_good_checksum(
        options in options(), records in records(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let good = batch(options, &records);
        let header = BatchHeader::parse(&good).unwrap();
        let mut contents = good[BATCH_OVERHEAD..].to_vec();
        let at = at.index(contents.len());
        contents[at] = byte;
        feed(&rebuild(&header, &contents).1);
        // And changed records, packed again.
        let mut scratch = Scratch::new();
        let codec = options.compression.codec;
        let mut contents = scratch.decompress(codec, &good[BATCH_OVERHEAD..], &Limits::default()).unwrap().to_vec();
        let at = at % contents.len();
        contents[at] = byte;
        let mut packed = Vec::new();
        crate::records::compression::compress(codec.into(), &contents, &mut packed).unwrap();
        feed(&rebuild(&header, &packed).1);
    }
}

#[test]
fn truncations_at_every_byte() {
    let record = Owned {
        timestamp: 3,
        key: Some(b"key".to_vec()),
        value: Some(b"value value value".to_vec()),
        headers: vec![("name".into(), Some(b"x".to_vec())), ("null".into(), None)],
    };
    for codec in Codec::ALL {
        let options = BatchOptions { compression: codec.into(), ..BatchOptions::default() };
        let good = batch(options, &[record.clone(), record.clone(), record.clone()]);
        let header = BatchHeader::parse(&good).unwrap();
        for end in 0..good.len() {
            let refusal = validate(good.slice(..end), &rules(), 0, &mut Scratch::new()).unwrap_err();
            assert!(matches!(refusal, Refusal::NoBatch { .. }), "{codec} cut at {end}: {refusal}");
            assert!(ValidBatch::split_from(&mut good.slice(..end)).is_err());
            // Cut inside, and sealed again.
            if let Some(contents) = good.get(BATCH_OVERHEAD..end) {
                let cut = rebuild(&header, contents).1;
                assert!(validate(cut, &rules(), 0, &mut Scratch::new()).is_err(), "{codec} cut at {end}");
            }
        }
    }
}

#[test]
fn records_that_lie() {
    let five = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let [a, b, c, d, e] = five;
    // Length, attributes, timestamp, offset, key, value, headers; numbers are zig-zag: 0x01 is -1, 0x02 is 1.
    let table: &[(&[u8], &str)] = &[
        (&[], "its length is cut off"),
        (&[0x80], "its length is cut off"),
        (&[0xff; 6], "its length is cut off"),
        (&[0x01], "its length is negative"),
        (&[0x00], "it has no attributes"),
        (&[a, b, c, d, e, 0, 0], "it is longer than the batch"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x00], "it is longer than the batch"),
        (&[0x02, 0], "its timestamp is cut off"),
        (&[0x04, 0, 0], "its offset is cut off"),
        (&[0x06, 0, 0, 0], "its key is cut off"),
        (&[0x08, 0, 0, 0, 0x04], "its key is cut off"),
        (&[0x10, 0, 0, 0, a, b, c, d, e], "its key is cut off"),
        (&[0x08, 0, 0, 0, 0x01], "its value is cut off"),
        (&[0x12, 0, 0, 0, 0x01, a, b, c, d, e], "its value is cut off"),
        (&[0x0a, 0, 0, 0, 0x01, 0x01], "its header count is cut off"),
        (&[0x0c, 0, 0, 0, 0x01, 0x01, 0x01], "its header count is negative"),
        (&[0x14, 0, 0, 0, 0x01, 0x01, a, b, c, d, e], "it claims more headers than it has bytes"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x02, 0x01], "a header key is null"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x02, 0x02], "a header key is cut off"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x02, 0x00], "a header value is cut off"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x00, 0x00], "it has bytes behind its last header"),
        (&[0x0c, 0, 0, 0, 0x01, 0x01, 0x00, 0x00], "bytes follow the last record"),
    ];
    for (contents, want) in table {
        let refusal =
            validate(sealed(Codec::None, 1, contents), &rules(), 0, &mut Scratch::new()).unwrap_err();
        let index = usize::from(want.starts_with("bytes follow"));
        assert_eq!(refusal, Refusal::Malformed { index, what: want }, "{contents:?}");
    }
    assert!(
        validate(sealed(Codec::None, 1, &[0x0c, 0, 0, 0, 0x01, 0x01, 0]), &rules(), 0, &mut Scratch::new())
            .is_ok()
    );
}

#[test]
fn counts_that_lie_cost_nothing() {
    let one = [0x0c, 0, 0, 0, 0x01, 0x01, 0];
    for count in [2, 1_000_000, i32::MAX] {
        let refusal =
            validate(sealed(Codec::None, count, &one), &rules(), 0, &mut Scratch::new()).unwrap_err();
        assert_eq!(refusal, Refusal::Malformed { index: 1, what: "its length is cut off" });
    }
    let header = BatchHeader::parse(&sealed(Codec::None, i32::MAX, &one)).unwrap();
    let errors: Vec<_> = RecordRefs::new(&header, &one).filter_map(Result::err).collect();
    assert_eq!(errors, [Error::Record { index: 1, what: "its length is cut off" }]);
}

#[test]
fn old_message_sets_are_refused_cleanly() {
    // Offset, size, crc, magic, attributes, (timestamp,) key, value.
    let v0: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\x0f\x01\x02\x03\x04\0\0\xff\xff\xff\xff\0\0\0\x01x";
    let v1: &[u8] =
        b"\0\0\0\0\0\0\0\0\0\0\0\x17\x01\x02\x03\x04\x01\0\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\0\0\0\x01x";
    for (set, magic) in [(v0, 0), (v1, 1)] {
        let refusal = validate(Bytes::copy_from_slice(set), &rules(), 0, &mut Scratch::new()).unwrap_err();
        assert_eq!(refusal, Refusal::OldMagic { magic });
        assert_eq!(refusal.error_code(), crate::ErrorCode::InvalidRecord);
        feed(&Bytes::copy_from_slice(set));
    }
}
