//! Whatever was acknowledged survives a crash at any step, in the order it was acknowledged.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use host::sim::{Faults, NodeOptions, Sim};
use host::{Host, Place};
use quorum::Options;

use crate::support::{History, batch, often, open};

/// What happened over all starts of a node.
#[derive(Clone, Debug, Default)]
struct Ledger(Arc<Mutex<Facts>>);

#[derive(Debug, Default)]
struct Facts {
    /// Numbers of the batches that were proposed, in order.
    proposed: u64,
    /// The ones that were acknowledged.
    acknowledged: Vec<u64>,
    raft_id: Option<u64>,
    last_term: u64,
    /// Whether the present start has done all it wanted.
    done: bool,
}

impl Ledger {
    fn change<T>(&self, act: impl FnOnce(&mut Facts) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    fn done(&self) -> bool {
        self.change(|facts| facts.done)
    }

    /// What was applied must be what was proposed, in order, with everything acknowledged in it.
    fn check(&self, applied: &[Bytes], seed: u64) {
        let applied: Vec<u64> = applied.iter().map(|batch| number(batch)).collect();
        self.change(|facts| {
            assert!(applied.is_sorted_by(|a, b| a < b), "seed {seed}: out of order: {applied:?}");
            assert!(applied.iter().all(|number| *number < facts.proposed), "seed {seed}: {applied:?}");
            let lost: Vec<_> = facts.acknowledged.iter().filter(|number| !applied.contains(number)).collect();
            assert!(lost.is_empty(), "seed {seed}: lost {lost:?}, have {applied:?}");
        });
    }
}

fn number(batch: &[u8]) -> u64 {
    std::str::from_utf8(batch).unwrap().strip_prefix("batch ").unwrap().parse().unwrap()
}

/// One start: opens the log, checks it, proposes `count` batches one by one and then as many at once.
async fn life(host: Host, options: Options, ledger: Ledger, count: u64, seed: u64) {
    let history = History::default();
    // A disk that dies while the log is opened makes this fail; the node is about to crash then.
    let Ok(log) = open(&host, &options, &history).await else { return };
    ledger.check(&history.batches(), seed);
    let term = log.leadership().borrow().unwrap();
    ledger.change(|facts| {
        assert!(term > facts.last_term, "seed {seed}: term {term} after {}", facts.last_term);
        facts.last_term = term;
        let raft_id = log.identity().raft_id;
        assert!(facts.acknowledged.is_empty() || facts.raft_id == Some(raft_id), "seed {seed}: another id");
        facts.raft_id = Some(raft_id);
    });
    let next = || {
        ledger.change(|facts| {
            facts.proposed += 1;
            facts.proposed - 1
        })
    };
    for _ in 0..count {
        let number = next();
        if log.propose(batch(number)).await.is_err() {
            return;
        }
        ledger.change(|facts| facts.acknowledged.push(number));
    }
    let together: Vec<_> =
        (0..count).map(|_| next()).map(|number| (number, log.propose(batch(number)))).collect();
    for (number, proposal) in together {
        if proposal.await.is_err() {
            return;
        }
        ledger.change(|facts| facts.acknowledged.push(number));
    }
    ledger.check(&history.batches(), seed);
    ledger.change(|facts| facts.done = true);
}

fn begin(sim: &Sim, options: &Options, ledger: &Ledger, count: u64, seed: u64) {
    let host = sim.host("a").unwrap();
    ledger.change(|facts| facts.done = false);
    host.spawn(Place::Control, "life", life(host.clone(), options.clone(), ledger.clone(), count, seed));
}

/// Runs a start to its end without a crash.
fn live(sim: &Sim, options: &Options, ledger: &Ledger, seed: u64) {
    begin(sim, options, ledger, 2, seed);
    sim.run_until(|| ledger.done());
}

/// Dies at operation after operation of the disk until a run gets to its end. Returns how many there are.
fn die_everywhere(options: &Options, count: u64) -> u64 {
    for step in 1.. {
        let sim = Sim::new(step);
        sim.node("a", NodeOptions::default());
        let ledger = Ledger::default();
        // A second start of an old directory, so that recovery is interrupted, too.
        if step % 2 == 0 {
            live(&sim, options, &ledger, step);
            sim.crash("a");
            sim.restart("a");
        }
        sim.disk("a").die_after(step / 2 + 1);
        begin(&sim, options, &ledger, count, step);
        sim.run_until(|| ledger.done() || !sim.is_up("a"));
        if sim.is_up("a") {
            return step / 2;
        }
        sim.restart("a");
        live(&sim, options, &ledger, step);
    }
    unreachable!("every run ends")
}

#[test]
fn a_power_loss_at_any_operation_loses_nothing_acknowledged() {
    let operations = die_everywhere(&Options::default(), 5);
    assert!(operations > 30, "only {operations} operations");
}

#[test]
fn a_power_loss_around_snapshots_loses_nothing_acknowledged() {
    let operations = die_everywhere(&often(), 12);
    assert!(operations > 60, "only {operations} operations");
}

#[test]
fn crashes_at_random_times_lose_nothing_acknowledged() {
    for seed in 0..24 {
        let sim = Sim::new(seed);
        let faults = Faults::draw_benign(seed);
        let host = sim.node("a", NodeOptions { faults, ..NodeOptions::default() });
        let options = if seed % 2 == 0 { often() } else { Options::default() };
        let ledger = Ledger::default();
        for _ in 0..6 {
            begin(&sim, &options, &ledger, 1000, seed);
            sim.run_for(Duration::from_micros(host.rng.below(150_000)));
            if seed % 3 == 0 {
                sim.kill("a");
            } else {
                sim.crash("a");
            }
            sim.restart("a");
        }
        live(&sim, &options, &ledger, seed);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let sim = Sim::new(seed);
        sim.node("a", NodeOptions::default());
        let ledger = Ledger::default();
        for _ in 0..3 {
            begin(&sim, &often(), &ledger, 200, seed);
            sim.run_for(Duration::from_millis(20));
            sim.crash("a");
            sim.restart("a");
        }
        live(&sim, &often(), &ledger, seed);
        let acknowledged = ledger.change(|facts| facts.acknowledged.clone());
        (acknowledged, sim.trace().hash())
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).1, run(8).1);
}
