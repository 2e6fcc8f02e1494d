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

pub(super) fn compress(level: Option<i32>, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let level = level.map_or(flate2::Compression::default(), |level| {
        flate2::Compression::new(u32::try_from(level.clamp(1, 9)).unwrap_or(6))
    });
    let mut encoder = Compress::new_gzip(level, WINDOW_BITS);
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
