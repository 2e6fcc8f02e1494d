//! Which partition a record goes to: by its key exactly as Java's client does, else so that batches fill.

use host::Rng;

use crate::cluster::Topic;

/// Austin Appleby's MurmurHash2 (32 bit) with the seed of Java's client.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    // The hash takes the length modulo 2^32.
    #[expect(clippy::cast_possible_truncation, reason = "that is the definition")]
    let mut h = SEED ^ bytes.len() as u32;
    let mut chunks = bytes.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.first_chunk().map_or(0, |four| u32::from_le_bytes(*four));
        k = k.wrapping_mul(M);
        k ^= k >> R;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * place);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// The partition of a key among `count`.
pub fn partition_of_key(key: &[u8], count: usize) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    i32::try_from(positive % count).unwrap_or(0)
}

/// Keyless records stay at one partition until it has got a batch's worth (KIP-794), then move to a random one.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    current: Option<i32>,
    bytes: usize,
}

impl Sticky {
    pub(super) fn choose(&mut self, topic: &Topic, bytes: usize, batch_bytes: usize, rng: &dyn Rng) -> i32 {
        if self.bytes >= batch_bytes || self.current.is_some_and(|now| topic.leader(now).is_none()) {
            self.current = None;
        }
        let partition = match self.current {
            Some(partition) => partition,
            None => {
                self.bytes = 0;
                let led: Vec<i32> = topic
                    .partitions
                    .iter()
                    .filter(|partition| partition.leader.is_some())
                    .map(|partition| partition.index)
                    .collect();
                let draw =
                    |count: usize| usize::try_from(rng.below(u64::try_from(count).unwrap_or(0))).unwrap_or(0);
                match led.get(draw(led.len())) {
                    Some(partition) => *partition,
                    None => i32::try_from(draw(topic.partitions.len())).unwrap_or(0),
                }
            }
        };
        self.current = Some(partition);
        self.bytes += bytes;
        partition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_that_of_java() {
        // From org.apache.kafka.common.utils.UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn the_sign_bit_is_cut_off_before_the_division() {
        assert_eq!(partition_of_key(b"21", 10), ((-973_932_308_i32) & 0x7fff_ffff) % 10);
        assert_eq!(partition_of_key(b"", 1), 0);
    }
}
