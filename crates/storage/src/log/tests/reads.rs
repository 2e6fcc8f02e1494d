//! Reading, by offset and by time.

use super::*;

#[test]
fn reads_give_whole_batches_in_any_condition() {
    for config in [small_segments(), LogConfig::default()] {
        in_all_conditions(config, |name, bench| {
            let size = batch(&[0, 0]).size();
            assert_eq!(bench.read_all(), all_pairs(20), "{name}");
            assert_eq!(bench.read(7, size, false), [(6, 7)], "{name}");
            assert_eq!(bench.read(0, 2 * size + 1, false), [(0, 1), (2, 3)], "{name}");
            assert_eq!(bench.read(9, size - 1, false), [], "{name}");
            assert_eq!(bench.read(9, 0, true), [(8, 9)], "{name}");
            assert_eq!(bench.read(40, 1000, true), [], "{name}");
            let error = bench.log.read(Offset(41), up_to(Offset(41), 1, true)).expect_err("behind the end");
            assert_eq!((error.start, error.end), (Offset(0), Offset(40)), "{name}");
        });
    }
}

#[test]
fn times_are_found_in_any_condition() {
    for config in [small_segments(), LogConfig::default()] {
        in_all_conditions(config, |name, bench| {
            for (timestamp_ms, found) in [
                (0, Some((0, 1000))),
                (1000, Some((0, 1000))),
                (1001, Some((1, 1010))),
                (1155, Some((16, 1160))),
                (1390, Some((39, 1390))),
                (1391, None),
            ] {
                assert_eq!(bench.find(timestamp_ms), found, "{name}: {timestamp_ms}");
            }
            assert_eq!(bench.log.max_timestamp_ms(), 1390, "{name}");
        });
    }
}

#[test]
fn unsynced_batches_are_not_read_on_synced_topics() {
    for (durability, high_watermark) in [(Durability::Synced, 0), (Durability::Buffered, 2)] {
        let mut bench = Bench::new(LogConfig { durability, ..LogConfig::default() });
        let outcome = bench.log.append(batch(&[5, 5]), 0, 0).expect("it is accepted");
        assert!(matches!(outcome, Outcome::Appended { base_offset: Offset(0), end: Offset(2), .. }));
        assert_eq!(bench.log.high_watermark(), Offset(0), "{durability:?}: it is only in memory");
        assert!(
            bench.log.next_write(Reach::Everything).is_none(),
            "{durability:?}: not before the journal has synced it"
        );
        bench.log.journal_wrote(Offset(2), Position(9));
        assert_eq!(bench.log.high_watermark(), Offset(high_watermark), "{durability:?}");
        assert_eq!(bench.log.oldest_needed(), Some(Position(9)));
        let gained = bench.log.journal_synced(Offset(2));
        assert_eq!(gained.bytes > 0, durability == Durability::Synced);
        assert_eq!(bench.log.high_watermark(), Offset(2));
        bench.flush();
        assert_eq!(bench.log.oldest_needed(), None);
    }
}

#[test]
fn buffered_topics_acknowledge_fewer_unsynced_records_than_flush_messages() {
    for (flush_messages, high_watermarks) in
        [(1, [0, 2, 2, 6]), (2, [0, 2, 2, 6]), (3, [2, 2, 4, 6]), (4, [2, 2, 4, 6]), (u64::MAX, [2, 2, 4, 6])]
    {
        let config = LogConfig { durability: Durability::Buffered, flush_messages, ..LogConfig::default() };
        let mut bench = Bench::new(config);
        let mut seen = [0; 4];
        bench.log.append(batch(&[5, 5]), 0, 0).expect("it is accepted");
        bench.log.journal_wrote(Offset(2), Position(9));
        seen[0] = bench.log.high_watermark().0;
        bench.log.journal_synced(Offset(2));
        seen[1] = bench.log.high_watermark().0;
        for end in [4, 6] {
            bench.log.append(batch(&[5, 5]), 0, 0).expect("it is accepted");
            bench.log.journal_wrote(Offset(end), Position(9));
            if end == 4 {
                seen[2] = bench.log.high_watermark().0;
            }
        }
        bench.log.journal_synced(Offset(6));
        seen[3] = bench.log.high_watermark().0;
        assert_eq!(seen, high_watermarks, "{flush_messages}");
    }
}

#[test]
fn a_batch_carries_its_place() {
    let mut bench = Bench::new(LogConfig::default());
    bench.append(batch(&[5, 6, 7]));
    bench.log.lead(LeaderEpoch(4));
    bench.append(batch(&[8]));
    for condition in 0..2 {
        let bytes = bench.read_bytes(3, 1000, false);
        let header = BatchHeader::parse(&bytes).expect("a batch");
        assert_eq!(
            (header.base_offset, header.partition_leader_epoch),
            (Offset(3), LeaderEpoch(4)),
            "{condition}"
        );
        bench.flush();
        bench.evict();
    }
    let ends: Vec<_> =
        (0..5).map(|epoch| bench.log.epoch_end(LeaderEpoch(epoch)).map(|end| end.start.0)).collect();
    assert_eq!(ends, [Some(3), Some(3), Some(3), Some(3), Some(4)]);
}
