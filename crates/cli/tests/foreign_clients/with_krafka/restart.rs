//! A broker that dies while records are on their way.

use super::{connect, create_topic, read, record, run};
use crate::PATIENCE;
use crate::node::Node;
use crate::sample::Sample;

/// So many records, and a death after each of these have been acknowledged.
const RECORDS: usize = 6000;
const DEATHS: [usize; 2] = [1000, 3000];

#[test]
fn an_idempotent_producer_loses_and_doubles_nothing_when_the_broker_is_killed() {
    let mut node = Node::start();
    let many: Vec<Sample> =
        (0..RECORDS).map(|number| Sample::of(None, Some(number.to_string().as_bytes()))).collect();
    run(async {
        let kafka = connect(&node).await;
        create_topic(&kafka, "t", 1).await;
        let producer = kafka.producer().idempotent(true).batch_size(1000).delivery_timeout(PATIENCE);
        let producer = producer.build().await.unwrap();
        let mut handles = Vec::new();
        for sample in &many {
            handles.push(producer.enqueue(record("t", sample)).await.unwrap());
        }
        for (place, handle) in handles.into_iter().enumerate() {
            let written = handle.await.unwrap();
            assert!(written.is_persisted(), "{written:?}");
            if DEATHS.contains(&place) {
                node.kill_and_restart();
            }
        }
        producer.close().await.unwrap();
    });
    assert_eq!(read(&node, "t", 0), many, "each once, in order");
}
