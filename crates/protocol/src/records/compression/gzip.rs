//! Gzip members, one or several after each other, as Java's `GZIPInputStream` reads them.

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Codec, Error, Sink};

const WINDOW_BITS: u8 = 15;

pub(super) fn decompress(
    decoder: &mut Option<Decompress>,
    input: &[u8],
    sink: &mut Sink,
) -> Result<(), Error> {
    let decoder = decoder.get_or_insert_with(|| Decompress::new_gzip(WINDOW_BITS));
    decoder.reset(true);
    let mut left = input;
    loop {
        if sink.is_full() {
            sink.grow()?;
        }
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let status = decoder
            .decompress_vec(left, sink.out, FlushDecompress::None)
            .map_err(|error| sink.corrupt(error.message().unwrap_or("invalid deflate stream")))?;
        let read = usize::try_from(decoder.total_in() - read).unwrap_or(usize::MAX);
        left = left.get(read..).unwrap_or_default();
        sink.check()?;
        match status {
            Status::StreamEnd if left.is_empty() => return Ok(()),
            Status::StreamEnd => decoder.reset(true),
            _ if read == 0 && decoder.total_out() == written && !sink.is_full() => {
                return Err(sink.corrupt("the stream is cut off"));
            }
            _ => {}
        }
    }
}

/// What is kept of an encoder: its level cannot be asked for.
pub(super) struct Encoder {
    level: u32,
    encoder: Compress,
}

/// What the library and Kafka call -1.
const DEFAULT_LEVEL: u32 = 6;

pub(super) fn compress(
    kept: &mut Option<Encoder>,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let level = level.filter(|level| *level != -1);
    let level = level.map_or(DEFAULT_LEVEL, |level| level.clamp(1, 9).unsigned_abs());
    let made =
        || Encoder { level, encoder: Compress::new_gzip(flate2::Compression::new(level), WINDOW_BITS) };
    let mut encoder = kept.take().filter(|kept| kept.level == level).unwrap_or_else(made);
    encoder.encoder.reset();
    pack(&mut encoder.encoder, input, out)?;
    *kept = Some(encoder);
    Ok(())
}

fn pack(encoder: &mut Compress, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut left = input;
    loop {
        out.reserve((left.len() / 2).max(256));
        let before = encoder.total_in();
        let status = encoder
            .compress_vec(left, out, FlushCompress::Finish)
            .map_err(|error| Error::Compress { codec: Codec::Gzip, reason: error.to_string() })?;
        let read = usize::try_from(encoder.total_in() - before).unwrap_or(usize::MAX);
        left = left.get(read..).unwrap_or_default();
        if status == Status::StreamEnd {
            return Ok(());
        }
    }
}
