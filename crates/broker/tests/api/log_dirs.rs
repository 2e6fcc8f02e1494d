//! DescribeLogDirs.

use protocol::messages::create_topics_request::CreateTopicsRequest;
use protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use protocol::{ErrorCode, Str};

use crate::alter_configs::{alter, delete, set};
use crate::support::requests::{batch, new_topic};
use crate::support::{Client, run};

/// Topics and partitions; `None` is all.
type Asked<'a> = Option<&'a [(&'a str, &'a [i32])]>;

async fn describe(client: &mut Client, version: i16, asked: Asked<'_>) -> Vec<DescribeLogDirsResult> {
    let topic = |(topic, partitions): &(&str, &[i32])| DescribableLogDirTopic {
        topic: Str::from(*topic),
        partitions: partitions.to_vec(),
    };
    let topics = asked.map(|asked| asked.iter().map(topic).collect());
    let answer = client.call(version, &DescribeLogDirsRequest { topics }).await;
    assert_eq!(answer.error_code, 0);
    answer.results
}

/// What is where, by name.
fn placed(results: &[DescribeLogDirsResult]) -> Vec<(&str, i32)> {
    let topics = results.iter().flat_map(|result| &result.topics);
    let partitions = topics.flat_map(|topic| {
        topic.partitions.iter().map(|partition| (topic.name.as_str(), partition.partition_index))
    });
    let mut all: Vec<_> = partitions.collect();
    all.sort_unstable();
    all
}

#[test]
fn directories_tell_what_they_hold_and_how_much_room_there_is() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        client.create("u", 1, &[]).await;
        let sent = batch(&["abc"; 100]);
        client.append(&topic, sent.clone()).await;
        for version in 1..=5 {
            let results = describe(&mut client, version, None).await;
            let dirs: Vec<&str> = results.iter().map(|result| result.log_dir.as_str()).collect();
            assert_eq!(dirs, ["/a", "/b"]);
            assert!(
                results
                    .iter()
                    .all(|result| result.error_code == 0 && result.topics.len() == 2
                        || result.topics.len() == 1)
            );
            assert_eq!(placed(&results), [("t", 0), ("t", 1), ("t", 2), ("u", 0)]);
            let spread = |result: &DescribeLogDirsResult| {
                result.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>()
            };
            assert_eq!(results.iter().map(spread).collect::<Vec<_>>(), [2, 2]);
            let sizes = results.iter().flat_map(|result| &result.topics).flat_map(|topic| &topic.partitions);
            let sizes: i64 = sizes
                .map(|partition| {
                    assert!(!partition.is_future_key && partition.offset_lag == 0);
                    partition.partition_size
                })
                .sum();
            assert_eq!(sizes, i64::try_from(sent.len()).unwrap());
            for result in &results {
                assert_eq!(result.usable_bytes > 0, version >= 4);
                assert!(result.total_bytes >= result.usable_bytes);
                assert!(!result.is_cordoned);
            }
        }
        let some = describe(&mut client, 5, Some(&[("t", &[1, 1, 9]), ("nobody", &[0])])).await;
        assert_eq!(placed(&some), [("t", 1)]);
        assert_eq!(placed(&describe(&mut client, 5, Some(&[])).await), []);
    });
}

#[test]
fn a_directory_that_is_offline_says_so_and_no_more() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let mut topics = Vec::new();
        for name in ["t", "u"] {
            topics.push(client.create(name, 1, &[]).await);
        }
        world.fail_syncs("/b/journal");
        for topic in &topics {
            client.append(topic, batch(&["a"])).await;
        }
        let codes = |results: &[DescribeLogDirsResult]| -> Vec<(String, ErrorCode, usize, i64)> {
            let one = |result: &DescribeLogDirsResult| {
                let code = ErrorCode::from(result.error_code);
                (result.log_dir.to_string(), code, result.topics.len(), result.total_bytes.signum())
            };
            results.iter().map(one).collect()
        };
        let expected = [
            ("/a".to_owned(), ErrorCode::None, 1, 1),
            ("/b".to_owned(), ErrorCode::KafkaStorageError, 0, -1),
        ];
        assert_eq!(codes(&describe(&mut client, 5, None).await), expected);
        world.stop().await;
        world.break_directory("/b");
        world.start_again().await.unwrap();
        let mut client = world.connect().await;
        assert_eq!(codes(&describe(&mut client, 5, None).await), expected);
    });
}

#[test]
fn new_partitions_go_past_directories_that_are_cordoned() {
    run(&[("log.dirs", "/a,/b"), ("node.id", "1"), ("cordoned.log.dirs", "/a")], async |world| {
        let mut client = world.connect().await;
        client.create("t", 4, &[]).await;
        let told = async |client: &mut Client| -> Vec<(bool, usize)> {
            let one = |result: &DescribeLogDirsResult| {
                let partitions = result.topics.iter().map(|topic| topic.partitions.len()).sum();
                (result.is_cordoned, partitions)
            };
            describe(client, 5, None).await.iter().map(one).collect()
        };
        assert_eq!(told(&mut client).await, [(true, 0), (false, 4)]);
        let broker = (4, "1");
        set(&mut client, broker, "cordoned.log.dirs", "/b").await;
        client.create("u", 2, &[]).await;
        assert_eq!(told(&mut client).await, [(false, 2), (true, 4)]);
        let unknown = alter(&mut client, broker, &[("cordoned.log.dirs", 0, Some("/c"))]).await;
        assert_eq!(unknown.0, ErrorCode::InvalidRequest, "{unknown:?}");
        set(&mut client, broker, "cordoned.log.dirs", "*").await;
        let topics = vec![new_topic("v", 1, &[])];
        let request = CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() };
        let refused = client.call(7, &request).await.topics.remove(0);
        assert_eq!(ErrorCode::from(refused.error_code), ErrorCode::InvalidReplicationFactor);
        world.restart().await;
        let mut client = world.connect().await;
        assert_eq!(told(&mut client).await, [(true, 2), (true, 4)]);
        delete(&mut client, broker, "cordoned.log.dirs").await;
        client.create("v", 2, &[]).await;
        assert_eq!(told(&mut client).await, [(true, 2), (false, 6)]);
    });
}
