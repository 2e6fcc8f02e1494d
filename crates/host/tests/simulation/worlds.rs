//! Replay, crashes, pauses, clocks, lanes, the log.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use host::sim::{CrashPolicy, Faults, NodeOptions, Options, Sim};
use host::{Host, Op, OpenMode, Place};
use tokio::sync::{oneshot, watch};

use crate::{PORT, ask, ms, serve, server};

/// A run with a bit of everything.
fn busy_run(seed: u64) -> (u64, Vec<String>) {
    let sim = Sim::new(seed);
    sim.trace().set_verbose(true);
    server(&sim, "server");
    let client = sim.node("client", NodeOptions { faults: Faults::draw(seed), ..NodeOptions::default() });
    let (go, went) = watch::channel(false);
    for n in 0..8_u64 {
        let (host, mut went) = (client.clone(), went.clone());
        client.spawn(Place::Shard(n as usize), "asker", async move {
            went.wait_for(|go| *go).await.unwrap();
            let lane = host.disk.lane("lane");
            let name = format!("file-{n}");
            let Ok(file) = host.disk.files().open(Path::new(&name), OpenMode::CREATE) else { return };
            for round in 0..20 {
                host.clock.sleep(ms(host.rng.below(20))).await;
                if let Ok(mut stream) = host.net.connect("server", PORT).await {
                    let answer = ask(&mut stream, round).await;
                    assert!(answer.is_err() || answer.is_ok_and(|answer| answer == round * 2));
                }
                let pieces = vec![Bytes::from(vec![n as u8; 700])];
                let _ = lane.run(Op::Write { file: file.clone(), offset: round * 700, pieces }).await;
                let _ = lane.run(Op::Sync { file: file.clone() }).await;
            }
        });
    }
    sim.block_on(async {
        go.send(true).unwrap();
        sim.sleep(ms(50)).await;
        sim.crash("server");
        sim.sleep(ms(30)).await;
        let host = sim.restart("server");
        host.spawn(Place::Control, "server", serve(host.clone()));
        sim.partition("client", "server");
        sim.sleep(ms(40)).await;
        sim.heal("client", "server");
        sim.sleep(ms(100)).await;
        sim.crash("client");
    });
    sim.run_for(ms(100));
    sim.event("the end");
    (sim.trace().hash(), sim.trace().lines())
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let mut hashes = BTreeSet::new();
    for seed in 0..10 {
        let (first, second) = (busy_run(seed), busy_run(seed));
        assert_eq!(first.1, second.1, "seed {seed}");
        assert_eq!(first.0, second.0, "seed {seed}");
        hashes.insert(first.0);
    }
    assert_eq!(hashes.len(), 10, "different seeds run differently");
}

#[test]
fn tasks_run_in_an_order_drawn_from_the_seed_or_in_turns() {
    let order = |options: Options| {
        let sim = Sim::with_options(options);
        let host = sim.node("node", NodeOptions::default());
        let log = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..6)
            .map(|n| {
                let log = Arc::clone(&log);
                host.spawn(Place::Control, "task", async move {
                    for _ in 0..2 {
                        log.lock().unwrap().push(n);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        sim.block_on(async {
            for task in tasks {
                task.ended().await;
            }
        });
        drop(sim);
        Arc::into_inner(log).unwrap().into_inner().unwrap()
    };
    let in_turns = order(Options { in_turns: true, ..Options::new(1) });
    assert_eq!(in_turns, [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]);
    let orders: BTreeSet<_> = (0..5).map(|seed| order(Options::new(seed))).collect();
    assert_eq!(orders.len(), 5);
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn guard() -> (OnDrop, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    (OnDrop(Arc::clone(&dropped)), dropped)
}

#[test]
fn a_crash_drops_every_task_at_once() {
    let sim = Sim::new(1);
    let host = sim.node("node", NodeOptions::default());
    let other = sim.node("other", NodeOptions::default());
    let (guard, dropped) = guard();
    let beats = Arc::new(AtomicU64::new(0));
    let beat = |host: Host| {
        let beats = Arc::clone(&beats);
        async move {
            loop {
                host.clock.sleep(ms(10)).await;
                beats.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let task = host.spawn(Place::Control, "beat", {
        let beat = beat(host.clone());
        async move {
            let _guard = guard;
            beat.await;
        }
    });
    other.spawn(Place::Control, "beat", beat(other.clone()));
    sim.run_for(ms(105));
    assert_eq!(beats.load(Ordering::SeqCst), 20);
    sim.crash("node");
    assert!(dropped.load(Ordering::SeqCst));
    assert!(!sim.is_up("node") && sim.host("node").is_none());
    sim.block_on(task.ended());
    sim.run_for(ms(100));
    assert_eq!(beats.load(Ordering::SeqCst), 30, "the other node goes on");
    let late = host.spawn(Place::Control, "late", std::future::pending());
    sim.block_on(late.ended());
    let again = sim.restart("node");
    assert!(again.now() < host::Instant::ZERO.after(ms(1)), "the monotonic clock starts anew");
    again.spawn(Place::Control, "beat", beat(again.clone()));
    sim.run_for(ms(104));
    assert_eq!(beats.load(Ordering::SeqCst), 50);
}

#[test]
fn a_task_may_crash_its_own_node() {
    let sim = Sim::new(1);
    let host = sim.node("node", NodeOptions::default());
    let (guard, dropped) = guard();
    let control = (*sim).clone();
    let task = host.spawn(Place::Control, "suicide", async move {
        let _guard = guard;
        control.crash("node");
        std::future::pending::<()>().await;
    });
    sim.block_on(task.ended());
    assert!(dropped.load(Ordering::SeqCst));
}

#[test]
fn a_paused_node_does_nothing_and_goes_on_afterwards() {
    let sim = Sim::new(4);
    let host = server(&sim, "server");
    let client = sim.node("client", NodeOptions::default());
    let beats = Arc::new(AtomicU64::new(0));
    let lane = host.disk.lane("lane");
    host.clone().spawn(Place::Shard(0), "beat", {
        let beats = Arc::clone(&beats);
        async move {
            loop {
                host.clock.sleep(ms(10)).await;
                lane.run(Op::Call(Box::new(|_| Ok(Bytes::new())))).await.unwrap();
                beats.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    sim.block_on(async {
        let mut stream = client.net.connect("server", PORT).await.unwrap();
        sim.sleep(ms(100)).await;
        sim.pause("server");
        let before = beats.load(Ordering::SeqCst);
        assert!(before > 0);
        let asked = ask(&mut stream, 2);
        tokio::pin!(asked);
        tokio::select! {
            biased;
            _ = &mut asked => panic!("a paused node answers"),
            () = sim.sleep(ms(5000)) => {}
        }
        assert_eq!(beats.load(Ordering::SeqCst), before);
        sim.resume("server");
        assert_eq!(asked.await.unwrap(), 4);
        sim.sleep(ms(100)).await;
        assert!(beats.load(Ordering::SeqCst) > before);
    });
}

#[test]
fn clocks_drift_and_jump() {
    let sim = Sim::new(4);
    let node = |name: &str, clock_drift_ppm, wall_skew_ms| {
        sim.node(name, NodeOptions { clock_drift_ppm, wall_skew_ms, ..NodeOptions::default() })
    };
    let (exact, fast, slow) = (node("exact", 0, 0), node("fast", 100_000, 5000), node("slow", -100_000, 0));
    sim.run_for(ms(10_000));
    let at = |ms_since: u64| host::Instant::ZERO.after(ms(ms_since));
    assert_eq!((exact.now(), fast.now(), slow.now()), (at(10_000), at(11_000), at(9_000)));
    assert_eq!(fast.clock.wall_ms() - exact.clock.wall_ms(), 6000);
    assert_eq!(slow.clock.wall_ms() - exact.clock.wall_ms(), -1000);
    sim.set_wall_skew("slow", -60_000);
    assert_eq!(slow.clock.wall_ms() - exact.clock.wall_ms(), -61_000);
    sim.block_on(async {
        fast.clock.sleep(ms(1100)).await;
        assert_eq!(sim.now(), at(11_000));
        slow.clock.sleep_until(at(10_800)).await;
        assert_eq!(sim.now(), at(12_000));
        assert!(slow.now() >= at(10_800));
    });
}

#[test]
fn an_operation_under_way_at_a_crash_happens_or_not() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..40 {
        let sim = Sim::new(seed);
        let host = sim.node("node", NodeOptions::default());
        sim.disk("node").faults(|faults| faults.crash = CrashPolicy::KeepAll);
        let completed = Arc::new(AtomicBool::new(false));
        let saw = Arc::clone(&completed);
        let lane = host.disk.lane("lane");
        let write = |files: &dyn host::Files| {
            let file = files.open(Path::new("file"), OpenMode::CREATE)?;
            file.write_at(&[Bytes::from_static(b"x")], 0)?;
            Ok(Bytes::new())
        };
        lane.submit(Op::Call(Box::new(write)), Box::new(move |_| saw.store(true, Ordering::SeqCst)));
        sim.run_for(Duration::from_micros(seed * 5));
        sim.crash("node");
        sim.run_for(ms(10));
        let there = sim.disk("node").files().exists(Path::new("file")).unwrap();
        outcomes.insert((completed.load(Ordering::SeqCst), there));
    }
    assert_eq!(outcomes, BTreeSet::from([(false, false), (false, true), (true, true)]));
}

#[test]
fn a_node_crashes_between_the_steps_of_a_call() {
    for step in 1..6 {
        let sim = Sim::new(step);
        let host = sim.node("node", NodeOptions::default());
        let (told, tell) = oneshot::channel();
        sim.disk("node").die_after(step);
        let lane = host.disk.lane("lane");
        host.spawn(Place::Control, "replace", async move {
            let call =
                |files: &dyn host::Files| files.replace(Path::new("state"), b"x").map(|()| Bytes::new());
            told.send(lane.run(Op::Call(Box::new(call))).await.is_ok()).unwrap();
        });
        sim.run_until(|| !sim.is_up("node"));
        assert!(sim.block_on(tell).is_err(), "nobody hears of an operation that a power loss cut off");
        let host = sim.restart("node");
        host.disk.files().replace(Path::new("state"), b"y").unwrap();
    }
}

#[test]
fn the_disk_outlives_the_node() {
    let sim = Sim::new(5);
    let host = sim.node("node", NodeOptions::default());
    host.disk.files().replace(Path::new("state"), b"kept").unwrap();
    sim.crash("node");
    host.disk.files().read(Path::new("state"), 10).unwrap_err();
    let host = sim.restart("node");
    assert_eq!(host.disk.files().read(Path::new("state"), 10).unwrap(), b"kept");
}

#[test]
fn a_dropped_world_drops_its_tasks() {
    let (guard, dropped) = guard();
    let sim = Sim::new(5);
    let host = sim.node("node", NodeOptions::default());
    host.spawn(Place::Control, "for ever", {
        let host = host.clone();
        async move {
            let _guard = guard;
            host.clock.sleep(Duration::from_secs(1 << 30)).await;
        }
    });
    sim.run_for(ms(1));
    let weak = Arc::downgrade(&host.tasks);
    drop((sim, host));
    assert!(dropped.load(Ordering::SeqCst));
    assert!(weak.upgrade().is_none(), "the world is gone too");
}

fn panic_of(act: impl FnOnce()) -> String {
    *catch_unwind(AssertUnwindSafe(act)).unwrap_err().downcast::<String>().unwrap()
}

#[test]
fn a_world_in_which_nothing_can_happen_says_who_waits() {
    let sim = Sim::new(77);
    let host = sim.node("node", NodeOptions::default());
    host.spawn(Place::Control, "waits for ever", std::future::pending());
    let panic = panic_of(|| sim.block_on(std::future::pending()));
    assert!(panic.contains("node: waits for ever") && panic.contains("seed 77"), "{panic}");
}

#[test]
fn a_panic_in_a_task_ends_the_run_or_the_task() {
    let run = |survive_panics| {
        let sim = Sim::with_options(Options { survive_panics, ..Options::new(1) });
        let host = sim.node("node", NodeOptions::default());
        let task = host.spawn(Place::Control, "bad", async { panic!("on purpose") });
        sim.block_on(task.ended());
    };
    run(true);
    let panic = panic_of(|| run(false));
    assert!(panic.contains("bad") && panic.contains("on purpose"), "{panic}");
}

#[test]
fn the_log_has_the_lines_of_users() {
    let sim = Sim::new(1);
    let host = sim.node("node", NodeOptions::default());
    let control = (*sim).clone();
    let task = host.clone().spawn(Place::Control, "speaker", async move {
        host.clock.sleep(ms(1500)).await;
        control.event("hello");
    });
    sim.block_on(task.ended());
    assert_eq!(sim.trace().lines(), ["0.000000000 node starts", "1.500000000 node: hello"]);
}
