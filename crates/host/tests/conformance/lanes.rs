use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use host::{Host, Op, OpenMode};
use tokio::sync::oneshot;

pub(crate) async fn in_order(host: Host, _dir: PathBuf) {
    let lane = host.disk.lane("order");
    let log = Arc::new(Mutex::new(Vec::new()));
    let (done, all_done) = oneshot::channel();
    let mut done = Some(done);
    for n in 0..100 {
        let (run, end) = (Arc::clone(&log), Arc::clone(&log));
        let call = Op::Call(Box::new(move |_| {
            run.lock().unwrap().push((n, "runs"));
            Ok(Bytes::from(n.to_string()))
        }));
        let done = if n == 99 { done.take() } else { None };
        let ended = move |result: std::io::Result<Bytes>| {
            assert_eq!(result.unwrap(), n.to_string());
            end.lock().unwrap().push((n, "ended"));
            if let Some(done) = done {
                done.send(()).unwrap();
            }
        };
        lane.submit(call, Box::new(ended));
    }
    all_done.await.unwrap();
    let expected: Vec<_> = (0..100).flat_map(|n| [(n, "runs"), (n, "ended")]).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

pub(crate) async fn read_write_sync(host: Host, dir: PathBuf) {
    let lane = host.disk.lane("io");
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    let pieces = vec![Bytes::from_static(b"hello "), Bytes::from_static(b"lane")];
    let written = lane.run(Op::Write { file: file.clone(), offset: 10, pieces });
    let synced = lane.run(Op::Sync { file: file.clone() });
    let read = lane.run(Op::Read { file: file.clone(), offset: 16, len: 100 });
    assert_eq!(read.await.unwrap(), "lane");
    assert_eq!(written.await.unwrap(), "");
    assert_eq!(synced.await.unwrap(), "");
    let read_only = host.disk.files().open(&dir.join("a"), OpenMode::READ).unwrap();
    let pieces = vec![Bytes::from_static(b"x")];
    lane.run(Op::Write { file: read_only, offset: 0, pieces }).await.unwrap_err();
}

pub(crate) async fn call_gets_files(host: Host, dir: PathBuf) {
    let lane = host.disk.background_lane("call");
    let path = dir.join("a");
    let call = Op::Call(Box::new(move |files| {
        files.replace(&path, b"content")?;
        files.read(&path, 100).map(Bytes::from)
    }));
    assert_eq!(lane.run(call).await.unwrap(), "content");
    let path = dir.join("missing");
    let call = Op::Call(Box::new(move |files| files.read(&path, 100).map(Bytes::from)));
    assert_eq!(lane.run(call).await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

pub(crate) async fn panicking_call(host: Host, _dir: PathBuf) {
    let lane = host.disk.lane("panic");
    let failed = lane.run(Op::Call(Box::new(|_| panic!("told to")))).await.unwrap_err();
    assert!(failed.to_string().contains("told to"), "{failed}");
    let next = lane.run(Op::Call(Box::new(|_| Ok(Bytes::from_static(b"alive"))))).await;
    assert_eq!(next.unwrap(), "alive");
}

pub(crate) async fn dropped_lane_finishes(host: Host, dir: PathBuf) {
    let lane = host.disk.lane("drop");
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    for n in 0..20_u64 {
        let pieces = vec![Bytes::from(vec![b'x'; 10])];
        drop(lane.run(Op::Write { file: file.clone(), offset: n * 10, pieces }));
    }
    let last = lane.run(Op::Sync { file: file.clone() });
    drop(lane);
    last.await.unwrap();
    assert_eq!(file.len().unwrap(), 200);
}

pub(crate) async fn two_lanes(host: Host, _dir: PathBuf) {
    let (first, second) = (host.disk.lane("first"), host.disk.lane("second"));
    let order = Arc::new(Mutex::new(Vec::new()));
    let run = |lane: &host::LaneRef, name: &'static str| {
        let order = Arc::clone(&order);
        lane.run(Op::Call(Box::new(move |_| {
            order.lock().unwrap().push(name);
            Ok(Bytes::new())
        })))
    };
    let (a, b) = (run(&first, "first"), run(&second, "second"));
    a.await.unwrap();
    b.await.unwrap();
    let mut order = order.lock().unwrap().clone();
    order.sort_unstable();
    assert_eq!(order, ["first", "second"]);
}
