//! [`Delivery`]: takes the markers of one transaction to its partitions, until each has its own or is gone.
//!
//! Every transaction is delivered by itself: the shards and the journal write down together what comes together.
//!
//! Invariants:
//! * A marker is sent again as long as its coordinator leads its partition; whoever leads it next sends it anew. Its epoch
//!   tells the partition which of them counts.
//! * The coordinator hears of every partition that is done, so it knows what is left.

use std::sync::Weak;
use std::time::Duration;

use coordinator::Caller;
use coordinator::transactions::{Markers, Request};
use protocol::{ErrorCode, Str};

use super::kind::Led;
use super::partition::Message;
use super::transactions::{Transactions, by_topic};
use crate::Broker;
use crate::transactions::{Marker, write_markers};

/// Between two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

pub(super) struct Delivery {
    broker: Weak<Broker>,
    led: Led<Transactions>,
    markers: Markers,
    /// Without a marker.
    left: Vec<(Str, i32)>,
}

/// What becomes of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    Again,
    /// Another coordinator has taken over.
    Stop,
}

impl Delivery {
    pub(super) fn new(broker: Weak<Broker>, led: Led<Transactions>, markers: Markers) -> Self {
        let flat = |(topic, partitions): &(Str, Vec<i32>)| {
            partitions.iter().map(|partition| (topic.clone(), *partition)).collect::<Vec<_>>()
        };
        let left = markers.topics.iter().flat_map(flat).collect();
        Self { broker, led, markers, left }
    }

    pub(super) async fn run(mut self) {
        let mut pause = PAUSE;
        while let Some(broker) = self.broker.upgrade() {
            if self.led.mailbox.strong_count() == 0 || !self.attempt(&broker).await || self.left.is_empty() {
                return;
            }
            let (host, now) = (broker.host.clone(), broker.host.now());
            drop(broker);
            host.clock.sleep_until(now.after(pause)).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// False when it is for another coordinator to go on.
    async fn attempt(&mut self, broker: &std::sync::Arc<Broker>) -> bool {
        let Markers { producer, commit, version, .. } = &self.markers;
        let marker = Marker {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            commit: *commit,
            coordinator_epoch: self.led.leader_epoch.0,
            transaction_version: i8::try_from(*version).unwrap_or(i8::MAX),
        };
        // All partitions are led here, as long as there is one node; a cluster asks their leaders.
        let codes = write_markers(broker, &marker, &self.left).await;
        let mut done = Vec::new();
        let mut goes_on = true;
        let left = std::mem::take(&mut self.left);
        for (partition, code) in left.into_iter().zip(codes) {
            match self.judge(&partition, code) {
                Step::Done => done.push(partition),
                Step::Again => self.left.push(partition),
                Step::Stop => goes_on = false,
            }
        }
        self.report(&done);
        goes_on
    }

    fn judge(&self, (topic, partition): &(Str, i32), code: ErrorCode) -> Step {
        let transactional_id = &self.markers.transactional_id;
        match code {
            // A partition that is gone has no open transaction.
            ErrorCode::None | ErrorCode::UnknownTopicOrPartition => Step::Done,
            ErrorCode::InvalidProducerEpoch => {
                // What is newer there began only when this transaction had ended; somebody has ended it by hand.
                tracing::warn!(
                    %transactional_id, %topic, partition,
                    "a newer producer has written there, and the end of a transaction comes too late"
                );
                Step::Done
            }
            ErrorCode::TransactionCoordinatorFenced => {
                tracing::error!(
                    %transactional_id, %topic, partition,
                    "another coordinator has ended a transaction there: this one stops"
                );
                Step::Stop
            }
            code => {
                tracing::debug!(%transactional_id, %topic, partition, code = code.name(), "sending a marker again");
                Step::Again
            }
        }
    }

    fn report(&self, done: &[(Str, i32)]) {
        if done.is_empty() {
            return;
        }
        let Some(mailbox) = self.led.mailbox.upgrade() else { return };
        let request = Request::Marked {
            transactional_id: self.markers.transactional_id.clone(),
            producer: self.markers.producer,
            topics: by_topic(done),
        };
        let caller = Caller { version: 0, client_id: Str::EMPTY, client_host: Str::EMPTY };
        // Nobody waits for the answer.
        let (message, _) = Message::ask(caller, request);
        let _ = mailbox.send(message);
    }
}
