//! One number for the topics that a group reads: when they change, so does it (KIP-1101). Kafka's own: a group that moves
//! from one to the other does not rebalance for that.

use metadata::Image;
use metadata::image::Topic;
use protocol::Str;
use twox_hash::xxhash3_64::Hasher;

/// The version of what is hashed.
const MAGIC: u8 = 0;

/// Of the topics that exist; the order of their names counts, in which they come.
pub(crate) fn hash_of_topics<'a>(image: &Image, names: impl IntoIterator<Item = &'a Str>) -> i64 {
    let topics = names.into_iter().filter_map(|name| image.topic(name));
    let hashes: Vec<u8> = topics.flat_map(|topic| hash_of_topic(image, topic).to_le_bytes()).collect();
    if hashes.is_empty() { 0 } else { Hasher::oneshot(&hashes).cast_signed() }
}

/// Its identity, how many partitions it has, and on which racks each of them is.
fn hash_of_topic(image: &Image, topic: &Topic) -> u64 {
    let mut bytes = vec![MAGIC];
    let (high, low) = halves(topic.id().0.as_bytes());
    bytes.extend(high.to_le_bytes());
    bytes.extend(low.to_le_bytes());
    put_text(&mut bytes, topic.name());
    bytes.extend(topic.partition_count().to_le_bytes());
    for (partition, state) in topic.partitions() {
        bytes.extend(partition.to_le_bytes());
        let racks = state.replicas.iter().filter_map(|node| image.broker(*node)?.rack.as_ref());
        let mut racks: Vec<&Str> = racks.collect();
        racks.sort_unstable();
        for rack in racks {
            bytes.extend(units(rack).to_le_bytes());
            put_text(&mut bytes, rack);
        }
    }
    Hasher::oneshot(&bytes)
}

fn halves(id: &[u8; 16]) -> (i64, i64) {
    let whole = u128::from_be_bytes(*id);
    let low = u64::try_from(whole & u128::from(u64::MAX)).unwrap_or(0);
    let high = u64::try_from(whole >> 64).unwrap_or(0);
    (high.cast_signed(), low.cast_signed())
}

/// As Java counts: UTF-16 code units.
fn units(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    for unit in text.encode_utf16() {
        bytes.extend(unit.to_le_bytes());
    }
    bytes.extend(units(text).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the hash of Kafka's library (hash4j 0.22, XXH3) said.
    #[test]
    fn it_is_the_hash_of_kafka() {
        let longs = |values: &[i64]| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Hasher::oneshot(&bytes)
        };
        assert_eq!(longs(&[1, -2]), 0x15a2_b04e_dd91_1f11);
        assert_eq!(longs(&(0..1000).collect::<Vec<_>>()), 0x2946_2356_e2d9_061a);
        let mut text = Vec::new();
        put_text(&mut text, "ab");
        assert_eq!(Hasher::oneshot(&text), 0x7adc_70f7_1a0e_43bf);
        let mut topic = vec![MAGIC];
        topic.extend(1_i64.to_le_bytes());
        topic.extend(2_i64.to_le_bytes());
        put_text(&mut topic, "orders");
        topic.extend(2_i32.to_le_bytes());
        topic.extend(0_i32.to_le_bytes());
        topic.extend(4_i32.to_le_bytes());
        put_text(&mut topic, "rack");
        topic.extend(1_i32.to_le_bytes());
        assert_eq!(Hasher::oneshot(&topic), 0xc9d2_30db_b65d_ddc9);
    }
}
