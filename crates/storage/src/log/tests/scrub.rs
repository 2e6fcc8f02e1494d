//! Damage at rest.

use super::*;
use crate::segment::Damage;
use crate::segment::names::segment_file;

/// Checks all segments in pieces of `bytes_max`, and answers what is damaged: base of the segment, damage.
fn scrub(bench: &Bench, bytes_max: u64) -> Vec<(i64, Damage)> {
    let (mut behind, mut found) = (None, Vec::new());
    while let Some(mut scrub) = bench.log.next_scrub(behind) {
        let base = scrub.base();
        behind = Some(base);
        loop {
            match scrub.run(&*bench.files, bytes_max).expect("the disk works").1 {
                Scrubbed::More(more) => scrub = *more,
                Scrubbed::Whole => break,
                Scrubbed::Damaged(damage) => {
                    found.push((base.0, damage));
                    break;
                }
            }
        }
    }
    found
}

/// Changes a byte of the segment at `base`.
fn spoil(bench: &Bench, base: i64, position: u64) {
    let path = segment_file(bench.log.dir(), Offset(base), FileKind::Log);
    let file = bench.files.open(&path, host::OpenMode::WRITE).expect("it is there");
    let mut byte = [0];
    assert_eq!(file.read_at(&mut byte, position).expect("the disk works"), 1);
    file.write_at(&[Bytes::from(vec![byte[0] ^ 4])], position).expect("the disk works");
    file.sync().expect("the disk works");
}

fn try_read(bench: &Bench, offset: i64) -> Result<usize, String> {
    let limit = bench.log.high_watermark();
    match bench.log.read(Offset(offset), up_to(limit, 10_000, true)).expect("it is in range") {
        ReadPlan::Cold(cold) => {
            cold.run(&*bench.files, &bench.open).map(|region| region.len).map_err(|error| error.to_string())
        }
        plan => panic!("{plan:?}"),
    }
}

#[test]
fn what_is_whole_passes_in_any_condition() {
    in_all_conditions(small_segments(), |name, bench| {
        assert_eq!(scrub(bench, u64::MAX), [], "{name}");
        assert_eq!(scrub(bench, 1), [], "{name}");
    });
}

#[test]
fn damage_is_found_and_never_served() {
    let size = batch(&[0, 0]).size() as u64;
    let mut bench = filled(small_segments());
    bench.flush();
    bench.evict();
    let second = bench.log.sealed[1].base.0;
    // In the records of the second batch of the second segment.
    spoil(&bench, second, 2 * size - 3);
    let found = scrub(&bench, 200);
    let at: Vec<_> = found.iter().map(|(base, damage)| (*base, damage.position, damage.after.0)).collect();
    assert_eq!(at, [(second, size, second + 1)]);
    assert!(found[0].1.what.contains("crc"), "{}", found[0].1);
    assert_eq!(try_read(&bench, second), Ok(usize::try_from(size).expect("small")), "what is in front of it");
    let error = try_read(&bench, second + 2).expect_err("it is damaged");
    assert!(error.contains(".log: damaged at byte"), "{error}");
    assert!(try_read(&bench, second + 4).is_ok(), "what is behind it");
}

/// The connections of whoever read from such a segment just ended, also of those who read what was in front of the cut.
#[test]
fn what_is_left_of_a_closed_segment_that_was_cut_is_read() {
    let size = batch(&[0, 0]).size();
    let mut bench = filled(small_segments());
    bench.flush();
    let first = bench.log.sealed[0];
    let path = segment_file(bench.log.dir(), first.base, FileKind::Log);
    let file = bench.files.open(&path, host::OpenMode::WRITE).expect("it is there");
    file.set_len(2 * size as u64 + 10).expect("the disk works");
    file.sync().expect("the disk works");
    bench.reopen();
    assert_eq!(try_read(&bench, 0), Ok(2 * size));
    assert_eq!(try_read(&bench, 2), Ok(size));
    let error = try_read(&bench, 4).expect_err("it is not there");
    assert!(error.contains(".log"), "{error}");
    assert!(try_read(&bench, first.end.0).is_ok(), "the next segment");
}

#[test]
fn damage_in_the_open_segment_is_not_served_once_it_is_known() {
    let mut bench = filled(LogConfig::default());
    bench.flush();
    bench.evict();
    spoil(&bench, 0, 100);
    assert!(try_read(&bench, 0).is_ok(), "what was written a short while ago is not read to be sent");
    assert_eq!(scrub(&bench, 1_000).len(), 1);
    assert!(bench.log.still_has(Offset(0), 1) && !bench.log.still_has(Offset(1), 1));
    assert!(bench.log.suspect(Offset(0), false) && !bench.log.suspect(Offset(0), false));
    assert!(try_read(&bench, 0).is_err());
}

#[test]
fn a_file_that_became_short_or_has_gone_is_found() {
    let mut bench = filled(small_segments());
    bench.flush();
    let first = bench.log.sealed[0];
    let path = segment_file(bench.log.dir(), first.base, FileKind::Log);
    let file = bench.files.open(&path, host::OpenMode::WRITE).expect("it is there");
    file.set_len(u64::from(first.bytes) - 1).expect("the disk works");
    file.sync().expect("the disk works");
    let found = scrub(&bench, u64::MAX);
    assert_eq!(found.len(), 1);
    assert!(found[0].1.what.contains("bytes were synced"), "{}", found[0].1);
    bench.files.remove_file(&path).expect("the disk works");
    let scrub = bench.log.next_scrub(None).expect("the first segment");
    assert_eq!(scrub.run(&*bench.files, 1).expect_err("it has gone").kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn bytes_that_changed_in_memory_come_out_of_the_file() {
    let mut bench = filled(LogConfig::default());
    bench.log.tail.spoil(3);
    let limit = bench.log.high_watermark();
    let plan =
        |bench: &Bench, offset| bench.log.read(Offset(offset), up_to(limit, 10_000, true)).expect("in range");
    assert!(matches!(plan(&bench, 6), ReadPlan::Damaged(facts) if facts.base_offset == Offset(6)));
    let ReadPlan::Now { records, .. } = plan(&bench, 0) else { panic!("the first three are whole") };
    assert_eq!(records.len(), 3 * batch(&[0, 0]).size());
    let mut bench = filled(LogConfig::default());
    bench.flush();
    bench.log.tail.spoil(3);
    assert_eq!(bench.read(6, 10_000, true).first(), Some(&(6, 7)));
}
