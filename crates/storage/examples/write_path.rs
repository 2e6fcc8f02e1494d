//! Measures ways to write on this machine: `cargo run --release -p bourn-storage --example write_path -- DIR [MIB [VARIANT]]`.
//!
//! First small synced rounds (one block each): latency of write and sync together. Then bulk (MIB per variant):
//! seconds, and CPU seconds of this process for a GB. Last what bulk does to small synced rounds beside it. Variants take turns, so that a noisy machine is noisy for all of
//! them. The decision that came out of it is docs/decisions/0001-write-path.md.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use host::disk::{AlignedPool, BLOCK_BYTES};
use host::{FileRef, Files, OpenMode, real};

const RING_BYTES: u64 = 32 << 20;
const ROUNDS: usize = 400;
const TURNS: usize = 5;
const SEGMENTS: usize = 6;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned())).join("write-path");
    let bulk_mib: u64 = arguments.next().map_or(512, |mib| mib.parse().unwrap());
    let only = arguments.next();
    real::run(real::Options::default(), |host| async move {
        let files = host.disk.files();
        if files.exists(&dir).unwrap() {
            // Files that an interrupted run has left would not grow.
            files.remove_dir_all(&dir).unwrap();
        }
        files.create_dir_all(&dir).unwrap();
        if only.is_none() {
            small(files.as_ref(), &dir);
        }
        bulk(&files, &dir, bulk_mib << 20, only.as_deref());
        if only.is_none() {
            beside(&files, &dir);
        }
        files.remove_dir_all(&dir).unwrap();
    })
    .unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Small {
    BufferedGrowing,
    BufferedRecycled,
    DirectGrowing,
    DirectAllocated,
    DirectRecycled,
    FilePerPartition,
}

fn small(files: &dyn Files, dir: &Path) {
    use Small::{
        BufferedGrowing, BufferedRecycled, DirectAllocated, DirectGrowing, DirectRecycled, FilePerPartition,
    };
    let variants =
        [BufferedGrowing, BufferedRecycled, DirectGrowing, DirectAllocated, DirectRecycled, FilePerPartition];
    let mut times = vec![Vec::new(); variants.len()];
    for turn in 0..TURNS {
        for (variant, times) in variants.iter().zip(&mut times) {
            let path = dir.join(format!("small-{variant:?}-{turn}"));
            let file = prepare(files, &path, *variant);
            let rounds = if *variant == FilePerPartition { ROUNDS / 20 } else { ROUNDS };
            let many: Vec<FileRef> = if *variant == FilePerPartition {
                let open = |n| files.open(&dir.join(format!("p{n}")), OpenMode::CREATE).unwrap();
                (0..100).map(open).collect()
            } else {
                Vec::new()
            };
            let block = aligned(BLOCK_BYTES);
            for round in 0..rounds {
                let offset = (round * BLOCK_BYTES) as u64;
                let began = Instant::now();
                if many.is_empty() {
                    file.write_at(std::slice::from_ref(&block), offset).unwrap();
                    file.sync().unwrap();
                }
                for file in &many {
                    file.write_at(&[block.slice(..170)], (turn * rounds + round) as u64 * 170).unwrap();
                    file.sync().unwrap();
                }
                times.push(began.elapsed().as_secs_f64() * 1000.0);
            }
        }
    }
    println!("small synced rounds, ms             p50     p90     p99     max");
    for (variant, times) in variants.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        let name = format!("{variant:?}");
        println!("{name:30} {:8.3}{:8.3}{:8.3}{:8.3}", at(0.5), at(0.9), at(0.99), at(1.0));
    }
}

fn prepare(files: &dyn Files, path: &Path, variant: Small) -> FileRef {
    let direct = matches!(variant, Small::DirectGrowing | Small::DirectAllocated | Small::DirectRecycled);
    let mode = if direct { OpenMode::CREATE.direct() } else { OpenMode::CREATE };
    let file = files.open(path, mode).unwrap();
    match variant {
        Small::BufferedRecycled | Small::DirectRecycled => fill(&file, RING_BYTES),
        Small::DirectAllocated => file.allocate(0, RING_BYTES).unwrap(),
        _ => {}
    }
    file.sync().unwrap();
    file
}

fn fill(file: &FileRef, bytes: u64) {
    let zeros = aligned(256 << 10);
    for offset in (0..bytes).step_by(zeros.len()) {
        file.write_at(std::slice::from_ref(&zeros), offset).unwrap();
    }
    file.sync().unwrap();
}

fn aligned(bytes: usize) -> Bytes {
    let mut buffer = AlignedPool::new(1, bytes).take(bytes);
    buffer.resize(bytes);
    buffer.freeze()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bulk {
    /// Straight to the segments, each synced every 4 MiB.
    Segments,
    /// As above, but every round's segment is synced before the next.
    SegmentsEachRound,
    /// Into a growing file past the page cache, synced each round.
    DirectGrowing,
    /// The ring only, synced each round.
    Journal,
    /// The ring as above, and the segments, which are synced every 4 MiB.
    JournalAndSegments,
    /// The same with segments past the page cache, which takes one more copy.
    JournalAndDirect,
    /// The same with space allocated ahead.
    JournalAndDirectAllocated,
    /// Past the page cache into the segment, which is synced, then a block of the ring that says so: what writing bulk once
    /// would have to do.
    Once,
}

impl Bulk {
    const ALL: [Self; 8] = [
        Self::Segments,
        Self::SegmentsEachRound,
        Self::DirectGrowing,
        Self::Journal,
        Self::JournalAndSegments,
        Self::JournalAndDirect,
        Self::JournalAndDirectAllocated,
        Self::Once,
    ];

    fn is_direct(self) -> bool {
        use Bulk::{DirectGrowing, JournalAndDirect, JournalAndDirectAllocated, Once};
        matches!(self, DirectGrowing | JournalAndDirect | JournalAndDirectAllocated | Once)
    }

    /// Whether the segment is synced before the round counts as done.
    fn syncs_each(self) -> bool {
        matches!(self, Self::SegmentsEachRound | Self::DirectGrowing | Self::Once)
    }

    fn has_ring(self) -> bool {
        use Bulk::{Journal, JournalAndDirect, JournalAndDirectAllocated, JournalAndSegments};
        matches!(self, Journal | JournalAndSegments | JournalAndDirect | JournalAndDirectAllocated)
    }
}

fn bulk(files: &Arc<dyn Files>, dir: &Path, bytes: u64, only: Option<&str>) {
    let mut results = vec![Vec::new(); Bulk::ALL.len()];
    for turn in 0..3 {
        for (variant, results) in Bulk::ALL.iter().zip(&mut results) {
            if only.is_some_and(|only| only != format!("{variant:?}")) {
                results.push((0.0, 0.0));
                continue;
            }
            let mut path = WritePath::new(files.as_ref(), dir, *variant);
            let (began, cpu) = (Instant::now(), cpu_seconds(files));
            path.write(bytes, None);
            let gb = bytes as f64 / 1e9;
            results.push((began.elapsed().as_secs_f64() / gb, (cpu_seconds(files) - cpu) / gb));
            path.remove(files.as_ref(), dir);
            println!("turn {turn} {variant:?} {:.2?}", results.last().unwrap());
        }
    }
    println!("bulk, each GB                   seconds (best, worst)   CPU seconds (best, worst)");
    for (variant, results) in Bulk::ALL.iter().zip(&results) {
        let (mut seconds, mut cpu): (Vec<f64>, Vec<f64>) = results.iter().copied().unzip();
        seconds.sort_by(f64::total_cmp);
        cpu.sort_by(f64::total_cmp);
        let name = format!("{variant:?}");
        println!("{name:30} {:8.2} {:8.2}        {:8.2} {:8.2}", seconds[0], seconds[2], cpu[0], cpu[2]);
    }
}

/// Bulk at a pace, while another thread writes and syncs a block of a recycled file every other millisecond.
fn beside(files: &Arc<dyn Files>, dir: &Path) {
    const RATE: u64 = 64 << 20;
    const SECONDS: u64 = 6;
    println!("a small synced write beside bulk of 64 MiB/s, ms     p50     p99   p99.9     max");
    for turn in 0..3 {
        for variant in Bulk::ALL {
            let mut path = WritePath::new(files.as_ref(), dir, variant);
            let probe = prepare(files.as_ref(), &dir.join("probe"), Small::DirectRecycled);
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            let probe = std::thread::spawn(move || probe_times(&probe, &stopped));
            path.write(RATE * SECONDS, Some(RATE));
            drop(stop);
            let mut times = probe.join().unwrap();
            path.remove(files.as_ref(), dir);
            times.sort_by(f64::total_cmp);
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
            let name = format!("turn {turn} {variant:?}");
            println!("{name:50}{:8.3}{:8.3}{:8.3}{:8.3}", at(0.5), at(0.99), at(0.999), at(1.0));
        }
    }
}

fn probe_times(file: &FileRef, stopped: &std::sync::mpsc::Receiver<()>) -> Vec<f64> {
    let block = aligned(BLOCK_BYTES);
    let mut times = Vec::new();
    let pause = std::time::Duration::from_millis(2);
    while stopped.recv_timeout(pause) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
        let began = Instant::now();
        file.write_at(std::slice::from_ref(&block), (times.len() * BLOCK_BYTES) as u64 % RING_BYTES).unwrap();
        file.sync().unwrap();
        times.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    times
}

const ROUND: usize = 1 << 20;
const SYNC_ROUNDS: usize = 4;
const PIECE: usize = 256 << 10;
const ALLOCATE_BYTES: u64 = 16 << 20;

/// The files of a variant.
struct WritePath {
    variant: Bulk,
    ring: FileRef,
    segments: Vec<FileRef>,
    ends: [u64; SEGMENTS],
    allocated: [u64; SEGMENTS],
    pool: AlignedPool,
    /// For the copy that puts a piece of a segment where the device wants it.
    pieces: AlignedPool,
}

impl WritePath {
    fn new(files: &dyn Files, dir: &Path, variant: Bulk) -> Self {
        let ring = files.open(&dir.join("ring"), OpenMode::CREATE.direct()).unwrap();
        if ring.len().unwrap() == 0 {
            fill(&ring, 4 * RING_BYTES);
        }
        let mode = if variant.is_direct() { OpenMode::CREATE.direct() } else { OpenMode::CREATE };
        let segments =
            (0..SEGMENTS).map(|n| files.open(&dir.join(format!("segment-{n}")), mode).unwrap()).collect();
        let (pool, pieces) = (AlignedPool::new(2, ROUND), AlignedPool::new(2, PIECE));
        Self { variant, ring, segments, ends: [0; SEGMENTS], allocated: [0; SEGMENTS], pool, pieces }
    }

    fn remove(&self, files: &dyn Files, dir: &Path) {
        for segment in 0..SEGMENTS {
            drop(files.remove_file(&dir.join(format!("segment-{segment}"))));
        }
    }

    /// Rounds of 1 MiB; source memory that no cache holds, copied and checksummed once as the journal does it.
    fn write(&mut self, bytes: u64, rate: Option<u64>) {
        let source = vec![7_u8; 64 << 20];
        let began = Instant::now();
        for round in 0..bytes as usize / ROUND {
            if let Some(rate) = rate {
                let due = std::time::Duration::from_secs_f64((round * ROUND) as f64 / rate as f64);
                std::thread::park_timeout(due.saturating_sub(began.elapsed()));
            }
            let mut buffer = self.pool.take(ROUND);
            buffer.extend_from_slice(&source[round * ROUND % source.len()..][..ROUND]);
            std::hint::black_box(crc_fast::crc32_iscsi(buffer.as_slice()));
            let data = buffer.freeze();
            if self.variant.has_ring() {
                let at = (round * ROUND) as u64 % (4 * RING_BYTES);
                self.ring.write_at(std::slice::from_ref(&data), at).unwrap();
                self.ring.sync().unwrap();
            }
            if self.variant != Bulk::Journal {
                self.write_segment(round, &data);
            }
            if self.variant == Bulk::Once {
                let at = (round * BLOCK_BYTES) as u64 % (4 * RING_BYTES);
                self.ring.write_at(&[data.slice(..BLOCK_BYTES)], at).unwrap();
                self.ring.sync().unwrap();
            }
        }
    }

    fn write_segment(&mut self, round: usize, data: &Bytes) {
        let number = round % SEGMENTS;
        let (segment, end) = (&self.segments[number], &mut self.ends[number]);
        let allocated = &mut self.allocated[number];
        if self.variant == Bulk::JournalAndDirectAllocated && *end + ROUND as u64 > *allocated {
            segment.allocate(*allocated, ALLOCATE_BYTES).unwrap();
            *allocated += ALLOCATE_BYTES;
        }
        for piece in (0..ROUND).step_by(PIECE) {
            let mut piece = data.slice(piece..piece + PIECE);
            if self.variant.is_direct() {
                let mut copy = self.pieces.take(PIECE);
                copy.extend_from_slice(&piece);
                piece = copy.freeze();
            }
            segment.write_at(&[piece], *end).unwrap();
            *end += PIECE as u64;
        }
        if self.variant.syncs_each() || (round / SEGMENTS) % SYNC_ROUNDS == SYNC_ROUNDS - 1 {
            segment.sync().unwrap();
            segment.forget(0, *end);
        }
    }
}

/// User and system time of this process so far.
fn cpu_seconds(files: &Arc<dyn Files>) -> f64 {
    let file = files.open(Path::new("/proc/self/stat"), OpenMode::READ).unwrap();
    let mut text = vec![0; 4096];
    let len = file.read_at(&mut text, 0).unwrap();
    let text = String::from_utf8_lossy(&text[..len]).into_owned();
    let ticks = text.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
}
