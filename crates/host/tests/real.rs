//! What only the real machine has.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use host::real::{self, Options, Signal};
use host::{Host, Place};
use tokio::sync::oneshot;

fn options() -> Options {
    Options { shards: 2, ..Options::default() }
}

#[test]
fn places_are_threads_and_run_returns_the_result() {
    let caller = std::thread::current().id();
    let names = real::run(options(), async |host: Host| {
        assert_eq!(std::thread::current().id(), caller);
        let mut names = Vec::new();
        for shard in 0..3 {
            let (tell, told) = oneshot::channel();
            host.spawn(Place::Shard(shard), "name", async move {
                tell.send(std::thread::current().name().map(str::to_owned)).unwrap();
            });
            names.push(told.await.unwrap().unwrap());
        }
        names
    });
    assert_eq!(names.unwrap(), ["shard-0", "shard-1", "shard-0"]);
    assert!(host::try_current().is_none());
}

#[test]
fn a_panic_ends_its_task_only() {
    real::run(options(), async |host: Host| {
        for place in [Place::Control, Place::Shard(0)] {
            host.spawn(place, "bad", async { panic!("on purpose") }).ended().await;
            let (tell, told) = oneshot::channel();
            host.spawn(place, "good", async move { tell.send(5).unwrap() });
            assert_eq!(told.await.unwrap(), 5);
        }
    })
    .unwrap();
}

#[test]
fn the_end_of_main_drops_every_task() {
    struct Count(Arc<AtomicBool>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = [(); 3].map(|()| Arc::new(AtomicBool::new(false)));
    let guards = dropped.clone().map(Count);
    real::run(options(), async |host: Host| {
        for (place, guard) in [Place::Control, Place::Shard(0), Place::Shard(1)].into_iter().zip(guards) {
            host.spawn(place, "for ever", async move {
                let _guard = guard;
                std::future::pending::<()>().await;
            });
        }
    })
    .unwrap();
    assert!(dropped.iter().all(|dropped| dropped.load(Ordering::SeqCst)));
}

#[test]
fn signals_are_heard() {
    use rustix::process::{Signal as Raise, getpid, kill_process};
    real::run(options(), async |_| {
        let mut signals = real::signals().unwrap();
        kill_process(getpid(), Raise::TERM).unwrap();
        assert_eq!(signals.next().await, Signal::Terminate);
        kill_process(getpid(), Raise::INT).unwrap();
        assert_eq!(signals.next().await, Signal::Interrupt);
    })
    .unwrap();
}

#[test]
fn the_limit_of_open_files_is_raised() {
    real::run(options(), async |_| {}).unwrap();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    assert_eq!(limit.current, limit.maximum);
}

#[test]
fn a_taken_port_is_not_stepped_around() {
    real::run(options(), async |host: Host| {
        let taken = host.net.listen("127.0.0.1", 0).await.unwrap();
        // `localhost` may have an IPv6 address, too, where only some clients would find a server.
        for name in ["127.0.0.1", "localhost"] {
            let again = host.net.listen(name, taken.local_addr().port()).await;
            assert_eq!(again.unwrap_err().kind(), std::io::ErrorKind::AddrInUse, "{name}");
        }
    })
    .unwrap();
}
