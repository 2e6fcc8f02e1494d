//! Measures ways to write on this machine: `cargo run --release -p bourn-storage --example write_path -- DIR [MIB]`.
//!
//! First small synced rounds (one block each): latency of write and sync together. Then bulk (MIB per variant):
//! seconds, and CPU seconds of this process for a GB. Variants take turns, so that a noisy machine is noisy for all of
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
    real::run(real::Options::default(), |host| async move {
        let files = host.disk.files();
        if files.exists(&dir).unwrap() {
            // Files that an interrupted run has left would not grow.
            files.remove_dir_all(&dir).unwrap();
        }
        files.create_dir_all(&dir).unwrap();
        small(files.as_ref(), &dir);
        bulk(&files, &dir, bulk_mib << 20);
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

#[derive(Clone, Copy, Debug)]
enum Bulk {
    /// Straight to the segments, each synced every 4 MiB.
    Segments,
    /// As above, but every round's segment is synced before the next: what write-once bulk would have to do.
    SegmentsEachRound,
    /// Into a growing file past the page cache, synced each round.
    DirectGrowing,
    /// The ring only, synced each round.
    Journal,
    /// The ring as above, and the segments, which are synced every 4 MiB.
    JournalAndSegments,
}

fn bulk(files: &Arc<dyn Files>, dir: &Path, bytes: u64) {
    use Bulk::{DirectGrowing, Journal, JournalAndSegments, Segments, SegmentsEachRound};
    let variants = [Segments, SegmentsEachRound, DirectGrowing, Journal, JournalAndSegments];
    let mut results = vec![Vec::new(); variants.len()];
    for turn in 0..3 {
        for (variant, results) in variants.iter().zip(&mut results) {
            let ring = files.open(&dir.join("ring"), OpenMode::CREATE.direct()).unwrap();
            if ring.len().unwrap() == 0 {
                fill(&ring, 4 * RING_BYTES);
            }
            let (began, cpu) = (Instant::now(), cpu_seconds(files));
            write_bulk(files.as_ref(), dir, *variant, bytes, &ring);
            let gb = bytes as f64 / 1e9;
            results.push((began.elapsed().as_secs_f64() / gb, (cpu_seconds(files) - cpu) / gb));
            for segment in 0..SEGMENTS {
                drop(files.remove_file(&dir.join(format!("segment-{segment}"))));
            }
            println!("turn {turn} {variant:?} {:.2?}", results.last().unwrap());
        }
    }
    println!("bulk, each GB                   seconds (best, worst)   CPU seconds (best, worst)");
    for (variant, results) in variants.iter().zip(&results) {
        let (mut seconds, mut cpu): (Vec<f64>, Vec<f64>) = results.iter().copied().unzip();
        seconds.sort_by(f64::total_cmp);
        cpu.sort_by(f64::total_cmp);
        let name = format!("{variant:?}");
        println!("{name:30} {:8.2} {:8.2}        {:8.2} {:8.2}", seconds[0], seconds[2], cpu[0], cpu[2]);
    }
}

/// Rounds of 1 MiB; source memory that no cache holds, copied and checksummed once as the journal does it.
fn write_bulk(files: &dyn Files, dir: &Path, variant: Bulk, bytes: u64, ring: &FileRef) {
    const ROUND: usize = 1 << 20;
    const SYNC_ROUNDS: usize = 4;
    let source = vec![7_u8; 64 << 20];
    let segments: Vec<FileRef> = (0..SEGMENTS)
        .map(|n| {
            let mode = OpenMode::CREATE;
            let mode = if matches!(variant, Bulk::DirectGrowing) { mode.direct() } else { mode };
            files.open(&dir.join(format!("segment-{n}")), mode).unwrap()
        })
        .collect();
    let mut ends = [0_u64; SEGMENTS];
    let pool = AlignedPool::new(2, ROUND);
    let ring_bytes = ring.len().unwrap();
    for round in 0..bytes as usize / ROUND {
        let from = &source[round * ROUND % source.len()..][..ROUND];
        let mut buffer = pool.take(ROUND);
        buffer.extend_from_slice(from);
        std::hint::black_box(crc_fast::crc32_iscsi(buffer.as_slice()));
        let data = buffer.freeze();
        if matches!(variant, Bulk::Journal | Bulk::JournalAndSegments) {
            ring.write_at(std::slice::from_ref(&data), (round * ROUND) as u64 % ring_bytes).unwrap();
            ring.sync().unwrap();
        }
        if matches!(variant, Bulk::Journal) {
            continue;
        }
        let (segment, end) = (&segments[round % SEGMENTS], &mut ends[round % SEGMENTS]);
        for piece in 0..4 {
            let piece = data.slice(piece * ROUND / 4..(piece + 1) * ROUND / 4);
            segment.write_at(&[piece], *end).unwrap();
            *end += ROUND as u64 / 4;
        }
        let each = matches!(variant, Bulk::SegmentsEachRound | Bulk::DirectGrowing);
        if each || (round / SEGMENTS) % SYNC_ROUNDS == SYNC_ROUNDS - 1 {
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
