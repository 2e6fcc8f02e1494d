use proptest::prelude::*;

use super::*;

const PACKED: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn packed(compression: impl Into<Compression>, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compression.into(), input, &mut out).unwrap();
    out
}

fn unpacked(codec: Codec, input: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    Scratch::new().decompress(codec, input, limits).map(<[u8]>::to_vec)
}

fn limits(decompressed_bytes_max: usize) -> Limits {
    Limits { decompressed_bytes_max, ..Limits::default() }
}

/// Neither all the same nor incompressible, several blocks of every codec long.
fn text() -> Vec<u8> {
    (0..40_000u32)
        .flat_map(|i| format!("line {} of {}\n", i, i.wrapping_mul(2_654_435_761) >> 20).into_bytes())
        .collect()
}

#[test]
fn ids_and_names_are_kafkas() {
    let names = Codec::ALL.map(|codec| (codec.id(), codec.name()));
    assert_eq!(names, [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")]);
    for codec in Codec::ALL {
        assert_eq!(Codec::from_id(codec.id()), Some(codec));
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
    }
    assert_eq!((Codec::from_id(5), Codec::from_name("brotli")), (None, None));
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(input in prop::collection::vec(any::<u8>(), 0..5_000), repeat in 1..30usize) {
        let input = input.repeat(repeat);
        let mut scratch = Scratch::new();
        for codec in Codec::ALL {
            let packed = packed(codec, &input);
            prop_assert_eq!(scratch.decompress(codec, &packed, &Limits::default()).unwrap(), &input);
        }
    }

    #[test]
    fn any_bytes_are_met_with_calm(input in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let limits = limits(100_000);
        let mut scratch = Scratch::new();
        let starts: [&[u8]; 4] = [&packed(Codec::Gzip, b"")[..10], &packed(Codec::Snappy, b""), &packed(Codec::Lz4, b"")[..7], &packed(Codec::Zstd, b"")[..4]];
        for (codec, start) in PACKED.into_iter().zip(starts) {
            for input in [input.clone(), [start, &input].concat()] {
                let _ = scratch.decompress(codec, &input, &limits);
                prop_assert!(scratch.capacity() <= 100_001, "{} took {}", codec, scratch.capacity());
            }
        }
    }

    #[test]
    fn damage_never_panics(at in any::<prop::sample::Index>(), byte: u8) {
        let text = &text()[..20_000];
        for codec in PACKED {
            let mut packed = packed(codec, text);
            let at = at.index(packed.len());
            packed[at] = byte;
            let mut scratch = Scratch::new();
            let _ = scratch.decompress(codec, &packed, &limits(50_000));
            prop_assert!(scratch.capacity() <= 50_001);
        }
    }
}

/// -1 was taken for a level below 1, so that topics with the default level were packed like those with level 1.
#[test]
fn level_minus_1_of_gzip_is_its_default() {
    let at = |level| packed(Compression { codec: Codec::Gzip, level }, &text());
    assert_eq!(at(Some(-1)), at(None));
    assert_eq!(at(Some(-1)), at(Some(6)));
    assert_ne!(at(Some(-1)), at(Some(1)));
    assert_eq!(at(Some(0)), at(Some(1)));
}

#[test]
fn encoders_leave_nothing_behind_for_the_next_batch() {
    let text = text();
    let mut packer = Packer::default();
    let levels = [None, Some(9), Some(-5), Some(1), Some(19), None];
    for (codec, level) in PACKED.into_iter().flat_map(|codec| levels.map(|level| (codec, level))) {
        for input in [&text[..300_000], &text[..10], &[]] {
            let compression = Compression { codec, level };
            let mut again = Vec::from(*b"before");
            packer.compress(compression, input, &mut again).unwrap();
            assert_eq!(again, [b"before", &packed(compression, input)[..]].concat(), "{codec} {level:?}");
        }
    }
}

#[test]
fn levels_are_brought_into_range() {
    let text = text();
    for codec in PACKED {
        for level in [i32::MIN, -1, 0, 1, 5, 9, 22, i32::MAX] {
            let compression = Compression { codec, level: Some(level) };
            let packed = packed(compression, &text[..30_000]);
            assert_eq!(
                unpacked(codec, &packed, &Limits::default()).unwrap(),
                &text[..30_000],
                "{codec} {level}"
            );
        }
    }
    let size = |codec, level| packed(Compression { codec, level: Some(level) }, &text).len();
    assert!(size(Codec::Gzip, 9) < size(Codec::Gzip, 1));
    assert!(size(Codec::Zstd, 15) < size(Codec::Zstd, 1));
}

#[test]
fn truncated_data_is_noticed_at_every_byte() {
    let text = &text()[..2_000];
    for codec in PACKED {
        let packed = packed(codec, text);
        for end in 0..packed.len() {
            let result = unpacked(codec, &packed[..end], &Limits::default());
            // A snappy stream ends where its last block does, also after none: only the records tell then.
            let whole = codec == Codec::Snappy && end == 16;
            assert_eq!(result.is_ok(), whole, "{codec} cut at {end} of {}", packed.len());
        }
    }
}

#[test]
fn an_lz4_frame_cut_between_its_blocks_is_noticed() {
    let text = text();
    let packed = packed(Codec::Lz4, &text);
    let first = u32::from_le_bytes(packed[7..11].try_into().unwrap()) as usize & 0x7fff_ffff;
    let border = 7 + 4 + first;
    assert!(border < packed.len() - 100);
    let error = unpacked(Codec::Lz4, &packed[..border], &Limits::default()).unwrap_err();
    assert_eq!(
        error,
        Error::Corrupt { codec: Codec::Lz4, produced: 65_536, reason: "the frame is cut off".into() }
    );
    let mut longer = packed;
    longer.push(7);
    assert!(unpacked(Codec::Lz4, &longer, &Limits::default()).is_err());
}

#[test]
fn streams_may_follow_each_other() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let both = [packed(codec, b"one "), packed(codec, b"two")].concat();
        assert_eq!(unpacked(codec, &both, &Limits::default()).unwrap(), b"one two", "{codec}");
    }
}

#[test]
fn snappy_is_read_framed_and_raw() {
    let text = text();
    let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
    assert_eq!(unpacked(Codec::Snappy, &raw, &Limits::default()).unwrap(), text);
    let framed = packed(Codec::Snappy, &text);
    assert_eq!(framed[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    assert_eq!(unpacked(Codec::Snappy, &framed, &Limits::default()).unwrap(), text);
}

#[test]
fn snappy_lengths_are_not_believed() {
    // A raw block of ten bytes that claims 100 MB: more than ten bytes can make.
    let claim = [0x80, 0xc2, 0xd7, 0x2f, 0, 0, 0, 0, 0, 0];
    let mut scratch = Scratch::new();
    let error = scratch.decompress(Codec::Snappy, &claim, &limits(1 << 30)).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. } | Error::Corrupt { .. }), "{error}");
    assert_eq!(scratch.capacity(), 0);
    for length in [-1, i32::MAX] {
        let framed = [&packed(Codec::Snappy, b"")[..], &length.to_be_bytes(), b"x"].concat();
        assert!(matches!(unpacked(Codec::Snappy, &framed, &limits(1 << 30)), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn bombs_stop_at_the_bound() {
    let zeros = vec![0; 8 << 20];
    for codec in PACKED {
        let bomb = packed(codec, &zeros);
        for bound in [0, 1, 1_000, 65_536, 1 << 20, zeros.len() - 1] {
            let mut scratch = Scratch::new();
            let error = scratch.decompress(codec, &bomb, &limits(bound)).unwrap_err();
            assert_eq!(error, Error::TooLarge { codec, compressed: bomb.len(), bound });
            assert!(scratch.capacity() <= bound + 1, "{codec} took {} of {bound}", scratch.capacity());
        }
        assert_eq!(unpacked(codec, &bomb, &limits(zeros.len())).unwrap(), zeros, "{codec}");
    }
    assert_eq!(
        unpacked(Codec::None, &zeros, &limits(5)),
        Err(Error::TooLarge { codec: Codec::None, compressed: zeros.len(), bound: 5 })
    );
}

#[test]
fn the_ratio_is_bounded_past_the_free_bytes() {
    let limits = Limits { decompressed_bytes_max: 1 << 30, ratio_max: 100, ratio_free_bytes: 10_000 };
    assert_eq!((limits.bound(0), limits.bound(100), limits.bound(1_000)), (10_000, 10_000, 100_000));
    assert_eq!(limits.bound(usize::MAX), 1 << 30);
    let bomb = packed(Codec::Zstd, &vec![0; 1 << 20]);
    assert!(matches!(unpacked(Codec::Zstd, &bomb, &limits), Err(Error::TooLarge { .. })));
    assert!(unpacked(Codec::Zstd, &packed(Codec::Zstd, &[0; 10_000]), &limits).is_ok());
}

#[test]
fn a_scratch_is_usable_after_errors_and_gives_large_buffers_back() {
    let mut scratch = Scratch::new();
    let text = text();
    for codec in PACKED {
        let packed = packed(codec, &text);
        assert!(scratch.decompress(codec, &packed[..packed.len() / 2], &Limits::default()).is_err());
        assert!(scratch.decompress(codec, &packed, &limits(100)).is_err());
        assert_eq!(scratch.decompress(codec, &packed, &Limits::default()).unwrap(), text, "{codec}");
    }
    let zeros = vec![0; KEPT_BYTES_MAX + 1];
    scratch.decompress(Codec::Zstd, &packed(Codec::Zstd, &zeros), &Limits::default()).unwrap();
    assert!(scratch.capacity() > KEPT_BYTES_MAX);
    scratch.decompress(Codec::Zstd, &packed(Codec::Zstd, b"x"), &Limits::default()).unwrap();
    assert!(scratch.capacity() <= KEPT_BYTES_MAX);
}

#[test]
fn zstd_windows_of_every_level_are_read() {
    use std::io::Write;
    // Streamed, as the Java client does it, so that the window is the level's own: 128 MiB at 22.
    for level in [1, 19, 22] {
        let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), level).unwrap();
        encoder.write_all(&text()).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(unpacked(Codec::Zstd, &packed, &Limits::default()).unwrap(), text(), "{level}");
    }
    // A frame that wants a window of more than that is refused before anything is allocated.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00];
    assert!(matches!(unpacked(Codec::Zstd, &huge, &Limits::default()), Err(Error::Corrupt { .. })));
}
