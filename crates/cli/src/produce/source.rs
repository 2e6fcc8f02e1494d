//! Where records come from: lines of text, JSON lines, or CSV rows.

use client::ProducerRecord;
use protocol::Str;

/// Something in the input that is no record. Counted; the next ones are still written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bad {
    pub(super) line: u64,
    pub(super) reason: String,
}

impl Bad {
    pub(super) fn new(line: u64, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

pub(super) struct Sourced {
    pub(super) line: u64,
    pub(super) record: ProducerRecord,
}

pub(super) trait Source {
    /// The next record. An error means that nothing behind it can be understood.
    fn next(&mut self) -> anyhow::Result<Option<Result<Sourced, Bad>>>;

    /// Bytes of input so far.
    fn read(&self) -> u64;
}

/// What all records of a run share.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) topic: Str,
    pub(super) partition: Option<i32>,
    pub(super) headers: Vec<(String, String)>,
}

impl Template {
    pub(super) fn record(&self) -> ProducerRecord {
        let mut record = ProducerRecord::new(self.topic.clone());
        record.partition = self.partition;
        for (key, value) in &self.headers {
            record = record.header(key, value.clone());
        }
        record
    }
}
