//! Snapshots bound the log, and a restart goes on from them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::Host;
use host::sim::{OpKind, Rule, Sim};
use quorum::{Error, Options, SnapshotAfter};

use crate::support::{History, batch, dir, often, open, world};

fn log_dir() -> PathBuf {
    dir().join("__cluster_metadata-0")
}

fn names(host: &Host, suffix: &str) -> Vec<String> {
    let entries = host.disk.files().read_dir(&log_dir()).unwrap();
    entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix)).collect()
}

/// Proposes `count` batches of a kilobyte and more, and waits for a snapshot of some of them.
async fn fill(host: &Host, options: &Options, count: u64) -> History {
    let history = History::default();
    let log = open(host, options, &history).await.unwrap();
    for number in 0..count {
        let mut bytes = batch(number).to_vec();
        bytes.resize(4096, b'.');
        log.propose(bytes.into()).await.unwrap();
    }
    while log.status().purged_index.is_none() {
        log.propose(batch(count)).await.unwrap();
    }
    log.shutdown().await;
    history
}

fn many() -> Options {
    Options { snapshot_after: SnapshotAfter { entries: 2100, bytes: u64::MAX }, ..Options::default() }
}

fn restart(sim: &Sim) -> Host {
    sim.crash("a");
    sim.restart("a")
}

#[test]
fn a_restart_goes_on_from_snapshot_and_log() {
    let (sim, host) = world(3);
    let mut history = sim.block_on_node("a", fill(&host, &many(), 2200));
    assert_eq!(names(&host, ".checkpoint").len(), 1);
    for _ in 0..3 {
        let host = restart(&sim);
        history = sim.block_on_node("a", async {
            let again = History::default();
            let log = open(&host, &many(), &again).await.unwrap();
            assert!(again.batches() == history.batches(), "{:?}", again.indexes());
            assert!(log.status().snapshot_index.is_some());
            log.propose(batch(1)).await.unwrap();
            log.shutdown().await;
            again
        });
    }
}

#[test]
fn purging_removes_whole_files() {
    let (sim, host) = world(4);
    sim.block_on_node("a", fill(&host, &many(), 2200));
    let files = names(&host, ".log");
    assert!(!files.contains(&format!("{:020}.log", 0)), "{files:?}");
}

#[test]
fn a_snapshot_on_request() {
    let (sim, host) = world(5);
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &History::default()).await.unwrap();
        let committed = log.propose(batch(1)).await.unwrap();
        log.snapshot().await.unwrap();
        while log.status().snapshot_index != Some(committed.index) {
            host.clock.sleep(Duration::from_millis(1)).await;
        }
        log.shutdown().await;
    });
}

#[test]
fn a_damaged_or_missing_checkpoint_is_an_error() {
    let (sim, host) = world(6);
    sim.block_on_node("a", fill(&host, &many(), 2200));
    let name = names(&host, ".checkpoint").pop().unwrap();
    let path = log_dir().join(&name);
    sim.disk("a").flip_bit(&path, 5000, 3).unwrap();
    let opened = |host: Host| async move { open(&host, &many(), &History::default()).await };
    let damaged = sim.block_on_node("a", opened(restart(&sim)));
    assert!(matches!(&damaged, Err(Error::Corrupt { file, .. }) if *file == path), "{damaged:?}");
    let host = restart(&sim);
    host.disk.files().remove_file(&path).unwrap();
    let missing = sim.block_on_node("a", opened(host));
    assert!(
        matches!(&missing, Err(Error::Corrupt { reason, .. }) if reason.contains("checkpoint")),
        "{missing:?}"
    );
}

#[test]
fn a_torn_checkpoint_never_has_its_name() {
    let (sim, host) = world(7);
    sim.block_on_node("a", async {
        let log = open(&host, &often(), &History::default()).await.unwrap();
        for number in 0..20 {
            log.propose(batch(number)).await.unwrap();
        }
        log.shutdown().await;
    });
    let files = host.disk.files();
    let torn = |name: &str| -> PathBuf { log_dir().join(name) };
    files.replace(&torn("half.checkpoint"), b"half").unwrap();
    let left: &Path = &torn("00000000000000000099-0000000001.checkpoint.tmp");
    files.replace(left, b"half").unwrap();
    let host = restart(&sim);
    sim.block_on_node("a", async {
        let log = open(&host, &often(), &History::default()).await.unwrap();
        log.shutdown().await;
    });
    assert!(!host.disk.files().exists(left).unwrap());
}

#[test]
fn a_full_disk_puts_the_snapshot_off() {
    let (sim, host) = world(8);
    let disk = sim.disk("a");
    sim.block_on_node("a", async {
        let history = History::default();
        let log = open(&host, &Options::default(), &history).await.unwrap();
        let committed = log.propose(batch(1)).await.unwrap();
        disk.inject(Rule { error: ErrorKind::StorageFull, ..Rule::next(OpKind::Write, ".checkpoint", 2) });
        log.snapshot().await.unwrap();
        host.clock.sleep(Duration::from_secs(7)).await;
        assert_eq!(log.status().snapshot_index, None);
        log.propose(batch(2)).await.unwrap();
        host.clock.sleep(Duration::from_secs(7)).await;
        assert_eq!(log.status().snapshot_index, Some(committed.index));
        assert_eq!(history.batches(), [batch(1), batch(2)]);
        log.shutdown().await;
    });
}

#[test]
fn a_lone_voter_does_nothing_while_nothing_happens() {
    let (sim, host) = world(9);
    sim.block_on_node("a", async {
        let log = open(&host, &Options::default(), &History::default()).await.unwrap();
        host.clock.sleep(Duration::from_secs(1)).await;
        let before = sim.trace().steps();
        host.clock.sleep(Duration::from_secs(3600)).await;
        let events = sim.trace().steps() - before;
        assert!(events < 10, "{events} events in an hour");
        log.propose(batch(1)).await.unwrap();
        log.shutdown().await;
    });
}
