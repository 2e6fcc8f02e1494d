//! Requests and responses as whole frames: header and body together.
//!
//! Owns: which header goes with which API key and version.
//!
//! Does not know: connections, or who waits for which correlation id.

use bytes::Bytes;

use crate::messages::{RequestHeader, ResponseHeader};
use crate::wire::{Codec, Error, Frame, Message, Reader, Request, Response, Writer};
use crate::{ApiKey, Str};

/// A request with its length prefix, ready to be sent.
pub fn encode_request<R: Request>(
    w: &mut Writer,
    version: i16,
    correlation_id: i32,
    client_id: Option<Str>,
    body: &R,
) -> Result<Frame, Error> {
    R::check_version(version)?;
    let header = RequestHeader {
        request_api_key: R::KEY.code(),
        request_api_version: version,
        correlation_id,
        client_id,
    };
    w.begin_frame();
    header.write(w, R::KEY.request_header_version(version));
    body.write(w, version);
    w.finish()
}

/// A response with its length prefix, ready to be sent.
pub fn encode_response<R: Response>(
    w: &mut Writer,
    version: i16,
    correlation_id: i32,
    body: &R,
) -> Result<Frame, Error> {
    R::check_version(version)?;
    w.begin_frame();
    ResponseHeader { correlation_id }.write(w, R::KEY.response_header_version(version));
    body.write(w, version);
    w.finish()
}

/// The header of a request and its key; the body is next in `r`. The version is the client's claim and may be one that
/// [`Message::decode`] refuses.
pub fn decode_request_header(r: &mut Reader<'_>) -> Result<(ApiKey, RequestHeader), Error> {
    let mut peek = r.clone();
    let key = ApiKey::try_from(peek.i16()?)?;
    let version = peek.i16()?;
    let header = RequestHeader::read(r, key.request_header_version(version))?;
    Ok((key, header))
}

/// The correlation id and body of a frame that answers a request of type `R`.
pub fn decode_response<R: Request>(frame: &Bytes, version: i16) -> Result<(i32, R::Response), Error> {
    let mut r = Reader::new(frame);
    let header = ResponseHeader::read(&mut r, R::KEY.response_header_version(version))?;
    Ok((header.correlation_id, R::Response::decode(&mut r, version)?))
}
