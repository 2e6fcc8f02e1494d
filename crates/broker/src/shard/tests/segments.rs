//! What is in the files, and when.

use super::*;

#[test]
fn tails_of_quiet_partitions_come_into_their_segments() {
    on_bench(&ShardsOptions::default(), async |bench| {
        let files = bench.host.disk.files();
        let path = |partition| PathBuf::from(format!("/data/flights-{partition}/00000000000000000000.log"));
        let size = batch().size() as u64;
        for partition in 0..200 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        assert!(
            (0..200).all(|partition| !files.exists(&path(partition)).unwrap()),
            "written with each append"
        );
        bench.sleep(Duration::from_secs(10)).await;
        for partition in 0..200 {
            let file = files.open(&path(partition), OpenMode::READ).unwrap();
            assert_eq!(file.len().unwrap(), size, "partition {partition}");
        }
    });
}

#[test]
fn retention_and_deletion_remove_files() {
    let options =
        ShardsOptions { retention_check_interval: Duration::from_secs(60), ..ShardsOptions::default() };
    on_bench(&options, async |bench| {
        let files = bench.host.disk.files();
        let config = LogConfig { retention_bytes: Some(3_000), ..small_segments() };
        bench.shards.open(spec(0, config)).await.unwrap();
        for _ in 0..40 {
            bench.append(Acks::All, 0, batch()).await.unwrap();
        }
        bench.sleep(Duration::from_secs(120)).await;
        let status = bench.status(0).await;
        assert!(status.log_start_offset > Offset(0) && status.size_bytes < 6_000, "{status:?}");
        assert_eq!(bench.read(0, 0, 10).await.error, ErrorCode::OffsetOutOfRange);
        let names = || -> Vec<String> {
            files
                .read_dir(Path::new("/data/flights-0"))
                .unwrap()
                .into_iter()
                .map(|entry| entry.name)
                .collect()
        };
        assert!(!names().iter().any(|name| name.starts_with("00000000000000000000.")), "{:?}", names());
        bench.shards.delete(key(0)).await.unwrap();
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::NotLeaderOrFollower));
        let list = || -> Vec<String> {
            files.read_dir(Path::new("/data")).unwrap().into_iter().map(|entry| entry.name).collect()
        };
        assert!(list().iter().any(|name| name.ends_with("-delete")), "{:?}", list());
        bench.sleep(Duration::from_secs(10)).await;
        assert_eq!(list(), Vec::<String>::new());
    });
}

#[test]
fn a_clean_stop_writes_everything_out() {
    on_bench(&ShardsOptions::default(), async |bench| {
        for partition in 0..4 {
            bench.shards.open(spec(partition, LogConfig::default())).await.unwrap();
            bench.append(Acks::All, partition, batch()).await.unwrap();
        }
        bench.shards.stop().await;
        assert_eq!(bench.committer.state.lock().unwrap().stopped, bench.host.tasks.shards());
        for partition in 0..4 {
            let path = format!("/data/flights-{partition}/00000000000000000000.log");
            let bytes = bench.host.disk.files().read(Path::new(&path), 10_000).unwrap();
            assert_eq!(bytes.len(), batch().size());
        }
        assert_eq!(bench.append(Acks::All, 0, batch()).await, Err(ErrorCode::NotLeaderOrFollower));
    });
}
