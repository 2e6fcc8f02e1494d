//! The loops themselves, each for one connection.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use crc_fast::{CrcAlgorithm, Digest};
use serde_json::json;

use super::journal::{BLOCK, Block, JOURNAL, journal};
use super::{ANSWER, FLIGHT, Mode, PIECE, REQUEST, WRITE};
use crate::usage::own_cpu_seconds;

pub(super) fn serve(mode: Mode, path: &Path, bytes: u64) -> Result<()> {
    let file = match mode {
        Mode::AnswerSynced => journal(path)?,
        Mode::Sendfile | Mode::Writev => File::open(path)?,
        Mode::Receive | Mode::Answer => File::create(path)?,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    println!("{}", listener.local_addr()?.port());
    let mut stream = listener.accept()?.0;
    stream.set_nodelay(true)?;
    let (cpu, began) = (own_cpu_seconds()?, Instant::now());
    let done = match mode {
        Mode::Receive => receive(&mut stream, file)?,
        Mode::Sendfile => send_file(&stream, &file, bytes)?,
        Mode::Writev => send_buffer(&mut stream, bytes)?,
        Mode::Answer => answer(&mut stream, &file)?,
        Mode::AnswerSynced => answer_synced(&mut stream, &file)?,
    };
    let (cpu, seconds) = (own_cpu_seconds()? - cpu, began.elapsed().as_secs_f64());
    println!("{}", json!({ "done": done, "seconds": seconds, "cpu_seconds": cpu }));
    Ok(())
}

fn receive(stream: &mut TcpStream, mut file: File) -> Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut total = 0;
    let mut sums = Digest::new(CrcAlgorithm::Crc32Iscsi);
    loop {
        let len = fill(stream, &mut piece)?;
        let Some(bytes) = piece.get(..len).filter(|bytes| !bytes.is_empty()) else { break };
        sums.update(bytes);
        file.write_all(bytes)?;
        total += len as u64;
    }
    // Asked for, so that it is not optimised away.
    ensure!(sums.finalize() <= u64::from(u32::MAX), "a checksum has 32 bits");
    Ok(total)
}

/// As much as there is for `buffer`, less only at the end of the stream.
pub(super) fn fill(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<usize> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest)? {
            0 => break,
            read => len += read,
        }
    }
    Ok(len)
}

fn send_file(stream: &TcpStream, file: &File, bytes: u64) -> Result<u64> {
    let size = file.metadata()?.len();
    ensure!(size > 0, "there is nothing to send");
    let mut sent = 0;
    while sent < bytes {
        let mut from = sent % size;
        let len = usize::try_from((size - from).min(bytes - sent).min(1 << 20))?;
        sent += rustix::fs::sendfile(stream, file, Some(&mut from), len)? as u64;
    }
    Ok(sent)
}

/// From 48 MiB of memory, as a broker sends the newest records: they are in no cache of the processor.
fn send_buffer(stream: &mut TcpStream, bytes: u64) -> Result<u64> {
    let memory = vec![7; 48 << 20];
    let mut sent = 0;
    for piece in memory.chunks(1 << 20).cycle() {
        if sent >= bytes {
            break;
        }
        let (head, rest) = piece.split_at(64);
        let mut slices = [IoSlice::new(head), IoSlice::new(rest)];
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = stream.write_vectored(left)?;
            ensure!(written > 0, "the other end has hung up");
            IoSlice::advance_slices(&mut left, written);
            sent += written as u64;
        }
    }
    Ok(sent)
}

fn answer(stream: &mut TcpStream, file: &File) -> Result<u64> {
    let mut request = [0; REQUEST];
    let (mut answered, mut at) = (0, 0);
    while fill(stream, &mut request)? == REQUEST {
        file.write_all_at(request.get(..WRITE).unwrap_or_default(), at)?;
        at += WRITE as u64;
        stream.write_all(&[0; ANSWER])?;
        answered += 1;
    }
    Ok(answered)
}

fn answer_synced(stream: &mut TcpStream, file: &File) -> Result<u64> {
    let block = Block::new();
    let mut requests = [0; FLIGHT * REQUEST];
    let (mut answered, mut at) = (0, 0);
    while fill(stream, &mut requests)? == requests.len() {
        file.write_all_at(block.bytes(), at)?;
        file.sync_data()?;
        at = (at + BLOCK as u64) % JOURNAL;
        stream.write_all(&[0; FLIGHT * ANSWER])?;
        answered += FLIGHT as u64;
    }
    Ok(answered)
}
