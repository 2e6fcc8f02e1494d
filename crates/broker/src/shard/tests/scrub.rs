//! The background check.

use super::*;

/// A partition whose open segment is synced, with a byte of its batch at `spoilt` changed.
async fn damaged(bench: &Bench, spoilt: u64) {
    bench.shards.open(spec(0, LogConfig::default())).await.unwrap();
    for _ in 0..40 {
        bench.append(Acks::All, 0, batch()).await.unwrap();
    }
    let head = Position(bench.committer.state.lock().unwrap().position);
    bench.committer.report(&Report::RingPressure { dir: 0, free_up_to: head, full: Some(Position(0)) });
    bench.sleep(Duration::from_millis(500)).await;
    let path = Path::new("/data/flights-0/00000000000000000000.log");
    let file = bench.host.disk.files().open(path, OpenMode::WRITE).unwrap();
    let size = batch().size() as u64;
    assert_eq!(file.len().unwrap(), 40 * size);
    let (at, mut byte) = (spoilt * size + size - 1, [0]);
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[vec![byte[0] ^ 1].into()], at).unwrap();
    file.sync().unwrap();
}

async fn read_file(bench: &Bench, offset: i64) -> (ErrorCode, usize) {
    let read = Read { from_file: true, ..read(0, offset, 1 << 20) };
    let reply = bench.shards.read(vec![read], 1 << 20, true, None).await.remove(0);
    (reply.error, reply.records.len() / batch().size())
}

#[test]
fn damage_is_found_before_a_reader_meets_it() {
    let scrub = ScrubOptions { interval: Some(Duration::from_secs(10)), ..ScrubOptions::default() };
    on_bench(&ShardsOptions { scrub, ..ShardsOptions::default() }, async |bench| {
        damaged(&bench, 10).await;
        bench.sleep(Duration::from_secs(15)).await;
        assert_eq!(read_file(&bench, 0).await, (ErrorCode::None, 10), "up to the damage");
        assert_eq!(read_file(&bench, 20).await, (ErrorCode::KafkaStorageError, 0));
        assert_eq!(read_file(&bench, 22).await, (ErrorCode::None, 29), "and behind it");
    });
}

/// A closed segment is checked by each read: what that meets counts like what the background check finds, once.
#[test]
fn damage_that_a_reader_meets_is_counted() {
    let scrub = ScrubOptions { interval: None, ..ScrubOptions::default() };
    on_bench(&ShardsOptions { scrub, ..ShardsOptions::default() }, async |bench| {
        bench.shards.open(spec(0, small_segments())).await.unwrap();
        for _ in 0..40 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(10)).await;
        let path = Path::new("/data/flights-0/00000000000000000000.log");
        let file = bench.host.disk.files().open(path, OpenMode::WRITE).unwrap();
        let last = batch().size() as u64 - 1;
        let mut byte = [0];
        file.read_at(&mut byte, last).unwrap();
        file.write_at(&[vec![byte[0] ^ 1].into()], last).unwrap();
        assert_eq!(bench.status(0).await.damaged_segments, 0, "nobody has met it");
        for _ in 0..2 {
            assert_eq!(read_file(&bench, 0).await, (ErrorCode::KafkaStorageError, 0));
            assert_eq!(bench.status(0).await.damaged_segments, 1);
        }
        assert_eq!(read_file(&bench, 2).await.0, ErrorCode::None, "what is behind it");
    });
}

#[test]
fn the_check_can_be_slow_and_can_be_off() {
    let at = |interval, bytes_per_second| ScrubOptions { interval, bytes_per_second };
    let often = Some(Duration::from_secs(10));
    for (scrub, is_found) in [(at(None, 8 << 20), false), (at(often, 1), true)] {
        on_bench(&ShardsOptions { scrub, ..ShardsOptions::default() }, async |bench| {
            damaged(&bench, 0).await;
            bench.sleep(Duration::from_secs(100)).await;
            let expected = if is_found { ErrorCode::KafkaStorageError } else { ErrorCode::None };
            assert_eq!(read_file(&bench, 0).await.0, expected, "{scrub:?}");
        });
    }
}
