//! The invariants of a run, one a file.
//!
//! A checker sees events in the order in which they could be known outside the broker, and at times everything that
//! the broker holds. It knows the scenario, and nothing of the broker.

mod anomalies;
mod as_sent;
mod by_time;
mod configs;
mod deleted;
mod dense;
mod doubled;
mod front;
mod lost;
mod named_once;
mod order;
mod producer_ids;
mod settings;
mod transactions;
mod watermark;

use std::collections::BTreeMap;
use std::ops::Range;

use protocol::Offset;

use crate::event::{Event, Log};
use crate::scenario::Scenario;
use crate::value::Id;

/// What a partition holds, from its first offset to its high watermark.
#[derive(Clone, Debug, Default)]
pub(crate) struct FinalLog {
    pub(crate) start: Offset,
    pub(crate) records: BTreeMap<Offset, Id>,
    /// What of that is committed.
    pub(crate) committed: BTreeMap<Offset, Id>,
    /// What the broker says that it cannot read.
    pub(crate) holes: Vec<Range<Offset>>,
}

pub(crate) type FinalLogs = BTreeMap<Log, FinalLog>;

pub(crate) trait Check: Send {
    /// The promise that it looks after.
    fn invariant(&self) -> &'static str;

    /// `Err` says how the promise is broken.
    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String>;

    fn end(&mut self, _logs: &FinalLogs, _scenario: &Scenario) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) fn all() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(as_sent::AsSent::default()),
        Box::new(dense::Dense::default()),
        Box::new(front::Front::default()),
        Box::new(by_time::ByTime::default()),
        Box::new(named_once::NamedOnce::default()),
        Box::new(watermark::Watermark::default()),
        Box::new(producer_ids::ProducerIds::default()),
        Box::new(deleted::Deleted::default()),
        Box::new(configs::Configs::default()),
        Box::new(lost::Lost::default()),
        Box::new(doubled::Doubled),
        Box::new(order::Order::default()),
        Box::new(transactions::Transactions::default()),
        Box::new(anomalies::Anomalies::default()),
    ]
}
