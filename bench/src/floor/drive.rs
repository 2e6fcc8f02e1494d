//! The other end of each loop.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::serve::fill;
use super::{ANSWER, Asked, FLIGHT, Mode, REQUEST};

pub(super) fn drive(mode: Mode, port: u16, bytes: u64, asked: Asked) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    match mode {
        Mode::Receive => {
            let buffer = vec![3; 1 << 20];
            let mut left = usize::try_from(bytes)?;
            while left > 0 {
                let piece = buffer.get(..left.min(buffer.len())).unwrap_or_default();
                stream.write_all(piece)?;
                left -= piece.len();
            }
        }
        Mode::Sendfile | Mode::Writev => {
            let mut buffer = vec![0; 1 << 20];
            while stream.read(&mut buffer)? > 0 {}
        }
        Mode::Answer => ask(&mut stream, asked, 1)?,
        Mode::AnswerSynced => ask(&mut stream, asked, FLIGHT)?,
    }
    Ok(())
}

/// In groups that are answered together.
fn ask(stream: &mut TcpStream, asked: Asked, group: usize) -> Result<()> {
    let questions = vec![1; group * REQUEST];
    let mut answers = vec![0; group * ANSWER];
    let (all, mut sent) = (asked.requests / group as u64, 0);
    // An answer frees the place of the next request; with a rate there is one group at a time.
    let flight = if asked.rate.is_some() { 1 } else { FLIGHT / group };
    let began = Instant::now();
    let mut send = |stream: &mut TcpStream| -> Result<()> {
        if let Some(rate) = asked.rate {
            let due = Duration::from_nanos(sent * group as u64 * 1_000_000_000 / rate);
            // Timers are too coarse. The other end sleeps meanwhile, as a broker does.
            while began.elapsed() < due {
                std::hint::spin_loop();
            }
        }
        if sent < all {
            stream.write_all(&questions)?;
            sent += 1;
        }
        Ok(())
    };
    for _ in 0..flight {
        send(stream)?;
    }
    for _ in 0..all {
        ensure!(fill(stream, &mut answers)? == answers.len(), "the floor has hung up");
        send(stream)?;
    }
    Ok(())
}
