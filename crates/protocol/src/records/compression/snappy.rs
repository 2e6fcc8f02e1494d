//! Snappy in the framing of snappy-java (Xerial), which the Java client writes, and as one raw block, which
//! librdkafka writes. Every client reads the framing, so that is what is written here.

use super::{Codec, Error, Sink};

/// Magic, version 1, compatible with version 1.
const XERIAL_HEADER: [u8; 16] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1];
const XERIAL_MAGIC_LEN: usize = 8;
/// What snappy-java puts into a block.
const BLOCK_BYTES: usize = 32 << 10;
/// A copy of three bytes makes at most 64: no honest block claims more than this for each byte.
const RATIO_MAX: usize = 22;

pub(super) fn decompress(input: &[u8], sink: &mut Sink) -> Result<(), Error> {
    let magic = XERIAL_HEADER.get(..XERIAL_MAGIC_LEN).unwrap_or_default();
    if !input.starts_with(magic) {
        return block(input, sink);
    }
    let mut left = input;
    while !left.is_empty() {
        // Streams may follow each other, each with its own header.
        if left.starts_with(magic) {
            let (_, behind) = left
                .split_at_checked(XERIAL_HEADER.len())
                .ok_or_else(|| sink.corrupt("header is cut off"))?;
            left = behind;
            continue;
        }
        let (length, behind) =
            left.split_first_chunk().ok_or_else(|| sink.corrupt("block length is cut off"))?;
        let length = usize::try_from(i32::from_be_bytes(*length))
            .map_err(|_| sink.corrupt("block length is negative"))?;
        let (bytes, behind) =
            behind.split_at_checked(length).ok_or_else(|| sink.corrupt("block is cut off"))?;
        block(bytes, sink)?;
        left = behind;
    }
    Ok(())
}

fn block(input: &[u8], sink: &mut Sink) -> Result<(), Error> {
    if input.is_empty() {
        return Err(sink.corrupt("empty block"));
    }
    let length = snap::raw::decompress_len(input).map_err(|error| sink.corrupt(error))?;
    let start = sink.out.len();
    if length > sink.bound.saturating_sub(start) {
        return Err(sink.too_large());
    }
    if length > input.len().saturating_mul(RATIO_MAX) {
        return Err(sink.corrupt("a block claims more than it can hold"));
    }
    sink.out.resize(start + length, 0);
    let space = sink.out.get_mut(start..).unwrap_or_default();
    let written = snap::raw::Decoder::new().decompress(input, space);
    match written {
        Ok(written) if written == length => Ok(()),
        Ok(_) => Err(sink.corrupt("a block is shorter than it claims")),
        Err(error) => Err(sink.corrupt(error)),
    }
}

pub(super) fn compress(
    encoder: &mut snap::raw::Encoder,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let failed = |reason: String| Error::Compress { codec: Codec::Snappy, reason };
    out.extend_from_slice(&XERIAL_HEADER);
    for chunk in input.chunks(BLOCK_BYTES) {
        let start = out.len() + size_of::<i32>();
        out.resize(start + snap::raw::max_compress_len(chunk.len()), 0);
        let space = out.get_mut(start..).unwrap_or_default();
        let written = encoder.compress(chunk, space).map_err(|error| failed(error.to_string()))?;
        let length = i32::try_from(written).map_err(|error| failed(error.to_string()))?;
        if let Some(field) = out.get_mut(start - size_of::<i32>()..start) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        out.truncate(start + written);
    }
    Ok(())
}
