//! Just enough of the protocol to ask whether a broker is there: Metadata in its oldest versions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A frame: Metadata, version 1, of no topic.
const REQUEST: [u8; 18] = [
    0, 0, 0, 14, // bytes that follow
    0, 3, 0, 1, // key and version
    0, 0, 0, 1, // correlation id
    0xff, 0xff, // no client id
    0, 0, 0, 0, // no topics
];

/// How many brokers it knows of.
pub(crate) fn brokers(stream: &mut TcpStream) -> Result<u32> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&REQUEST)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = usize::try_from(u32::from_be_bytes(size))?;
    ensure!(size < 1 << 20, "an answer of {size} bytes");
    let mut answer = vec![0; size];
    stream.read_exact(&mut answer)?;
    // The correlation id comes first.
    let count = answer.get(4..8).context("the answer is short")?;
    Ok(u32::from_be_bytes(count.try_into()?))
}

pub(super) fn is_ready(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port))
        .ok()
        .and_then(|mut stream| brokers(&mut stream).ok())
        .is_some_and(|count| count > 0)
}
