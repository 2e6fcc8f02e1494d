//! What a panic in a task of the real machine does to its process.

#![allow(clippy::unwrap_used)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use host::Place;
use host::real::{self, Options, Panics};

const CHILD: &str = "BOURN_TEST_PANICKING_TASK";
const SIGABRT: i32 = 6;

/// Shards that had panicked left a broker behind that answered nobody and did not end either.
#[test]
fn a_panic_ends_the_process_unless_the_task_stands_alone() {
    if let Ok(name) = std::env::var(CHILD) {
        let name: &'static str = name.leak();
        let options = Options { shards: 1, panics: Panics::AbortExcept(&["alone"]), ..Options::default() };
        return real::run(options, |host| async move {
            let task = host.spawn(Place::Shard(0), name, async { panic!("on purpose") });
            task.ended().await;
        })
        .unwrap();
    }
    for (name, signal) in [("vital", Some(SIGABRT)), ("alone", None)] {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_panic_ends_the_process_unless_the_task_stands_alone"])
            .env(CHILD, name)
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), signal, "{name}: {child:?}");
        assert_eq!(child.status.success(), signal.is_none(), "{name}: {child:?}");
    }
}
