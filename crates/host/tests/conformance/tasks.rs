use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use host::{Host, Place};
use tokio::sync::{mpsc, oneshot};

pub(crate) async fn places(host: Host, _dir: PathBuf) {
    assert_eq!(host.tasks.shards(), 2);
    for (asked, got) in [
        (Place::Control, Place::Control),
        (Place::Shard(0), Place::Shard(0)),
        (Place::Shard(1), Place::Shard(1)),
        (Place::Shard(5), Place::Shard(1)),
    ] {
        let (tell, told) = oneshot::channel();
        host.spawn(asked, "place", async move {
            tell.send((host::place(), host::current().tasks.shards())).unwrap();
        });
        assert_eq!(told.await.unwrap(), (Some(got), 2));
    }
}

pub(crate) async fn tasks_run_to_their_end(host: Host, _dir: PathBuf) {
    let (send, mut receive) = mpsc::channel(1);
    let task = host.spawn(Place::Shard(1), "count", async move {
        for n in 0..10 {
            send.send(n).await.unwrap();
        }
    });
    let mut received = Vec::new();
    while let Some(n) = receive.recv().await {
        received.push(n);
    }
    task.ended().await;
    task.ended().await;
    task.abort();
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) async fn abort_drops_the_future(host: Host, _dir: PathBuf) {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop(Arc::clone(&dropped));
    let (started, has_started) = oneshot::channel();
    let task = host.spawn(Place::Shard(0), "for ever", async move {
        let _guard = guard;
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    has_started.await.unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    task.abort();
    task.ended().await;
    assert!(dropped.load(Ordering::SeqCst));
}

pub(crate) async fn abort_before_the_first_poll(host: Host, _dir: PathBuf) {
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = OnDrop(Arc::clone(&dropped));
    let task = host.spawn(Place::Control, "never", async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    task.abort();
    task.ended().await;
    assert!(dropped.load(Ordering::SeqCst));
}

pub(crate) async fn timers_fire_in_order(host: Host, _dir: PathBuf) {
    let start = host.now();
    let log = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = [40_u64, 5, 20]
        .into_iter()
        .map(|ms| {
            let (host, log) = (host.clone(), Arc::clone(&log));
            host.clone().spawn(Place::Shard(0), "timer", async move {
                let at = start.after(Duration::from_millis(ms));
                host.clock.sleep_until(at).await;
                assert!(host.now() >= at, "a timer fired early");
                log.lock().unwrap().push(ms);
            })
        })
        .collect();
    for task in tasks {
        task.ended().await;
    }
    assert_eq!(*log.lock().unwrap(), [5, 20, 40]);
    host.clock.sleep_until(start).await;
    host.clock.sleep(Duration::ZERO).await;
    drop(host.clock.sleep(Duration::from_secs(1000)));
    drop(host.clock.sleep(Duration::MAX));
}

pub(crate) async fn clocks(host: Host, _dir: PathBuf) {
    let before = host.now();
    // Later than the day this was written.
    assert!(host.clock.wall_ms() > 1_790_000_000_000);
    assert!(host.now() >= before);
}

pub(crate) async fn randomness(host: Host, _dir: PathBuf) {
    assert_ne!(host.rng.next_u64(), host.rng.next_u64());
    let mut bytes = [0; 64];
    host.rng.fill(&mut bytes);
    assert!(bytes.iter().any(|byte| *byte != 0));
    assert!((0..100).all(|_| host.rng.below(10) < 10));
    assert_eq!(host.rng.below(0), 0);
    host.rng.fill(&mut []);
}

pub(crate) async fn yields_to_others(host: Host, _dir: PathBuf) {
    let (send, mut receive) = oneshot::channel();
    host.spawn(Place::Control, "other", async move { send.send(7).unwrap() });
    let mut turns = 0_u64;
    while receive.try_recv() != Ok(7) {
        tokio::task::yield_now().await;
        turns += 1;
        assert!(turns < 1_000_000, "the other task gets no turn");
    }
}
