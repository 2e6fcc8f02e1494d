//! Where things are: by time, and the ends.

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use super::{consumer, create_topic, produce};
use crate::PATIENCE;
use crate::node::Node;
use crate::sample::{FIRST_MS, samples};

#[test]
fn offsets_are_found_by_time() {
    let node = Node::start();
    create_topic(&node, "t", 2);
    produce(&node, "t", &[("compression.type", "lz4"), ("linger.ms", "100")], &samples());
    let find = |partition, ms| {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset("t", partition, Offset::Offset(ms)).unwrap();
        let found = consumer(&node, &[]).offsets_for_times(wanted, PATIENCE).unwrap();
        found.find_partition("t", partition).unwrap().offset()
    };
    assert_eq!(find(0, 0), Offset::Offset(0));
    assert_eq!(find(0, FIRST_MS + 2000), Offset::Offset(2));
    assert_eq!(find(0, FIRST_MS + 2001), Offset::Offset(3));
    assert_eq!(find(0, FIRST_MS + 6001), Offset::End, "nothing is that young");
    assert_eq!(find(1, FIRST_MS), Offset::End, "nothing is there");
}

#[test]
fn watermarks_are_the_ends() {
    let node = Node::start();
    create_topic(&node, "t", 2);
    produce(&node, "t", &[], &samples());
    let watermarks = |partition| consumer(&node, &[]).fetch_watermarks("t", partition, PATIENCE).unwrap();
    assert_eq!((watermarks(0), watermarks(1)), ((0, 7), (0, 0)));
}
