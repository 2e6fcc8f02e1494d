//! The five codecs of record batches, with a hard bound on what comes out.
//!
//! Invariants:
//! * Output grows as it is produced, never by what the input claims, and stops at the bound of [`Limits`].
//! * One [`Scratch`] serves one thread: its buffer, decoders and encoders are used again for every batch, and what one
//!   large batch has blown up is given back.
//!
//! It does not know batches or records.

mod gzip;
mod lz4;
mod packer;
mod snappy;
mod zstd;

use std::fmt;

pub use packer::Packer;

/// How the records of a batch are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    /// All of them, in the order of their ids.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    #[must_use]
    pub fn from_id(id: u8) -> Option<Codec> {
        Codec::ALL.get(usize::from(id)).copied()
    }

    /// The id in a batch's attributes.
    #[must_use]
    pub fn id(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// The name in configurations: `none`, `gzip`, `snappy`, `lz4`, `zstd`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec of a name; `uncompressed` is what topics call none.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Codec> {
        match name {
            "uncompressed" => Some(Codec::None),
            _ => Codec::ALL.into_iter().find(|codec| codec.name() == name),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A codec and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Compression {
    pub codec: Codec,
    /// Gzip 1 to 9 and zstd up to 22, as in `compression.gzip.level` and `compression.zstd.level`; out of range is
    /// brought into range, but -1 is the default of gzip, which has no negative levels. Lz4 and snappy have one level
    /// here.
    pub level: Option<i32>,
}

impl From<Codec> for Compression {
    fn from(codec: Codec) -> Compression {
        Compression { codec, level: None }
    }
}

/// How much may come out of a compressed batch. Both bounds hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one batch.
    pub decompressed_bytes_max: usize,
    /// The most bytes out for each byte in, once `ratio_free_bytes` are out. What people send (logs, zeros from load
    /// generators) stays below; a chain of nested repeats does not.
    pub ratio_max: usize,
    /// So many bytes may come out whatever the ratio.
    pub ratio_free_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { decompressed_bytes_max: 128 << 20, ratio_max: 2_000, ratio_free_bytes: 16 << 20 }
    }
}

impl Limits {
    /// The bound for an input of `compressed` bytes.
    #[must_use]
    pub fn bound(&self, compressed: usize) -> usize {
        let by_ratio = compressed.saturating_mul(self.ratio_max).max(self.ratio_free_bytes);
        by_ratio.min(self.decompressed_bytes_max)
    }
}

/// Why bytes do not decompress, or do not compress.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An id that no codec has.
    #[error("unknown compression type id {id}")]
    UnknownCodec { id: u8 },
    /// The input is not what the codec writes.
    #[error("{codec} data is corrupt after {produced} bytes of output: {reason}")]
    Corrupt { codec: Codec, produced: usize, reason: String },
    /// More would come out than is allowed.
    #[error("{compressed} bytes of {codec} data decompress to more than {bound} bytes")]
    TooLarge { codec: Codec, compressed: usize, bound: usize },
    /// The encoder failed.
    #[error("{codec} compression failed: {reason}")]
    Compress { codec: Codec, reason: String },
}

/// A buffer for decompressed bytes and what the codecs need, used again and again.
#[derive(Default)]
pub struct Scratch {
    bytes: Vec<u8>,
    packer: Packer,
    gzip: Option<flate2::Decompress>,
    zstd: Option<::zstd::stream::raw::Decoder<'static>>,
}

/// A scratch buffer keeps at most this much between batches.
const KEPT_BYTES_MAX: usize = 4 << 20;

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("capacity", &self.bytes.capacity()).finish_non_exhaustive()
    }
}

impl Scratch {
    #[must_use]
    pub fn new() -> Scratch {
        Scratch::default()
    }

    /// Decompresses `input`. The answer is good until the scratch is used again.
    pub fn decompress(&mut self, codec: Codec, input: &[u8], limits: &Limits) -> Result<&[u8], Error> {
        self.fill(codec, input, limits)?;
        Ok(&self.bytes)
    }

    /// What `input` holds, not copied if it is not compressed, and the encoders to pack it anew.
    pub(super) fn open<'a>(
        &'a mut self,
        codec: Codec,
        input: &'a [u8],
        limits: &Limits,
    ) -> Result<(&'a [u8], &'a mut Packer), Error> {
        if codec == Codec::None {
            return Ok((input, &mut self.packer));
        }
        self.fill(codec, input, limits)?;
        Ok((&self.bytes, &mut self.packer))
    }

    fn fill(&mut self, codec: Codec, input: &[u8], limits: &Limits) -> Result<(), Error> {
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
        let mut sink =
            Sink { codec, compressed: input.len(), bound: limits.bound(input.len()), out: &mut self.bytes };
        match codec {
            Codec::None => sink.extend(input)?,
            Codec::Gzip => gzip::decompress(&mut self.gzip, input, &mut sink)?,
            Codec::Snappy => snappy::decompress(input, &mut sink)?,
            Codec::Lz4 => lz4::decompress(input, &mut sink)?,
            Codec::Zstd => zstd::decompress(&mut self.zstd, input, &mut sink)?,
        }
        Ok(())
    }

    /// Bytes the scratch holds on to.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Appends the compressed `input` to `out`, with encoders of its own.
pub fn compress(compression: Compression, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    Packer::default().compress(compression, input, out)
}

/// Where decompressed bytes go: grows by what has come out so far, up to the bound.
struct Sink<'a> {
    codec: Codec,
    compressed: usize,
    bound: usize,
    out: &'a mut Vec<u8>,
}

impl Sink<'_> {
    /// The least that is reserved at a time.
    const STEP: usize = 64 << 10;

    /// Makes room for some more bytes; one byte past the bound shows that there are more.
    fn grow(&mut self) -> Result<(), Error> {
        self.check()?;
        let target = self.out.capacity().saturating_mul(2).max(Self::STEP).min(self.bound + 1);
        self.out.reserve_exact(target.saturating_sub(self.out.len()).max(1));
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        if self.out.len() > self.bound { Err(self.too_large()) } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        self.out.len() == self.out.capacity()
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.out.len().saturating_add(bytes.len()) > self.bound {
            return Err(self.too_large());
        }
        while self.out.capacity() - self.out.len() < bytes.len() {
            self.grow()?;
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { codec: self.codec, compressed: self.compressed, bound: self.bound }
    }

    fn corrupt(&self, reason: impl fmt::Display) -> Error {
        Error::Corrupt { codec: self.codec, produced: self.out.len(), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests;
