//! Log directories that are left out of `log.dirs`, or come back empty.

use std::path::Path;

use protocol::ErrorCode;

use crate::support::requests::{FETCH, PRODUCE, only_produced};
use crate::support::requests::{METADATA, Topic, batch, fetch, from_offset, only, produce, values};
use crate::support::{Client, SERVER, World, ms, run};

const PARTITIONS: i32 = 6;

async fn write(client: &mut Client, topic: &Topic, value: &str) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    for partition in 0..PARTITIONS {
        let request = produce(PRODUCE, -1, topic, &[(partition, batch(&[value]))]);
        let answer = client.call(PRODUCE, &request).await;
        codes.push(ErrorCode::from(only_produced(&answer).error_code));
    }
    codes
}

async fn read(client: &mut Client, topic: &Topic) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for partition in 0..PARTITIONS {
        let answer = client.call(FETCH, &fetch(FETCH, topic, vec![from_offset(partition, 0)])).await;
        all.push(values(only(&answer)));
    }
    all
}

/// Which partitions have a directory in `directory`.
fn there(world: &World, directory: &str) -> Vec<bool> {
    let there =
        |partition| world.files().exists(&Path::new(directory).join(format!("t-{partition}"))).unwrap();
    (0..PARTITIONS).map(there).collect()
}

#[test]
fn what_is_on_a_directory_that_was_left_out_is_not_made_anew() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", PARTITIONS, &[]).await;
        assert!(write(&mut client, &topic, "old").await.iter().all(|code| *code == ErrorCode::None));
        world.sim.sleep(ms(1_000)).await;
        let in_first = there(world, "/a");
        assert_eq!(in_first.iter().filter(|there| **there).count(), 3);
        world.stop().await;
        world.set("log.dirs", "/a");
        world.start_again().await.unwrap();
        for _ in 0..2 {
            assert_eq!(there(world, "/a"), in_first);
            let mut client = world.connect().await;
            let codes = write(&mut client, &topic, "more").await;
            let told = client.describe(METADATA, "t", false).await.partitions;
            for (partition, here) in in_first.iter().enumerate() {
                let code = if *here { ErrorCode::None } else { ErrorCode::KafkaStorageError };
                assert_eq!(codes[partition], code, "{partition}");
                let told = told.iter().find(|told| told.partition_index == partition as i32).unwrap();
                assert_eq!((told.leader_id == -1, told.offline_replicas.is_empty()), (!*here, *here));
            }
            world.restart().await;
        }
        // Where a new one goes is not in doubt.
        let mut client = world.connect().await;
        let new = client.create("new", 1, &[]).await;
        client.fill(&new, &["new"]).await;
        world.stop().await;
        world.set("log.dirs", "/a,/b");
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        for (found, here) in read(&mut client, &topic).await.iter().zip(&in_first) {
            let expected: &[&str] = if *here { &["old", "more", "more"] } else { &["old"] };
            assert_eq!(found, expected);
        }
        client.delete("t").await;
        let topic = client.create("t", PARTITIONS, &[]).await;
        for _ in 0..3 {
            let mut client = world.connect().await;
            assert!(write(&mut client, &topic, "new").await.iter().all(|code| *code == ErrorCode::None));
            world.restart().await;
        }
        let mut client = world.connect().await;
        assert_eq!(read(&mut client, &topic).await, vec![vec!["new"; 3]; PARTITIONS as usize]);
    });
}

#[test]
fn a_topic_is_deleted_while_a_directory_is_away() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", PARTITIONS, &[]).await;
        write(&mut client, &topic, "old").await;
        world.crash().await;
        world.stop().await;
        // As a disk that is new.
        world.files().rename(Path::new("/b"), Path::new("/away")).unwrap();
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        let codes = write(&mut client, &topic, "more").await;
        assert_eq!(codes.iter().filter(|code| **code == ErrorCode::KafkaStorageError).count(), 3);
        client.delete("t").await;
        let topic = client.create("t", PARTITIONS, &[]).await;
        assert!(write(&mut client, &topic, "new").await.iter().all(|code| *code == ErrorCode::None));
        world.stop().await;
        world.set("log.dirs", "/a,/b,/away");
        world.start_again().await.unwrap();
        for _ in 0..2 {
            let mut client = world.connect().await;
            assert_eq!(read(&mut client, &topic).await, vec![vec!["new"]; PARTITIONS as usize]);
            world.restart().await;
        }
    });
}

/// A start waited for it to be written out, and for ever on a full disk.
#[test]
fn what_is_left_of_a_deleted_topic_on_a_full_disk_holds_no_start_up() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(1 << 30));
        let mut client = world.connect().await;
        let topic = client.create("t", 40, &[]).await;
        let kept = client.create("kept", 2, &[]).await;
        client.fill(&kept, &["kept"]).await;
        for partition in 0..40 {
            let request = produce(PRODUCE, -1, &topic, &[(partition, batch(&["old"]))]);
            let answer = client.call(PRODUCE, &request).await;
            assert_eq!(only_produced(&answer).error_code, 0);
        }
        world.kill();
        world.break_directory("/b");
        world.start_again().await.unwrap();
        world.connect().await.delete("t").await;
        world.stop().await;
        world.sim.disk(SERVER).faults(|faults| {
            (faults.read_error_ppm, faults.write_error_ppm) = (0, 0);
        });
        let space = world.files().space(Path::new("/b")).unwrap();
        let used = space.total_bytes - space.available_bytes;
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(used));
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&kept, 0).await), ["kept"]);
        // With room it goes on by itself.
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(1 << 30));
        world.sim.sleep(ms(5_000)).await;
        let names = world.files().read_dir(Path::new("/b")).unwrap();
        let left: Vec<_> = names.iter().filter(|entry| entry.name.starts_with("t-")).collect();
        assert!(left.len() >= 19 && left.iter().all(|entry| entry.name.ends_with("-stray")), "{left:?}");
        let topic = client.create("t", 40, &[]).await;
        client.fill(&topic, &["new"]).await;
    });
}
