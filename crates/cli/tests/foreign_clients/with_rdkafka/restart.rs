//! A broker that dies while records are on their way.

use std::time::Duration;

use rdkafka::Offset;
use rdkafka::producer::Producer;

use super::{consume, create_topic, producer, record, send};
use crate::PATIENCE;
use crate::node::Node;
use crate::sample::Sample;

const DEATHS: usize = 3;
/// So many records are written before each death, in batches of 20, and after the last one.
const PORTION: usize = 2000;

#[test]
fn an_idempotent_producer_loses_and_doubles_nothing_when_the_broker_is_killed() {
    let mut node = Node::start();
    create_topic(&node, "t", 1);
    let many: Vec<Sample> = (0..PORTION * (DEATHS + 1))
        .map(|number| Sample::of(None, Some(number.to_string().as_bytes())))
        .collect();
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "20"), ("linger.ms", "0")];
    let producer = producer(&node, &settings);
    let acknowledged = || producer.context().0.lock().unwrap().len();
    for (number, sample) in many.iter().enumerate() {
        if number > 0 && number.is_multiple_of(PORTION) {
            // The first of them are on disk; the others are anywhere between here and there.
            while acknowledged() <= number - PORTION {
                producer.poll(Duration::from_millis(1));
            }
            node.kill_and_restart();
        }
        send(&producer, record("t", number, sample));
    }
    producer.flush(PATIENCE).unwrap();
    let results = producer.context().0.lock().unwrap();
    assert!(results.iter().map(|(number, _)| *number).eq(0..many.len()), "acknowledged in order");
    assert!(results.iter().all(|(_, result)| result.is_ok()), "{results:?}");
    let read = consume(&node, "t", 0, Offset::Beginning);
    assert!(read.into_iter().map(|(_, sample)| sample).eq(many), "each once, in order");
}
