//! When nothing goes wrong any more, every partition that is not damaged takes a record, and keeps it.

use std::sync::Arc;
use std::time::Duration;

use client::{Error, Producer, ProducerOptions};
use host::Host;

use crate::event::{Event, Log};
use crate::history::History;
use crate::scenario::{Extra, Scenario};
use crate::value::Id;

/// Writes one record to each partition of the plan, and waits for the answers. `number` tells probes apart.
pub(crate) async fn probe(
    host: &Host,
    scenario: &Arc<Scenario>,
    history: &History,
    number: u64,
) -> Result<(), Error> {
    let patience = Duration::from_secs(if scenario.may_miss_records() { 10 } else { 200 });
    let options = ProducerOptions {
        delivery_timeout: patience,
        block_max: patience,
        create_topics: false,
        ..ProducerOptions::default()
    };
    let producer = Producer::start(&super::cluster(host), options)?;
    let mut n = number * 100_000;
    let mut deliveries = Vec::new();
    for plan in &scenario.topics {
        for partition in 0..plan.partitions {
            let id = Id { producer: scenario.number_of(Extra::Probe), n };
            n += 1;
            let log = Log { topic: plan.name.clone(), partition };
            history.record(&Event::Sent { id, log: log.clone() });
            deliveries.push((
                id,
                log,
                producer.send(id.record(&plan.name, partition, None, plan.compacted)).await?,
            ));
        }
    }
    for (id, log, delivery) in deliveries {
        match delivery.await {
            Ok(delivered) => history.record(&Event::Acked { id, log, offset: delivered.offset.known() }),
            // What is damaged may be offline.
            Err(error) if scenario.may_miss_records() => {
                history.record(&Event::Failed { id, error: error.to_string() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
