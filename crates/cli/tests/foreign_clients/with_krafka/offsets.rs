//! Where things are: by time, and the ends.

use krafka::admin::{OffsetSpec, TopicPartition};
use krafka::consumer::AutoOffsetReset;

use super::{assigned, connect, create_topic, produce, run};
use crate::node::Node;
use crate::sample::{FIRST_MS, samples};

#[test]
fn offsets_are_found_by_time_and_by_name() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 2).await;
        produce(kafka.producer(), "t", &samples()).await;
        let of = |partition, spec| {
            let (admin, partition) = (kafka.admin(), TopicPartition::new("t", partition));
            async move {
                let wanted = [(partition.clone(), spec)];
                let found = admin.list_offsets(wanted, Default::default()).await.unwrap();
                found[&partition].as_ref().map(|one| (one.offset, one.timestamp)).map_err(ToString::to_string)
            }
        };
        assert_eq!(of(0, OffsetSpec::Earliest).await, Ok((0, None)));
        assert_eq!(of(0, OffsetSpec::EarliestLocal).await, Ok((0, None)));
        assert_eq!(of(0, OffsetSpec::Latest).await, Ok((7, None)));
        assert_eq!(of(0, OffsetSpec::MaxTimestamp).await, Ok((6, Some(FIRST_MS + 6000))));
        let (second, third) = (Some(FIRST_MS + 1000), Some(FIRST_MS + 2000));
        assert_eq!(of(0, OffsetSpec::Timestamp(FIRST_MS + 1000)).await, Ok((1, second)));
        assert_eq!(of(0, OffsetSpec::Timestamp(FIRST_MS + 1001)).await, Ok((2, third)));
        assert_eq!(of(1, OffsetSpec::Latest).await, Ok((0, None)));
    });
}

#[test]
fn watermarks_and_times_of_a_consumer() {
    let node = Node::start();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 2).await;
        produce(kafka.producer(), "t", &samples()).await;
        let consumer = assigned(&kafka, "t", 0, AutoOffsetReset::Earliest).await;
        assert_eq!(consumer.fetch_watermarks("t", 0).await.unwrap(), (0, 7));
        assert_eq!(consumer.fetch_watermarks("t", 1).await.unwrap(), (0, 0));
        let found = consumer.offsets_for_times(&[("t", 0), ("t", 1)], FIRST_MS + 3500).await;
        let offset = |partition| *found[&("t".to_owned(), partition)].as_ref().unwrap();
        assert_eq!((offset(0), offset(1)), (4, -1));
        consumer.close().await.unwrap();
    });
}
