//! Disks that are full or broken: what goes on, what is refused, and what comes back.

use std::path::Path;

use host::sim::{OpKind, Rule};
use protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::list_offsets_request::ListOffsetsPartition;
use protocol::{ErrorCode, Str};

use crate::support::requests::{
    FETCH, LIST, METADATA, PRODUCE, Topic, batch, fetch, from_offset, only, only_produced, produce, values,
};
use crate::support::{Client, SERVER, World, ms, run};

fn used_bytes(world: &World) -> u64 {
    let space = world.files().space(Path::new("/data")).unwrap();
    space.total_bytes - space.available_bytes
}

#[test]
fn with_a_full_disk_writes_are_refused_and_everything_else_goes_on() {
    let configs = [("bourn.disk.reserve.bytes", "4000000"), ("log.retention.check.interval.ms", "1000")];
    run(&configs, async |world| {
        let mut client = world.connect().await;
        // The records of these tests are of 1970.
        let topic = client.create("t", 1, &[("retention.ms", "-1")]).await;
        let old = client.create("old", 1, &[("retention.ms", "60000"), ("segment.ms", "1000")]).await;
        client.create("gone", 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        client.fill(&old, &["of 1970"]).await;
        let quota = used_bytes(world) + 2_000_000;
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(quota));
        world.sim.sleep(ms(3_000)).await;
        for acks in [-1, 1] {
            let answer = client.call(PRODUCE, &produce(PRODUCE, acks, &topic, &[(0, batch(&["no"]))])).await;
            let part = only_produced(&answer);
            assert_eq!(ErrorCode::from(part.error_code), ErrorCode::KafkaStorageError);
            assert_eq!(part.error_message.as_deref(), Some("the disk is full"));
        }
        // Reads, metadata, deletion and retention go on, since they are what makes room again.
        assert_eq!(values(&client.read(&topic, 0).await), ["a"]);
        let new = client.create("new", 1, &[("retention.ms", "-1")]).await;
        assert_eq!(client.append_code(&new, batch(&["no"])).await, ErrorCode::KafkaStorageError);
        client.delete("gone").await;
        assert_eq!(client.describe(METADATA, "gone", false).await.error_code, 3);
        world.sim.sleep(ms(120_000)).await;
        let mut client = world.connect().await;
        assert_eq!(client.offset_at(LIST, &old, -2).await.offset, 1, "retention has taken it");
        // With room there is no need for a restart.
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = None);
        world.sim.sleep(ms(3_000)).await;
        client.fill(&topic, &["b"]).await;
        client.fill(&new, &["c"]).await;
        world.crash().await;
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a", "b"]);
        assert_eq!(values(&client.read(&new, 0).await), ["c"]);
    });
}

/// Somebody else has filled the disk to the last block: then what has to be written down waits, and what has not goes on.
#[test]
fn with_no_block_left_topics_are_read_and_deleted_and_changes_wait() {
    run(&[], async |world| {
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(1 << 30));
        world.restart().await;
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("retention.ms", "-1")]).await;
        client.fill(&topic, &["a"]).await;
        client.create("gone", 1, &[]).await;
        world.sim.sleep(ms(1_000)).await;
        let quota = used_bytes(world);
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = Some(quota));
        client.delete("gone").await;
        assert_eq!(client.describe(METADATA, "gone", false).await.error_code, 3);
        assert_eq!(values(&client.read(&topic, 0).await), ["a"]);
        // The room that the metadata log has set aside is used up as well.
        let no_room = || Rule {
            error: std::io::ErrorKind::StorageFull,
            ..Rule::next(OpKind::Write, "/data/metadata/", u64::MAX)
        };
        world.sim.disk(SERVER).inject(no_room());
        let delete = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(Str::from("t")), ..Default::default() }],
            timeout_ms: 3_000,
            ..Default::default()
        };
        for _ in 0..2 {
            let answer = client.call(6, &delete).await;
            let code = ErrorCode::from(answer.responses.first().unwrap().error_code);
            assert_eq!(code, ErrorCode::RequestTimedOut);
        }
        let producer = InitProducerIdRequest {
            transactional_id: None,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let code = ErrorCode::from(client.call(4, &producer).await.error_code);
        assert_eq!(code, ErrorCode::CoordinatorLoadInProgress);
        let automatic = client.describe(METADATA, "automatic", true).await;
        assert_eq!(ErrorCode::from(automatic.error_code), ErrorCode::LeaderNotAvailable);
        assert_eq!(values(&client.read(&topic, 0).await), ["a"]);
        world.sim.disk(SERVER).clear_rules();
        world.sim.disk(SERVER).faults(|faults| faults.quota_bytes = None);
        world.sim.sleep(ms(2_000)).await;
        // It was under way when its client gave up.
        assert_eq!(client.describe(METADATA, "t", false).await.error_code, 3);
        let new = client.create("new", 1, &[("retention.ms", "-1")]).await;
        client.fill(&new, &["b"]).await;
        world.stop().await;
        world.sim.disk(SERVER).inject(Rule { skip: 2, ..no_room() });
        let why = world.start_again().await.unwrap_err();
        assert!(why.starts_with("the disk of /data/metadata is full: "), "{why}");
        world.sim.disk(SERVER).clear_rules();
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&new, 0).await), ["b"]);
    });
}

/// The last checkpoint says that the journal has nothing for the next start. It was written, into the little room that is set aside,
/// after the one with what the shards had to say had found none: everything was gone, and what came next began at offset 0.
#[test]
fn a_clean_stop_without_room_for_a_checkpoint_leaves_everything_to_the_journal() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("retention.ms", "-1")]).await;
        client.fill(&topic, &["a"]).await;
        let no_room = Rule {
            error: std::io::ErrorKind::StorageFull,
            ..Rule::next(OpKind::Write, "/data/checkpoint", 1)
        };
        world.sim.disk(SERVER).inject(no_room);
        world.restart().await;
        let mut client = world.connect().await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a"]);
        client.fill(&topic, &["b"]).await;
        assert_eq!(values(&client.read(&topic, 0).await), ["a", "b"]);
    });
}

/// Eight topics, each with one record that is its name, spread over two directories.
async fn spread(client: &mut Client, world: &World) -> Vec<(Topic, bool)> {
    let mut topics = Vec::new();
    for number in 0..8 {
        let name = format!("t{number}");
        let topic = client.create(&name, 1, &[]).await;
        client.fill(&topic, &[&name]).await;
        let in_second = world.files().exists(Path::new(&format!("/b/{name}-0"))).unwrap();
        topics.push((topic, in_second));
    }
    assert_eq!(topics.iter().filter(|(_, in_second)| *in_second).count(), 4);
    topics
}

async fn assert_offline(client: &mut Client, topic: &Topic) {
    for version in [3, PRODUCE] {
        let answer = client.call(version, &produce(version, -1, topic, &[(0, batch(&["x"]))])).await;
        let code = ErrorCode::from(only_produced(&answer).error_code);
        assert_eq!(code, ErrorCode::KafkaStorageError);
    }
    // Older readers do not know that code.
    for (version, code) in [(5, ErrorCode::NotLeaderOrFollower), (FETCH, ErrorCode::KafkaStorageError)] {
        let answer = client.call(version, &fetch(version, topic, vec![from_offset(0, 0)])).await;
        assert_eq!(ErrorCode::from(only(&answer).error_code), code);
    }
    for (version, code) in [(4, ErrorCode::LeaderNotAvailable), (LIST, ErrorCode::KafkaStorageError)] {
        let partition =
            ListOffsetsPartition { timestamp: -1, current_leader_epoch: -1, ..Default::default() };
        let found = client.list_offset(version, topic, partition).await;
        assert_eq!(ErrorCode::from(found.error_code), code);
    }
}

#[test]
fn a_directory_that_is_bad_at_the_start_is_left_out_and_comes_back_with_its_records() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let topics = spread(&mut world.connect().await, world).await;
        world.stop().await;
        world.break_directory("/b");
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        for (topic, in_second) in &topics {
            if *in_second {
                assert_offline(&mut client, topic).await;
            } else {
                client.fill(topic, &["more"]).await;
                assert_eq!(values(&client.read(topic, 0).await), [topic.name.as_str()]);
                assert_eq!(values(&client.read(topic, 1).await), ["more"]);
            }
        }
        let new = client.create("new", 2, &[]).await;
        client.fill(&new, &["on the other one"]).await;
        // Repaired, it has all that it had.
        world.stop().await;
        world.sim.disk(SERVER).faults(|faults| (faults.read_error_ppm, faults.write_error_ppm) = (0, 0));
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        for (topic, in_second) in &topics {
            let found = values(&client.read(topic, 0).await);
            let expected: &[&str] = if *in_second { &[&topic.name] } else { &[&topic.name, "more"] };
            assert_eq!(found, expected);
            client.fill(topic, &["again"]).await;
        }
        assert_eq!(values(&client.read(&new, 0).await), ["on the other one"]);
    });
}

#[test]
fn without_any_directory_or_the_one_with_the_metadata_there_is_no_start() {
    for only in ["/a", "/"] {
        run(&[("log.dirs", "/a,/b")], async |world| {
            let topics = spread(&mut world.connect().await, world).await;
            world.stop().await;
            world.sim.disk(SERVER).faults(|faults| {
                faults.only = only.to_owned();
                faults.read_error_ppm = 1_000_000;
            });
            let why = world.start_again().await.unwrap_err();
            assert!(why.contains("/a"), "{why}");
            world.sim.disk(SERVER).faults(|faults| faults.read_error_ppm = 0);
            world.start_again().await.unwrap();
            let mut client = world.connect().await;
            for (topic, _) in &topics {
                assert_eq!(values(&client.read(topic, 0).await), [topic.name.as_str()]);
            }
        });
    }
}

/// A new cluster would set the partitions aside as those of nobody, and what only the journal has would be gone.
#[test]
fn partitions_without_their_metadata_are_left_alone() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let topics = spread(&mut world.connect().await, world).await;
        world.stop().await;
        // As directories were before they said whose they are.
        let claimed = ["/a", "/b"].map(|dir| {
            let path = Path::new(dir).join("meta.properties");
            let text = String::from_utf8(world.files().read(&path, 4096).unwrap()).unwrap();
            let nobodys = text.lines().filter(|line| !line.contains("cluster.id")).collect::<Vec<_>>();
            world.files().replace(&path, nobodys.join("\n").as_bytes()).unwrap();
            (path, text)
        });
        world.files().rename(Path::new("/a/metadata"), Path::new("/a/elsewhere")).unwrap();
        let why = world.start_again().await.unwrap_err();
        assert!(why.contains("/a/metadata/meta.properties: missing"), "{why}");
        world.files().rename(Path::new("/a/elsewhere"), Path::new("/a/metadata")).unwrap();
        world.start_again().await.unwrap();
        for (path, text) in claimed {
            assert_eq!(world.files().read(&path, 4096).unwrap().len(), text.len());
        }
        let mut client = world.connect().await;
        for (topic, _) in &topics {
            assert_eq!(values(&client.read(topic, 0).await), [topic.name.as_str()]);
        }
    });
}

#[test]
fn a_directory_that_fails_while_serving_takes_its_partitions_offline_and_no_others() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let topics = spread(&mut world.connect().await, world).await;
        world.fail_syncs("/b/journal");
        let mut client = world.connect().await;
        for (topic, in_second) in &topics {
            let code = client.append_code(topic, batch(&["more"])).await;
            assert_eq!(code != ErrorCode::None, *in_second, "{topic:?}: {code:?}");
        }
        for (topic, in_second) in &topics {
            if *in_second {
                assert_offline(&mut client, topic).await;
            } else {
                assert_eq!(values(&client.read(topic, 0).await), [topic.name.as_str(), "more"]);
            }
        }
    });
}

#[test]
fn partitions_on_a_directory_that_is_offline_are_told_to_have_no_leader() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let topics = spread(&mut world.connect().await, world).await;
        world.fail_syncs("/b/journal");
        let mut client = world.connect().await;
        for (topic, _) in &topics {
            client.append(topic, batch(&["more"])).await;
        }
        world.sim.sleep(ms(1_000)).await;
        let assert_told = async |client: &mut Client, are_offline: bool| {
            for (topic, in_second) in &topics {
                let told = client.describe(METADATA, &topic.name, false).await.partitions.remove(0);
                let is_offline = *in_second && are_offline;
                let code = if is_offline { ErrorCode::LeaderNotAvailable } else { ErrorCode::None };
                assert_eq!(ErrorCode::from(told.error_code), code);
                assert_eq!(
                    (told.leader_id == -1, told.offline_replicas.len()),
                    (is_offline, usize::from(is_offline))
                );
                assert_eq!(told.isr_nodes.len(), 1, "it waits for the last one in sync");
                if is_offline {
                    assert_offline(client, topic).await;
                }
            }
        };
        assert_told(&mut client, true).await;
        // A start without it is no election, one with it is.
        world.stop().await;
        world.sim.disk(SERVER).faults(|faults| {
            faults.only = "/b".to_owned();
            faults.read_error_ppm = 1_000_000;
        });
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_told(&mut client, true).await;
        world.stop().await;
        world.sim.disk(SERVER).faults(|faults| (faults.read_error_ppm, faults.sync_error_ppm) = (0, 0));
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_told(&mut client, false).await;
        for (topic, _) in &topics {
            assert_eq!(values(&client.read(topic, 0).await).first(), Some(&topic.name.to_string()));
        }
    });
}
