//! A disk without room: changes wait, nothing is lost, and nobody is misled.

use std::io::ErrorKind;
use std::time::Duration;

use host::Host;
use host::sim::{OpKind, Rule, SimDisk};
use quorum::{Error, Options, ProposeError};

use crate::support::{History, batch, dir, open, world};

/// What the tests let the log use before they fill the disk.
const PLENTY: u64 = 64 << 20;

/// Somebody takes all the room that nothing else has.
fn fill(host: &Host, disk: &SimDisk) {
    let space = host.disk.files().space(dir()).unwrap();
    disk.faults(|faults| faults.quota_bytes = Some(space.total_bytes - space.available_bytes));
}

fn log_files(host: &Host) -> usize {
    let entries = host.disk.files().read_dir(&dir().join("__cluster_metadata-0")).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(".log")).count()
}

fn no_room(op: OpKind) -> Rule {
    Rule { error: ErrorKind::StorageFull, ..Rule::next(op, ".log", u64::MAX) }
}

#[test]
fn a_change_without_room_waits_for_it() {
    for error in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let (sim, host) = world(1);
        let disk = sim.disk("a");
        let history = History::default();
        sim.block_on_node("a", async {
            let log = open(&host, &Options::default(), &history).await.unwrap();
            log.propose(batch(1)).await.unwrap();
            disk.inject(Rule { error, ..no_room(OpKind::Write) });
            let waiting: Vec<_> = (2..5).map(|number| log.propose(batch(number))).collect();
            host.clock.sleep(Duration::from_secs(60)).await;
            assert_eq!(history.batches(), [batch(1)]);
            assert!(log.leadership().borrow().is_some());
            let said = log.without_room().await.to_string();
            assert!(said.starts_with("the disk of /data is full: cannot write /data/"), "{said}");
            disk.clear_rules();
            for waiting in waiting {
                waiting.await.unwrap();
            }
        });
        sim.crash("a");
        let host = sim.restart("a");
        let again = History::default();
        sim.block_on_node("a", async {
            open(&host, &Options::default(), &again).await.unwrap();
            assert_eq!(again.batches(), (1..5).map(batch).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_sync_without_room_is_as_final_as_any() {
    let (sim, host) = world(1);
    let disk = sim.disk("a");
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &History::default()).await.unwrap();
        disk.inject(no_room(OpKind::Sync));
        let failed = log.propose(batch(1)).await;
        assert!(matches!(failed, Err(ProposeError::StorageFailed { .. })), "{failed:?}");
    });
}

#[test]
fn a_full_disk_has_room_for_thousands_of_small_changes() {
    let (sim, host) = world(1);
    let disk = sim.disk("a");
    disk.faults(|faults| faults.quota_bytes = Some(PLENTY));
    let history = History::default();
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &history).await.unwrap();
        // With the first change the room is set aside, after it.
        log.propose(batch(0)).await.unwrap();
        host.clock.sleep(Duration::from_secs(1)).await;
        fill(&host, &disk);
        for number in 1..2000 {
            log.propose(batch(number)).await.unwrap();
        }
        assert_eq!(history.batches().len(), 2000);
    });
    sim.crash("a");
    let host = sim.restart("a");
    let again = History::default();
    sim.block_on_node("a", async {
        open(&host, &Options::default(), &again).await.unwrap();
        assert_eq!(again.batches(), history.batches());
    });
}

#[test]
fn a_file_without_a_successor_goes_on() {
    for op in [OpKind::Open, OpKind::Write] {
        let (sim, host) = world(1);
        let disk = sim.disk("a");
        sim.block_on_node("a", async {
            let history = History::default();
            let log = open(&host, &Options::default(), &history).await.unwrap();
            let megabyte = bytes::Bytes::from(vec![7; 1 << 20]);
            for base in 5..12 {
                disk.inject(Rule { path: format!("/{base:020}.log"), ..no_room(op) });
            }
            for _ in 0..8 {
                log.propose(megabyte.clone()).await.unwrap();
            }
            assert_eq!(log_files(&host), 1);
            disk.clear_rules();
            log.propose(megabyte.clone()).await.unwrap();
            assert_eq!(log_files(&host), 2);
            log.shutdown().await;
            drop(log);
            let again = History::default();
            open(&host, &Options::default(), &again).await.unwrap();
            assert_eq!(again.batches(), history.batches());
        });
    }
}

#[test]
fn a_start_that_has_to_write_says_that_the_disk_is_full() {
    for fresh in [true, false] {
        let (sim, host) = world(1);
        let history = History::default();
        let mut count = 0;
        if !fresh {
            sim.block_on_node("a", async {
                open(&host, &Options::default(), &history).await.unwrap().propose(batch(1)).await.unwrap();
            });
            count = 1;
        }
        sim.kill("a");
        let (host, disk) = (sim.restart("a"), sim.disk("a"));
        // What is there is written again in its place, which needs no room.
        disk.inject(Rule { skip: count as u64, ..no_room(OpKind::Write) });
        sim.block_on_node("a", async {
            let failed = open(&host, &Options::default(), &history).await.unwrap_err();
            assert!(matches!(failed, Error::Full { .. }), "{failed}");
        });
        sim.kill("a");
        let host = sim.restart("a");
        disk.clear_rules();
        let again = History::default();
        sim.block_on_node("a", async {
            let log = open(&host, &Options::default(), &again).await.unwrap();
            assert_eq!(again.batches().len(), count);
            log.propose(batch(2)).await.unwrap();
        });
    }
}

#[test]
fn a_stop_does_not_wait_for_room() {
    let (sim, host) = world(1);
    let disk = sim.disk("a");
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &History::default()).await.unwrap();
        disk.inject(no_room(OpKind::Write));
        let waiting = log.propose(batch(1));
        host.clock.sleep(Duration::from_secs(10)).await;
        log.shutdown().await;
        waiting.await.unwrap_err();
        disk.clear_rules();
        drop(log);
        let again = History::default();
        let log = open(&host, &Options::default(), &again).await.unwrap();
        assert!(again.batches().len() <= 1, "what is not answered may be there");
        log.propose(batch(2)).await.unwrap();
    });
}
