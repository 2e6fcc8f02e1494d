//! Idempotent producers.

use super::*;

fn idempotent(epoch: i16, sequence: i32) -> ValidBatch {
    let options = BatchOptions {
        producer_id: ProducerId(5),
        producer_epoch: ProducerEpoch(epoch),
        base_sequence: sequence,
        ..BatchOptions::default()
    };
    batch_of(options, &[1, 2], b"x")
}

#[test]
fn idempotence_survives_every_way_of_reopening() {
    let check = |bench: &mut Bench, name: &str| {
        assert_eq!(bench.append(idempotent(0, 8)), 8, "{name}: a duplicate has the original's offset");
        assert_eq!(bench.append(idempotent(0, 0)), 0, "{name}: five batches back");
        assert_eq!(bench.log.log_end(), Offset(10), "{name}");
        let gap = bench.log.append(idempotent(0, 14), 0, 0).expect_err("a gap");
        assert!(matches!(gap, AppendRefusal::OutOfOrderSequence { expected: 10, .. }), "{name}: {gap}");
    };
    for flush_after in [0, 3, 5] {
        let mut bench = Bench::new(small_segments());
        for n in 0..5 {
            if n == flush_after {
                bench.flush();
            }
            assert_eq!(bench.append(idempotent(0, n * 2)), i64::from(n) * 2);
        }
        check(&mut bench, "before");
        bench.reopen();
        check(&mut bench, &format!("reopened, flushed after {flush_after}"));
        bench.append(idempotent(1, 0));
        let old = bench.log.append(idempotent(0, 10), 0, 0).expect_err("an old epoch");
        assert!(matches!(old, AppendRefusal::OldProducerEpoch { current: 1, .. }), "{old}");
    }
}
