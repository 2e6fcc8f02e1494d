//! One record a request, five requests in flight on one connection.

use anyhow::Result;

use crate::compare::broker::Kind;
use crate::compare::turn::{RDKAFKA, Turn};
use crate::report::{ANY, Label};

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    match turn.kind {
        // Its one way stands beside both of Bourn's.
        Kind::Kafka => case(turn, ANY, &[]),
        Kind::Bourn => {
            case(turn, "synced", &[])?;
            case(turn, "buffered", &[("bourn.durability", "buffered")])
        }
    }
}

fn case(turn: &mut Turn<'_>, case: &str, configs: &[(&str, &str)]) -> Result<()> {
    let records = turn.sizes.singles.to_string();
    turn.topic("single", 1, configs)?;
    turn.settle();
    let label = Label::new("single", case, RDKAFKA);
    let words = ["produce", "--record-bytes", "100", "--records", &records, "--single", "5"];
    let mut load = turn.rdkafka("single", &words);
    let (outcome, spent) = turn.measure(&label, &mut load)?;
    let records = outcome.records as f64;
    turn.put(&label, "records/s", records / outcome.seconds);
    turn.put(&label, "CPU-us/record", spent.cpu * 1e6 / records);
    turn.put(&label, "machine CPU-us/record", spent.machine * 1e6 / records);
    turn.put(&label, "written/record", spent.written / records);
    turn.put(&label, "switches/record", spent.switches / records);
    if let Some(requests) = outcome.requests {
        turn.put(&label, "records/request", records / requests as f64);
    }
    turn.forget("single")
}
