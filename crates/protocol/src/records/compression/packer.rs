//! [`Packer`]: the encoders' state, used again and again.

use std::fmt;

use super::{Codec, Compression, Error, gzip, lz4, snappy, zstd};

/// Encoders, made when they are first needed. Lz4's frames leave nothing that could be kept.
#[derive(Default)]
pub struct Packer {
    gzip: Option<gzip::Encoder>,
    snappy: Option<snap::raw::Encoder>,
    zstd: Option<::zstd::bulk::Compressor<'static>>,
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// Appends the compressed `input` to `out`.
    pub fn compress(
        &mut self,
        compression: Compression,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match compression.codec {
            Codec::None => {
                out.extend_from_slice(input);
                Ok(())
            }
            Codec::Gzip => gzip::compress(&mut self.gzip, compression.level, input, out),
            Codec::Snappy => {
                snappy::compress(self.snappy.get_or_insert_with(snap::raw::Encoder::new), input, out)
            }
            Codec::Lz4 => lz4::compress(input, out),
            Codec::Zstd => zstd::compress(&mut self.zstd, compression.level, input, out),
        }
    }
}
