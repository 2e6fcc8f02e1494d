//! CRC-32C over several pieces, also over one whose checksum is known already.

use crc_fast::{CrcAlgorithm, Digest};

/// Castagnoli's polynomial, its bits the other way round, without the highest one.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `x` to the power of 8, 16, 32, ... modulo the polynomial: what one zero byte behind a front multiplies it by, two, four, ...
const POWERS: [u32; 32] = powers();

pub(crate) fn crc32c<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for piece in pieces {
        digest.update(piece);
    }
    u32::try_from(digest.finalize()).expect("a CRC-32 has 32 bits")
}

/// The checksum of what has the checksum `front`, with `back_bytes` bytes behind it that have `back`. Takes about a
/// microsecond, however many they are.
pub(crate) fn joined(front: u32, back: u32, back_bytes: u32) -> u32 {
    let mut front = front;
    for (bit, power) in POWERS.iter().enumerate() {
        if back_bytes >> bit & 1 == 1 {
            front = times(*power, front);
        }
    }
    front ^ back
}

/// The product of two polynomials. The highest bit is the coefficient of 1.
const fn times(left: u32, mut right: u32) -> u32 {
    let (mut product, mut bit) = (0, 1 << 31);
    while bit != 0 {
        if left & bit != 0 {
            product ^= right;
        }
        right = if right & 1 == 1 { right >> 1 ^ POLYNOMIAL } else { right >> 1 };
        bit >>= 1;
    }
    product
}

#[allow(clippy::indexing_slicing, reason = "the index is below the length")]
const fn powers() -> [u32; 32] {
    let mut powers = [1 << 23; 32];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = times(powers[index - 1], powers[index - 1]);
        index += 1;
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_castagnoli_over_the_pieces_together() {
        assert_eq!(crc32c([&b"1234"[..], b"", b"56789"]), 0xe306_9283);
    }

    #[test]
    fn joins_what_is_known_of_two_pieces() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 65_521 * 7 % 251) as u8).collect();
        for front in [0, 1, 5, 44, 4095] {
            for back_bytes in [0_u16, 1, 7, 8, 255, 4096, 65_535] {
                let (front, back) = bytes[..front + usize::from(back_bytes)].split_at(front);
                let all = crc32c([front, back]);
                assert_eq!(joined(crc32c([front]), crc32c([back]), back_bytes.into()), all);
            }
        }
    }
}
