//! A connection's bytes: cut into frames however they arrive, and each frame's header and body.
//!
//! Checked: what is cut is what lies between the lengths, whatever the pieces; a header that was read and is written again is the
//! same one when it is read the next time.

use broker::testing::frames;
use bytes::Bytes;
use protocol::messages::RequestHeader;
use protocol::rpc::decode_request_header;
use protocol::wire::{Codec, Reader, Writer};

use crate::{Input, messages};

/// Up to this a frame is not weighed by what it may become.
const SMALL_BYTES: usize = 64 << 10;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let frame_bytes_max = input.pick(&[100, 5_000, 1 << 20]);
    let sizes = input.take(4).to_vec();
    let stream = input.rest();

    let whole = frames([stream].into_iter(), frame_bytes_max);
    let pieces = frames(pieces(stream, &sizes).into_iter(), frame_bytes_max);
    assert_eq!(whole, pieces, "frames do not depend on how their bytes arrive");
    let cut = cut(stream, frame_bytes_max);
    assert!(cut.starts_with(&whole), "{} frames of {}", whole.len(), cut.len());
    assert!(whole.len() == cut.len() || stream.len() > SMALL_BYTES);
    whole.iter().for_each(read);
}

/// Pieces of these sizes, again and again.
fn pieces<'a>(mut stream: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at((usize::from(*size) + 1).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces
}

/// What lies between the lengths.
fn cut(mut stream: &[u8], frame_bytes_max: usize) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while let Some((prefix, rest)) = stream.split_first_chunk() {
        let Ok(len) = usize::try_from(i32::from_be_bytes(*prefix)) else { break };
        let Some((frame, rest)) = rest.split_at_checked(len).filter(|_| len <= frame_bytes_max) else {
            break;
        };
        frames.push(Bytes::copy_from_slice(frame));
        stream = rest;
    }
    frames
}

fn read(frame: &Bytes) {
    let mut reader = Reader::new(frame);
    let Ok((key, header)) = decode_request_header(&mut reader) else { return };
    let version = key.request_header_version(header.request_api_version);
    let mut writer = Writer::new();
    header.write(&mut writer, version);
    let written = writer.finish().unwrap().into_bytes().unwrap();
    assert_eq!(RequestHeader::read(&mut Reader::new(&written), version).unwrap(), header);

    messages::recode_request(key, header.request_api_version, &reader.rest());
}
