//! Zstandard frames, one or several after each other. The decoder refuses windows over 128 MiB by itself; one that a
//! frame has made grow past [`KEPT_WINDOW_MAX`] is not kept.

use zstd::bulk::Compressor;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

use super::{Codec, Error, Sink};

const KEPT_WINDOW_MAX: u64 = 8 << 20;
/// Magic number in front of a frame.
const FRAME_MAGIC: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();

pub(super) fn decompress(
    kept: &mut Option<Decoder<'static>>,
    input: &[u8],
    sink: &mut Sink,
) -> Result<(), Error> {
    if input.is_empty() {
        return Err(sink.corrupt("no frame"));
    }
    let mut decoder = match kept.take() {
        Some(decoder) => decoder,
        None => Decoder::new().map_err(|error| sink.corrupt(error))?,
    };
    decoder.reinit().map_err(|error| sink.corrupt(error))?;
    let mut source = InBuffer::around(input);
    let mut window_max = window(input);
    loop {
        if sink.is_full() {
            sink.grow()?;
        }
        let (read, written) = (source.pos(), sink.out.len());
        let hint = {
            let mut target = OutBuffer::around_pos(&mut *sink.out, written);
            decoder.run(&mut source, &mut target)
        };
        let hint = hint.map_err(|error| sink.corrupt(error))?;
        sink.check()?;
        let left = input.get(source.pos()..).unwrap_or_default();
        if hint == 0 && left.is_empty() {
            break;
        }
        if hint == 0 {
            window_max = window_max.max(window(left));
        }
        if source.pos() == read && sink.out.len() == written && !sink.is_full() {
            return Err(sink.corrupt("the frame is cut off"));
        }
    }
    if window_max <= KEPT_WINDOW_MAX {
        *kept = Some(decoder);
    }
    Ok(())
}

/// The window that the frame at the start of `input` asks for; unknown counts as small, because without a window
/// field the content size bounds it, and that is held against the output.
fn window(input: &[u8]) -> u64 {
    const SINGLE_SEGMENT: u8 = 0x20;
    let Some(behind) = input.strip_prefix(&FRAME_MAGIC) else { return 0 };
    let (Some(descriptor), Some(window)) = (behind.first(), behind.get(1)) else { return 0 };
    if descriptor & SINGLE_SEGMENT != 0 {
        return 0;
    }
    let base = 1u64 << (10 + (window >> 3));
    base + base / 8 * u64::from(window & 7)
}

/// The tables of an encoder grow with its level and its input; those of larger ones are not kept.
const KEPT_LEVEL_MAX: i32 = 9;
const KEPT_INPUT_MAX: usize = 1 << 20;

pub(super) fn compress(
    kept: &mut Option<Compressor<'static>>,
    level: Option<i32>,
    input: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Compress { codec: Codec::Zstd, reason: error.to_string() };
    let range = zstd::compression_level_range();
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL).clamp(*range.start(), *range.end());
    let mut encoder = match kept.take() {
        Some(encoder) => encoder,
        None => Compressor::new(level).map_err(failed)?,
    };
    encoder.set_compression_level(level).map_err(failed)?;
    let start = out.len();
    out.resize(start + zstd::zstd_safe::compress_bound(input.len()), 0);
    let written = encoder.compress_to_buffer(input, out.get_mut(start..).unwrap_or_default());
    out.truncate(start + written.map_err(failed)?);
    if level <= KEPT_LEVEL_MAX && input.len() <= KEPT_INPUT_MAX {
        *kept = Some(encoder);
    }
    Ok(())
}
