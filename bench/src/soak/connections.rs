//! [`Connections`]: sockets beside those of the clients: most have asked for metadata once and wait, some ask for records again
//! and again and read nothing of the answers.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Result;

use super::topic;
use crate::compare::wire;

/// One of so many never reads.
const DEAF_OF: usize = 50;
/// Fetches that such a one asks for at once.
const FETCHES: usize = 20;

#[derive(Debug)]
pub(super) struct Connections {
    port: u16,
    pid: u32,
    partitions: i32,
    idle: Vec<TcpStream>,
    deaf: Vec<TcpStream>,
}

impl Connections {
    pub(super) fn new(port: u16, pid: u32, partitions: i32) -> Self {
        Self { port, pid, partitions, idle: Vec::new(), deaf: Vec::new() }
    }

    /// Sockets that the broker has open, those it listens on among them.
    pub(super) fn count(&self) -> Result<usize> {
        let path: PathBuf = ["/proc", &self.pid.to_string(), "fd"].iter().collect();
        let mut count = 0;
        for entry in std::fs::read_dir(path)? {
            // It may be closed by now.
            let link = std::fs::read_link(entry?.path()).unwrap_or_default();
            count += usize::from(link.to_string_lossy().starts_with("socket:"));
        }
        Ok(count)
    }

    /// Opens what is missing. Whom the broker has ended is replaced.
    pub(super) fn open_up_to(&mut self, wanted: usize) -> Result<()> {
        self.idle.retain(is_open);
        // One that says nothing any more has been ended, or waits for its answers to be read; it asks again in any case.
        let request = fetch(self.partitions);
        self.deaf.retain_mut(
            |stream| !matches!(stream.write(&request), Err(error) if error.kind() != ErrorKind::WouldBlock),
        );
        for _ in self.count()?..wanted {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            if (self.idle.len() + self.deaf.len()).is_multiple_of(DEAF_OF) {
                (0..FETCHES).try_for_each(|_| stream.write_all(&request))?;
                stream.set_nonblocking(true)?;
                self.deaf.push(stream);
            } else {
                wire::brokers(&mut stream)?;
                stream.set_nonblocking(true)?;
                self.idle.push(stream);
            }
        }
        Ok(())
    }
}

/// Of one that does not block, and has nothing to read while it is open.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// A Fetch of version 4: 50 MB of all partitions of a topic from their beginning on.
fn fetch(partitions: i32) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
    let mut put = |number: i32| body.extend_from_slice(&number.to_be_bytes());
    // No replica, half a second, a byte at least, and so many at most.
    [-1, 500, 1, 50 << 20].into_iter().for_each(&mut put);
    body.push(0);
    body.extend_from_slice(&1_i32.to_be_bytes());
    let topic = topic(0);
    body.extend_from_slice(&i16::try_from(topic.len()).unwrap_or(0).to_be_bytes());
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(&partitions.to_be_bytes());
    for partition in 0..partitions {
        body.extend_from_slice(&partition.to_be_bytes());
        body.extend_from_slice(&0_i64.to_be_bytes());
        body.extend_from_slice(&(1_i32 << 20).to_be_bytes());
    }
    let mut frame = i32::try_from(body.len()).unwrap_or(0).to_be_bytes().to_vec();
    frame.append(&mut body);
    frame
}
