//! [`Sample`]: a record as every client can write and read it.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
}

/// The first timestamp of [`samples`]; each following record is a second later.
pub(crate) const FIRST_MS: i64 = 1_700_000_000_000;

impl Sample {
    pub(crate) fn of(key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
        Self { key, value, headers: Vec::new(), timestamp: FIRST_MS }
    }

    fn header(mut self, name: &str, value: Option<&[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
        self
    }
}

/// Every kind of record: null and empty keys and values, headers of all kinds, small, large, random.
pub(crate) fn samples() -> Vec<Sample> {
    let (text, random) = (b"abcdefgh".repeat(10_000), noise(50_000));
    let mut all = vec![
        Sample::of(None, Some(b"no key")),
        Sample::of(Some(b"key"), Some(b"value")),
        Sample::of(Some(b"deleted"), None),
        Sample::of(Some(b""), Some(b"")),
        Sample::of(None, Some(&text)),
        Sample::of(Some(b"random"), Some(&random)),
        Sample::of(Some(b"\xff\x00"), Some(b"\x00\xfe"))
            .header("trace", Some(b"1"))
            .header("trace", Some(b"2"))
            .header("empty", Some(b""))
            .header("nothing", None)
            .header("\u{e4}", Some(b"\xff")),
    ];
    for (sample, place) in all.iter_mut().zip(0..) {
        sample.timestamp += place * 1000;
    }
    all
}

/// Bytes that no codec makes smaller.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(|_| next(&mut state)).collect()
}
