//! How long a lone voter takes to be ready and to commit, on the real disk. Run it alone:
//! `cargo bench -p bourn-quorum`. The directory is a temporary one; `TMPDIR` says where.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails by panicking")]

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use host::{Host, real};
use quorum::{Encode, MetadataLog, Options, StateMachine};

/// Keeps nothing but a count.
#[derive(Default)]
struct Count(u64);

impl StateMachine for Count {
    fn apply(&mut self, _index: u64, _term: u64, _batch: &[u8]) {
        self.0 += 1;
    }

    fn snapshot(&self) -> Encode {
        let count = self.0;
        Box::new(move || Bytes::copy_from_slice(&count.to_be_bytes()))
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String> {
        self.0 = snapshot.try_into().map(u64::from_be_bytes).map_err(|_| "not a count".to_owned())?;
        Ok(())
    }
}

fn run<T, F: Future<Output = T>>(main: impl FnOnce(Host) -> F) -> T {
    real::run(real::Options { shards: 1, ..real::Options::default() }, main).unwrap()
}

async fn timed_open(host: &Host, dir: &Path) -> (MetadataLog, Duration) {
    let start = host.now();
    let log = MetadataLog::open(host, dir, Options::default(), Count::default()).await.unwrap();
    (log, host.now().since(start))
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what:32} p50 {:>9.3?}  p99 {:>9.3?}  best {:>9.3?}", at(50), at(99), times[0]);
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let fresh = |number: usize| dir.path().join(number.to_string());
    let times = (0..20).map(|number| {
        run(|host| async move {
            let (log, time) = timed_open(&host, &fresh(number)).await;
            log.shutdown().await;
            time
        })
    });
    print("open an empty directory", times.collect());
    let batch = Bytes::from(vec![7; 200]);
    let used = dir.path().join("0");
    let path = used.clone();
    run(|host| async move {
        let (log, _) = timed_open(&host, &path).await;
        let mut times = Vec::new();
        for _ in 0..2000 {
            let start = host.now();
            log.propose(batch.clone()).await.unwrap();
            times.push(host.now().since(start));
        }
        print("propose 200 bytes, one by one", times);
        let start = host.now();
        let proposals: Vec<_> = (0..10_000).map(|_| log.propose(batch.clone())).collect();
        for proposal in proposals {
            proposal.await.unwrap();
        }
        let took = host.now().since(start);
        println!("{:32} {took:.3?}, {:.0} a second", "propose 10,000 at once", 1e4 / took.as_secs_f64());
        log.shutdown().await;
    });
    let times = (0..20).map(|_| {
        let path = used.clone();
        run(|host| async move {
            let (log, time) = timed_open(&host, &path).await;
            log.shutdown().await;
            time
        })
    });
    print("open again with 12,000 entries", times.collect());
}
