//! Fetches as they are on the wire, which shows what a consumer hides: epochs, whole batches, the high watermark of
//! an empty answer.

use std::collections::BTreeMap;
use std::ops::Range;

use client::{Admin, Cluster, Error, Isolation, OffsetSpec, TopicPartition};
use protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::records::{Batches, Limits, Record, Records, Scratch};
use protocol::{ErrorCode, Offset, Str, TopicId};

use super::aborted::Aborted;
use super::seen;
use crate::dice::Dice;
use crate::event::{Event, Log, Reader};
use crate::history::History;
use crate::value::Id;

/// What a partition answered.
struct Answer {
    log_start: Offset,
    high_watermark: Offset,
    last_stable: Offset,
    aborted: Aborted,
    batches: Batches,
}

/// Reads the partitions of one topic.
pub(super) struct Fetcher {
    pub(super) cluster: Cluster,
    pub(super) history: History,
    pub(super) reader: Reader,
    pub(super) topic: Str,
    /// What its logs are called: the topic's name, or something longer.
    pub(super) called: Str,
    /// What it wants next.
    pub(super) positions: BTreeMap<i32, Offset>,
    pub(super) high_watermarks: BTreeMap<i32, Offset>,
    pub(super) log_starts: BTreeMap<i32, Offset>,
    /// What could not be read because it is damaged.
    pub(super) holes: BTreeMap<i32, Vec<Range<Offset>>>,
    /// Which records it delivers.
    pub(super) isolation: Isolation,
    /// Up to the high watermark, although it may not read so far yet.
    pub(super) waits_for_all: bool,
    /// Everything that was delivered, if somebody wants it.
    pub(super) taken: Option<BTreeMap<i32, BTreeMap<Offset, Id>>>,
}

impl Fetcher {
    pub(super) fn new(cluster: &Cluster, history: &History, reader: Reader, topic: &Str) -> Self {
        Self {
            cluster: cluster.clone(),
            history: history.clone(),
            reader,
            topic: topic.clone(),
            called: topic.clone(),
            positions: BTreeMap::new(),
            high_watermarks: BTreeMap::new(),
            log_starts: BTreeMap::new(),
            holes: BTreeMap::new(),
            isolation: Isolation::Uncommitted,
            waits_for_all: false,
            taken: None,
        }
    }

    pub(super) fn log(&self, partition: i32) -> Log {
        Log { topic: self.called.clone(), partition }
    }

    /// Goes to the first offset that there is.
    pub(super) async fn rewind(&mut self, partition: i32) -> Result<(), Error> {
        let admin = Admin::new(&self.cluster);
        let asked = TopicPartition::new(self.topic.clone(), partition);
        let found = admin.list_offsets([(asked, OffsetSpec::Earliest)], Isolation::default()).await?;
        for listed in found.into_values() {
            self.positions.insert(partition, listed?.offset.unwrap_or(Offset::ZERO));
        }
        Ok(())
    }

    /// The topic's id and number of partitions, asked anew.
    pub(super) async fn look_up(&self) -> Result<(TopicId, i32), Error> {
        self.cluster.refresh(vec![self.topic.clone()], false).await?;
        let topic = self.cluster.topic(&self.topic, false).await?;
        Ok((topic.id, i32::try_from(topic.partitions.len()).unwrap_or(0)))
    }

    /// One request for all partitions. Gives those back that answered with an error.
    pub(super) async fn fetch(
        &mut self,
        topic_id: TopicId,
        dice: &Dice,
        wait_ms: i32,
    ) -> Result<Vec<(i32, ErrorCode)>, Error> {
        let connection = self.cluster.any().await?;
        let version = connection.newest::<FetchRequest>()?;
        // Who takes everything has no time for small bites.
        let all = self.taken.is_some();
        let bytes = if all { 1 << 20 } else { dice.pick(&[1, 2000, 50_000, 1 << 20]) };
        let partitions = self.positions.iter().map(|(partition, position)| FetchPartition {
            partition: *partition,
            fetch_offset: position.get(),
            partition_max_bytes: bytes,
            ..FetchPartition::default()
        });
        let request = FetchRequest {
            max_wait_ms: wait_ms,
            isolation_level: i8::from(self.isolation == Isolation::Committed),
            min_bytes: dice.pick(&[0, 1, 1, 10_000]),
            max_bytes: if all { 10 << 20 } else { dice.pick(&[1, 100_000, 10 << 20]) },
            topics: vec![FetchTopic {
                topic_id: topic_id.0,
                partitions: partitions.collect(),
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        for partition in self.positions.keys() {
            self.history.record(&Event::FetchBegins { reader: self.reader, log: self.log(*partition) });
        }
        let response = connection.call_in(version, &request, std::time::Duration::ZERO).await?;
        let mut refused = Vec::new();
        if response.error_code != 0 {
            return Ok(vec![(-1, ErrorCode::from(response.error_code))]);
        }
        for data in response.responses.into_iter().flat_map(|topic| topic.partitions) {
            let partition = data.partition_index;
            match ErrorCode::from(data.error_code) {
                ErrorCode::None => {
                    let bytes = data.records.unwrap_or_default().to_bytes();
                    let answer = Answer {
                        log_start: Offset(data.log_start_offset),
                        high_watermark: Offset(data.high_watermark),
                        last_stable: Offset(data.last_stable_offset),
                        aborted: Aborted::new(data.aborted_transactions.as_deref().unwrap_or_default()),
                        batches: Batches::new(bytes.unwrap_or_default()),
                    };
                    self.take(partition, answer);
                }
                code => refused.push((partition, code)),
            }
        }
        Ok(refused)
    }

    fn take(&mut self, partition: i32, answer: Answer) {
        let Answer { log_start, high_watermark, last_stable, mut aborted, batches } = answer;
        let (reader, log) = (self.reader, self.log(partition));
        let is_committed = self.isolation == Isolation::Committed;
        let limit = if is_committed { last_stable } else { high_watermark };
        if is_committed {
            self.history.record(&Event::Stable { reader, log: log.clone(), last_stable });
        }
        self.high_watermarks.insert(partition, if self.waits_for_all { high_watermark } else { limit });
        self.log_starts.insert(partition, log_start);
        self.history.record(&Event::Watermark { reader, log: log.clone(), log_start, high_watermark });
        let mut expected = self.positions.get(&partition).copied().unwrap_or_default();
        let mut scratch = Scratch::default();
        for (whole, batch) in batches.enumerate() {
            let batch = match batch {
                Ok(batch) => batch,
                // The last one may be cut off, unless it is the only one.
                Err(protocol::records::Error::Truncated { .. }) if whole > 0 => break,
                Err(error) => {
                    self.history.violate("batches are whole", format!("{log}@{expected}: {error}"));
                    return;
                }
            };
            let header = *batch.header();
            let opened = Records::open(&batch, &mut scratch, &Limits::default());
            let records: Result<Vec<Record>, _> = opened.and_then(Iterator::collect);
            let records = match records {
                Ok(records) => records,
                Err(error) => {
                    self.history.violate("batches are whole", format!("{log}@{expected}: {error}"));
                    return;
                }
            };
            if header.next_offset() > limit {
                let text = format!("{log}@{} ends above {limit}", header.base_offset);
                self.history.violate("readers see nothing above what they may read", text);
            }
            let is_hidden = aborted.hides(&batch);
            if !header.attributes.is_control() {
                let (log, records) = (log.clone(), seen(&records));
                let is_delivered = !(is_committed && is_hidden);
                if is_committed && is_delivered {
                    let (log, records) = (log.clone(), records.clone());
                    self.history.record(&Event::Committed { reader, log, records });
                }
                if let Some(taken) = self.taken.as_mut().filter(|_| is_delivered) {
                    let all = records.iter().filter_map(|record| Some((record.offset, record.id?)));
                    taken.entry(partition).or_default().extend(all);
                }
                self.history.record(&Event::Batch { reader, log, expected, header, records });
            }
            expected = header.next_offset();
        }
        self.positions.insert(partition, expected);
    }
}
