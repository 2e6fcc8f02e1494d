//! Consumers of librdkafka: most in groups that keep up, a quarter in one that does not, and some that never take what their
//! client has fetched.

use std::sync::Arc;
use std::thread::Scope;
use std::time::Duration;

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Counts, TOPICS, topic};

/// Groups of those that keep up, for each topic.
const GROUPS: usize = 2;
/// Consumers that one thread looks after.
const OF_A_THREAD: usize = 25;
/// What one takes at a time.
const RECORDS_AT_ONCE: usize = 500;
const PAUSE: Duration = Duration::from_millis(20);
/// A slow one takes a record at a time, ten a second.
const SLOW_PAUSE: Duration = Duration::from_millis(100);

/// Answers how many threads these are.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    bootstrap: &str,
    partitions: i32,
    counts: &Arc<Counts>,
) -> Result<usize> {
    let (slow, stalled) = (count / 4, count / 20);
    let fast = count - slow - stalled;
    let mut threads = 0;
    let of_groups = (0..fast)
        .map(|number| (topic(number), format!("{}-{}", topic(number), number / TOPICS as usize % GROUPS)))
        .collect::<Vec<_>>();
    let of_slow = (0..slow).map(|number| (topic(number), format!("{}-slow", topic(number)))).collect();
    for (groups, records, pause) in [(of_groups, RECORDS_AT_ONCE, PAUSE), (of_slow, 1, SLOW_PAUSE)] {
        for share in groups.chunks(OF_A_THREAD) {
            let mut consumers = Vec::new();
            for (topic, group) in share {
                let consumer = client(bootstrap, group)?;
                consumer.subscribe(&[topic])?;
                consumers.push(consumer);
            }
            let counts = Arc::clone(counts);
            scope.spawn(move || read(&consumers, records, pause, &counts));
            threads += 1;
        }
    }
    let mut idle = Vec::new();
    for number in 0..stalled {
        let consumer = client(bootstrap, "soak-stalled")?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(&topic(number), partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        idle.push(consumer);
    }
    let counts = Arc::clone(counts);
    scope.spawn(move || {
        while !counts.is_over() {
            std::thread::sleep(SLOW_PAUSE);
        }
        drop(idle);
    });
    Ok(threads + 1)
}

fn client(bootstrap: &str, group: &str) -> Result<BaseConsumer> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", bootstrap).set("group.id", group).set("auto.offset.reset", "earliest");
    client.set("partition.assignment.strategy", "range").set("queued.max.messages.kbytes", "1024");
    client.set("fetch.message.max.bytes", "262144").set("fetch.wait.max.ms", "500");
    client.set("topic.metadata.refresh.interval.ms", "60000");
    Ok(client.create()?)
}

fn read(consumers: &[BaseConsumer], records: usize, pause: Duration, counts: &Counts) {
    while !counts.is_over() {
        for consumer in consumers {
            // Errors are told as messages are, and the client goes on by itself.
            let taken = (0..records).map_while(|_| consumer.poll(Duration::ZERO));
            Counts::add(&counts.read, taken.filter(Result::is_ok).count() as u64);
        }
        std::thread::sleep(pause);
    }
}
