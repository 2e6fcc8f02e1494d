//! A journal by itself: a file whose blocks have been written before, written past the page cache and synced.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use hdrhistogram::Histogram;
use serde_json::json;

use crate::load::Percentiles;
use crate::usage::own_cpu_seconds;

pub(super) const BLOCK: usize = 4096;
pub(super) const JOURNAL: u64 = 64 << 20;

pub(super) fn journal(path: &Path) -> Result<File> {
    let mut zeroes = File::create(path)?;
    let mebibyte = vec![0; 1 << 20];
    for _ in 0..JOURNAL >> 20 {
        zeroes.write_all(&mebibyte)?;
    }
    zeroes.sync_all()?;
    let direct = i32::try_from(rustix::fs::OFlags::DIRECT.bits())?;
    Ok(OpenOptions::new().write(true).custom_flags(direct).open(path)?)
}

/// A block of memory where O_DIRECT wants it.
pub(super) struct Block {
    bytes: Vec<u8>,
    from: usize,
}

impl Block {
    pub(super) fn new() -> Self {
        let bytes = vec![1; 2 * BLOCK];
        let from = bytes.as_ptr().align_offset(BLOCK);
        Self { bytes, from }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.from..self.from + BLOCK).unwrap_or_default()
    }
}

pub(super) fn sync(dir: &Path, beside: bool, rounds: u32) -> Result<()> {
    let file = journal(&dir.join("journal"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = beside.then(|| {
        let (path, stop) = (dir.join("segment"), stop.clone());
        std::thread::spawn(move || segments(&path, &stop))
    });
    let block = Block::new();
    let mut times: Histogram<u64> = Histogram::new(3)?;
    // Of this thread only: the writer's is not the journal's.
    let cpu = own_cpu_seconds()?;
    for round in 0..u64::from(rounds) {
        let began = Instant::now();
        file.write_all_at(block.bytes(), round * BLOCK as u64 % JOURNAL)?;
        file.sync_data()?;
        times.record(u64::try_from(began.elapsed().as_nanos())?)?;
    }
    let cpu = own_cpu_seconds()? - cpu;
    stop.store(true, Ordering::Relaxed);
    if let Some(writer) = writer {
        writer.join().map_err(|_| anyhow!("the writer of segments failed"))??;
    }
    let each = cpu * 1e6 / f64::from(rounds);
    println!("{}", json!({ "latency_ms": Percentiles::of(&times), "cpu_us": each }));
    Ok(())
}

/// Pieces of 256 KiB at 100 MB/s into a growing file, which is cut at a gigabyte.
fn segments(path: &Path, stop: &AtomicBool) -> Result<()> {
    let file = File::create(path)?;
    let piece = vec![9; 256 << 10];
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        file.write_all_at(&piece, at)?;
        at += piece.len() as u64;
        if at >= 1 << 30 {
            file.set_len(0)?;
            at = 0;
        }
        std::thread::sleep(Duration::from_micros(2_600));
    }
    Ok(())
}
