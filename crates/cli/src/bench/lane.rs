//! [`Lane`]: one producer on connections of its own, and the tasks that take in its results.
//!
//! The results of a partition come in their order, so one task a partition sees each of them when it comes; all tasks
//! of a lane run on its thread.

use client::{Delivery, Producer, ProducerOptions, ProducerRecord};
use host::{Host, Instant, Place};
use tokio::sync::mpsc;

use super::tally::Shared;
use crate::context::{Globals, explain};

/// Results of a partition that are waited for at the same time.
const OUTSTANDING_MAX: usize = 1 << 16;

struct Outstanding {
    due: Instant,
    counted: bool,
    bytes: u64,
    delivery: Delivery,
}

pub(super) struct Lane {
    producer: Producer,
    /// By partition.
    results: Vec<mpsc::Sender<Outstanding>>,
    /// Ends when every result is in.
    done: mpsc::Receiver<()>,
    tally: Shared,
}

impl Lane {
    pub(super) fn start(
        globals: &Globals,
        host: &Host,
        place: Place,
        partitions: usize,
        options: ProducerOptions,
    ) -> anyhow::Result<Self> {
        let cluster = globals.cluster(host, place)?;
        let producer = Producer::start(&cluster, options).map_err(explain)?;
        let tally = Shared::new();
        let (is_done, done) = mpsc::channel(1);
        let results = (0..partitions).map(|_| {
            let (send, receive) = mpsc::channel(OUTSTANDING_MAX);
            let (to, tally, is_done) = (host.clone(), tally.clone(), is_done.clone());
            host.spawn(place, "bench results", async move {
                take_in(&to, receive, &tally).await;
                drop(is_done);
            });
            send
        });
        Ok(Self { producer, results: results.collect(), done, tally })
    }

    pub(super) fn tally(&self) -> &Shared {
        &self.tally
    }

    /// Hands a record over, waiting for room in the producer's buffer. What the producer refuses is counted; an error
    /// is what no other record would survive either.
    pub(super) async fn send(
        &self,
        record: ProducerRecord,
        (partition, bytes): (usize, u64),
        (due, counted): (Instant, bool),
    ) -> anyhow::Result<()> {
        match self.producer.send(record).await {
            Ok(delivery) => {
                let outstanding = Outstanding { due, counted, bytes, delivery };
                let results = self.results.get(partition).filter(|results| !results.is_closed());
                let Some(results) = results else { anyhow::bail!("the task that counts is gone") };
                // Nobody takes results in only when the machine ends.
                let _ = results.send(outstanding).await;
                Ok(())
            }
            Err(error @ (client::Error::Refused { .. } | client::Error::Expired { .. })) => {
                self.tally.lock().fail(explain(error).to_string(), 1);
                Ok(())
            }
            Err(error) => Err(explain(error)),
        }
    }

    /// Waits for every result.
    pub(super) async fn finish(mut self) -> anyhow::Result<Shared> {
        self.producer.flush().await.map_err(explain)?;
        self.results.clear();
        while self.done.recv().await.is_some() {}
        Ok(self.tally)
    }
}

async fn take_in(host: &Host, mut results: mpsc::Receiver<Outstanding>, tally: &Shared) {
    while let Some(one) = results.recv().await {
        let result = one.delivery.await;
        let now = host.now();
        match result {
            Ok(_) => tally.lock().done(one.bytes, one.counted.then(|| now.since(one.due)), now),
            Err(error) => tally.lock().fail(explain(error).to_string(), 1),
        }
    }
}
