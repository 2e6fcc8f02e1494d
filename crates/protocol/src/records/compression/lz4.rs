//! One LZ4 frame, as Kafka's v2 batches carry it. Written with independent 64 KiB blocks, like the Java client.

use std::io::{self, BufRead, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::{Codec, Error, Sink};

/// The decoder also knows legacy and skippable frames; Kafka does not.
const FRAME_MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();

/// Remembers whether somebody wanted more than there is: the decoder takes a frame that is cut off between two
/// blocks for a whole one.
struct Input<'a> {
    left: &'a [u8],
    ran_out: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.left.read(buffer)?;
        self.ran_out |= read == 0 && !buffer.is_empty();
        Ok(read)
    }
}

pub(super) fn decompress(input: &[u8], sink: &mut Sink) -> Result<(), Error> {
    if !input.starts_with(&FRAME_MAGIC) {
        return Err(sink.corrupt("not an LZ4 frame"));
    }
    let mut decoder = FrameDecoder::new(Input { left: input, ran_out: false });
    loop {
        let block = decoder.fill_buf().map_err(|error| sink.corrupt(error))?;
        if block.is_empty() {
            break;
        }
        sink.extend(block)?;
        let length = block.len();
        decoder.consume(length);
    }
    match decoder.get_ref() {
        Input { ran_out: true, .. } => Err(sink.corrupt("the frame is cut off")),
        Input { left, .. } if !left.is_empty() => Err(sink.corrupt("bytes follow the frame")),
        _ => Ok(()),
    }
}

pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let failed = |reason: String| Error::Compress { codec: Codec::Lz4, reason };
    let mut encoder = FrameEncoder::with_frame_info(info, out);
    encoder.write_all(input).map_err(|error| failed(error.to_string()))?;
    encoder.finish().map_err(|error| failed(error.to_string()))?;
    Ok(())
}
