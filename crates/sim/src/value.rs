//! The records that simulated producers send: each is known by its producer and number, and its whole content follows
//! from these two and its length, so that whoever reads it can tell whether it is what was sent.

use bytes::Bytes;
use client::ProducerRecord;
use protocol::Str;
use protocol::records::Record;

/// Virtual time begins here; the timestamps of records do, too.
const EPOCH_MS: i64 = 1_800_000_000_000;

/// One record of a run: number `n` of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) producer: usize,
    pub(crate) n: u64,
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p{}#{}", self.producer, self.n)
    }
}

fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Id {
    pub(crate) fn timestamp(self) -> i64 {
        EPOCH_MS + i64::try_from(self.n).unwrap_or(0)
    }

    /// Where records need a key, this is it. Elsewhere two of three have none.
    pub(crate) fn key(self) -> Bytes {
        Bytes::from(format!("k{}", self.n % 11))
    }

    fn has_key_anyway(self) -> bool {
        self.n.is_multiple_of(3)
    }

    fn seed(self) -> u64 {
        mix(self.n.wrapping_mul(31).wrapping_add(self.producer as u64 + 1))
    }

    /// Mostly short, now and then tens of kilobytes.
    fn usual_filler(self) -> u64 {
        let seed = self.seed();
        match seed % 64 {
            0 => 10_000 + seed / 64 % 40_000,
            1..8 => 300 + seed / 64 % 3000,
            _ => seed / 64 % 200,
        }
    }

    /// The identity in front of so much filler, half of which compresses.
    fn value(self, filler: u64) -> Bytes {
        let mut text = format!("{}/{}/{filler}/", self.producer, self.n).into_bytes();
        let seed = self.seed();
        let repeats = if seed & 1 == 0 { 2 } else { u64::MAX };
        let words = (0..filler.div_ceil(8)).flat_map(|at| mix(seed.wrapping_add(at % repeats)).to_le_bytes());
        text.extend(words.take(usize::try_from(filler).unwrap_or(0)));
        Bytes::from(text)
    }

    /// The record as it is sent; `None` for a length that follows from the number.
    pub(crate) fn record(
        self,
        topic: &Str,
        partition: i32,
        value_bytes: Option<u64>,
        keyed: bool,
    ) -> ProducerRecord {
        let value = self.value(value_bytes.unwrap_or_else(|| self.usual_filler()));
        let record = ProducerRecord::new(topic.clone()).partition(partition).value(value);
        let record = record.timestamp(self.timestamp()).header("n", self.n.to_string().into_bytes());
        if keyed || self.has_key_anyway() { record.key(self.key()) } else { record }
    }

    /// Which record this claims to be.
    pub(crate) fn parse(record: &Record) -> Option<Self> {
        let [producer, n, _] = numbers(record)?;
        Some(Self { producer: usize::try_from(producer).ok()?, n })
    }

    /// Whether `record` is this one, whole but for its time.
    pub(crate) fn is_whole(self, record: &Record) -> bool {
        let header = record.headers.first();
        let number = header.filter(|header| header.key == "n").and_then(|header| header.value.as_ref());
        let len = record.value.as_ref().map_or(0, |value| value.len() as u64);
        let filler = numbers(record).map_or(0, |[_, _, filler]| filler.min(len));
        record.value.as_ref() == Some(&self.value(filler))
            && record.key.as_ref().map_or(!self.has_key_anyway(), |key| *key == self.key())
            && record.headers.len() == 1
            && number.is_some_and(|number| *number == self.n.to_string())
    }
}

/// What a value begins with.
fn numbers(record: &Record) -> Option<[u64; 3]> {
    let mut parts = record.value.as_ref()?.splitn(4, |byte| *byte == b'/');
    let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
    Some([number()?, number()?, number()?])
}
