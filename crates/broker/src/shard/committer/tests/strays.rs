//! What the log says about partitions that a start has found.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write};
use std::sync::Mutex;

use storage::Position;
use storage::journal::Report;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::shard::message::Message;

/// The lines of the log, each with its fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A start after a crash whose journal wants room before metadata has been heard. Gives what the log says of partitions on
/// disk once it is heard that these are known.
fn told_of_strays(known: std::ops::Range<i32>) -> Vec<String> {
    let sim = Sim::new(6);
    let host = sim.node(NODE, NodeOptions::default());
    sim.block_on_node(NODE, async {
        let shards = start(&host, 0).await;
        for partition in 0..PARTITIONS {
            append(&shards, Acks::All, partition, &[1; 500]).await.unwrap();
        }
    });
    sim.crash(NODE);
    let host = sim.restart(NODE);
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), || {
        sim.block_on_node(NODE, async {
            let shards = Shards::start(&host, options()).await.unwrap();
            for shard in 0..shards.mailboxes.len() {
                let pressure = Report::RingPressure { dir: 0, free_up_to: Position(u64::MAX), full: None };
                shards.send(shard, Message::Report(pressure));
            }
            host.clock.sleep(Duration::from_millis(100)).await;
            for partition in known.clone() {
                shards.open(spec(partition, 1)).await.unwrap();
            }
            let known: BTreeSet<PartitionKey> = known.map(key).collect();
            shards.remove_strays(Arc::new(known)).await;
            assert_eq!(read_all(&shards, 0).await.len(), 1);
            shards.stop().await;
        });
    });
    let lines = lines.0.lock().unwrap();
    assert!(!lines.is_empty(), "nothing was heard");
    lines.iter().filter(|line| line.contains("on disk that metadata")).cloned().collect()
}

/// A start after kill -9 with a full journal said of each of a thousand partitions that metadata had not asked for it: it had
/// only not been heard yet.
#[test]
fn what_metadata_knows_is_not_called_unknown() {
    assert_eq!(told_of_strays(0..PARTITIONS), Vec::<String>::new());
}

#[test]
fn all_that_metadata_does_not_know_takes_one_line() {
    let told = told_of_strays(0..PARTITIONS - 3);
    assert!(told.len() == 1 && told[0].contains("partitions=3 "), "{told:?}");
}
