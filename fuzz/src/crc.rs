//! The checksum that everything in a log directory has.

/// CRC-32C over these pieces.
pub(crate) fn crc32c(pieces: &[&[u8]]) -> u32 {
    protocol::records::crc32c(&pieces.concat())
}
