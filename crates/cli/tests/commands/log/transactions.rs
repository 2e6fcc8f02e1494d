//! Control batches, and the index of aborted transactions.

use std::fs;

use protocol::records::{BatchBuilder, BatchOptions, NewRecord, TxnMarker, ValidBatch};
use protocol::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use storage::producers::AbortedTransaction;
use storage::segment::txn_index::entry;

use super::{Partition, run, text};

fn part(offset: i64, producer: i64) -> ValidBatch {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: Offset(offset),
        producer_id: ProducerId(producer),
        producer_epoch: ProducerEpoch(1),
        base_sequence: 0,
        transactional: true,
        ..BatchOptions::default()
    });
    builder.append(&NewRecord { value: Some(b"four"), ..NewRecord::default() }).unwrap();
    builder.build_valid().unwrap()
}

fn marker(offset: i64, producer: i64, commit: bool) -> ValidBatch {
    let marker = TxnMarker { commit, coordinator_epoch: 3 };
    let mut batch = marker.to_batch(ProducerId(producer), ProducerEpoch(1), 1_000, false).unwrap();
    batch.assign(Offset(offset), LeaderEpoch(0));
    batch
}

fn aborted(producer: i64, first: i64, last: i64) -> Vec<u8> {
    let aborted = AbortedTransaction {
        producer_id: ProducerId(producer),
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(1),
    };
    entry(&aborted).to_vec()
}

/// Two producers whose transactions overlap: the second is aborted first.
fn partition() -> Partition {
    let partition = Partition::new();
    let batches = [part(0, 7), part(1, 8), marker(2, 8, false), marker(3, 7, true)];
    let bytes: Vec<u8> = batches.iter().flat_map(|batch| batch.to_bytes().to_vec()).collect();
    partition.write("log", &bytes);
    partition.write("index", &[]);
    partition.write("timeindex", &[]);
    partition.write("txnindex", &aborted(8, 1, 2));
    partition
}

#[test]
fn markers_and_what_they_have_aborted_are_shown() {
    let partition = partition();
    partition.verify().prints("4 files with 300 B of batches; batches: 4, records: 4\n");
    let dump = run(&["log", "dump", text(&partition.path())]);
    for words in [
        "producer 7/1 sequence 0 transactional\n",
        "offsets 2-2 records 1 epoch 0 timestamp 1000 CreateTime none producer 8/1 sequence -1 transactional control \
         ABORT coordinator epoch 3\n",
        "COMMIT coordinator epoch 3\n",
        "  producer 8 aborted offsets 1-2 last stable offset 1\n",
    ] {
        assert!(dump.code == 0 && dump.out.contains(words), "{words}: {dump:?}");
    }
    let json = run(&["-o", "json", "log", "dump", text(&partition.path())]);
    let lines: Vec<serde_json::Value> =
        json.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let markers: Vec<_> = lines.iter().filter_map(|line| line["marker"].as_str()).collect();
    assert_eq!(markers, ["ABORT", "COMMIT"]);
    let index = lines.iter().find(|line| line["last_stable_offset"].is_number()).unwrap();
    assert_eq!((&index["first_offset"], &index["last_offset"]), (&1.into(), &2.into()));
}

#[test]
fn an_index_of_aborted_transactions_that_is_wrong_or_missing_is_told() {
    for (bytes, words) in [
        (aborted(8, 1, 3), "producer 8 aborted offsets 1 to 3: the marker there says something else"),
        (aborted(7, 0, 2), "producer 7 aborted offsets 0 to 2: the marker there says something else"),
        (aborted(8, 0, 1), "producer 8 aborted offsets 0 to 1: there is no marker"),
        (vec![9; 34], "entry 0 has version 2313"),
        (aborted(8, 1, 2)[..30].to_vec(), "an entry is cut off"),
        (Vec::new(), "does not say that producer 8 aborted offsets 1 to 2"),
    ] {
        let partition = partition();
        partition.write("txnindex", &bytes);
        let done = partition.verify();
        done.fails(&["delete those that are wrong"]);
        assert!(done.out.contains(words), "{words}: {done:?}");
    }
    let partition = partition();
    fs::remove_file(partition.file("txnindex")).unwrap();
    let done = partition.verify();
    done.fails(&["1 problem found", "delete those that are wrong"]);
    assert!(done.out.contains("does not say that producer 8 aborted offsets 1 to 2"), "{done:?}");
    // Where nobody knows what was before, nobody can tell.
    let names = ["log", "index", "timeindex"];
    for kind in names {
        fs::rename(partition.file(kind), partition.path().join(format!("{:020}.{kind}", 1))).unwrap();
    }
    assert!(!partition.verify().out.contains("does not say"));
}
