//! CRC-32C over several pieces.

use crc_fast::{CrcAlgorithm, Digest};

pub(crate) fn crc32c<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for piece in pieces {
        digest.update(piece);
    }
    u32::try_from(digest.finalize()).expect("a CRC-32 has 32 bits")
}

#[cfg(test)]
mod tests {
    #[test]
    fn is_castagnoli_over_the_pieces_together() {
        assert_eq!(super::crc32c([&b"1234"[..], b"", b"56789"]), 0xe306_9283);
    }
}
