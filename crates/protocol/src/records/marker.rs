//! Control records, which only brokers write: in a log of ours, the ends of transactions.
//!
//! Invariants: a marker is the only record of its batch, and its batch is transactional. Fields that a later version adds
//! behind those known here are passed over, as in Kafka.

use super::{BatchBuilder, BatchOptions, BuildError, Error, Limits, NewRecord, Scratch, ValidBatch};
use crate::{ProducerEpoch, ProducerId};

/// The version of key and value that is written. Kafka 4.4 has no other.
const VERSION: i16 = 0;

/// What a control record stands for, by the number in its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlKind {
    Abort,
    Commit,
    /// Of KRaft's own log.
    LeaderChange,
    SnapshotHeader,
    SnapshotFooter,
    KraftVersion,
    KraftVoters,
    Unknown(i16),
}

impl ControlKind {
    /// Reads the key of a control record; `None` if it is none.
    #[must_use]
    pub fn of_key(key: &[u8]) -> Option<ControlKind> {
        let (version, rest) = key.split_first_chunk::<2>()?;
        let kind = i16::from_be_bytes(*rest.first_chunk()?);
        if i16::from_be_bytes(*version) < 0 {
            return None;
        }
        Some(match kind {
            0 => ControlKind::Abort,
            1 => ControlKind::Commit,
            2 => ControlKind::LeaderChange,
            3 => ControlKind::SnapshotHeader,
            4 => ControlKind::SnapshotFooter,
            5 => ControlKind::KraftVersion,
            6 => ControlKind::KraftVoters,
            kind => ControlKind::Unknown(kind),
        })
    }
}

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnMarker {
    pub commit: bool,
    /// The epoch of the partition of `__transaction_state` whose leader has decided.
    pub coordinator_epoch: i32,
}

impl TxnMarker {
    /// The batch that says so, without a place in a log yet.
    pub fn to_batch(
        self,
        producer_id: ProducerId,
        producer_epoch: ProducerEpoch,
        timestamp_ms: i64,
        is_log_append_time: bool,
    ) -> Result<ValidBatch, BuildError> {
        let mut builder = BatchBuilder::new(BatchOptions {
            log_append_time_ms: is_log_append_time.then_some(timestamp_ms),
            producer_id,
            producer_epoch,
            transactional: true,
            control: true,
            ..BatchOptions::default()
        });
        let mut key = [0; 4];
        let (version, kind) = key.split_at_mut(2);
        version.copy_from_slice(&VERSION.to_be_bytes());
        kind.copy_from_slice(&i16::from(self.commit).to_be_bytes());
        let mut value = [0; 6];
        let (version, epoch) = value.split_at_mut(2);
        version.copy_from_slice(&VERSION.to_be_bytes());
        epoch.copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        builder.append(&NewRecord {
            timestamp: timestamp_ms,
            key: Some(&key),
            value: Some(&value),
            headers: &[],
        })?;
        builder.build_valid()
    }

    /// The end of a transaction that a control batch holds. `None` for another kind of control record, and for a batch whose
    /// record compaction has taken: then nothing is left of the transaction.
    pub fn of(batch: &ValidBatch) -> Result<Option<TxnMarker>, Error> {
        let mut scratch = Scratch::new();
        let Some(record) = batch.records(&mut scratch, &Limits::default())?.next() else { return Ok(None) };
        let record = record?;
        let commit = match record.key.and_then(ControlKind::of_key) {
            Some(ControlKind::Commit) => true,
            Some(ControlKind::Abort) => false,
            _ => return Ok(None),
        };
        let malformed = |what| Error::Record { index: 0, what };
        let value = record.value.ok_or(malformed("the end of a transaction has no value"))?;
        let (version, rest) = value.split_first_chunk().ok_or(malformed("a marker without a version"))?;
        if i16::from_be_bytes(*version) < 0 {
            return Err(malformed("a marker with a negative version"));
        }
        let epoch = rest.first_chunk().ok_or(malformed("a marker without the epoch of its coordinator"))?;
        Ok(Some(TxnMarker { commit, coordinator_epoch: i32::from_be_bytes(*epoch) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::TimestampType;

    #[test]
    fn markers_come_back() {
        for (commit, coordinator_epoch, stamped) in
            [(true, 0, false), (false, 7, true), (true, i32::MAX, true)]
        {
            let marker = TxnMarker { commit, coordinator_epoch };
            let batch = marker.to_batch(ProducerId(9), ProducerEpoch(3), 1_000, stamped).unwrap();
            assert_eq!(TxnMarker::of(&batch), Ok(Some(marker)));
            let header = batch.header();
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            let log_append_time = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
            assert_eq!((log_append_time, header.max_timestamp), (stamped, 1_000));
            assert_eq!((header.base_sequence, header.record_count, batch.size()), (-1, 1, 78));
            assert_eq!(TxnMarker::of(&batch.emptied()), Ok(None));
        }
    }

    #[test]
    fn what_is_no_marker() {
        let batch = |key: &[u8], value: Option<&[u8]>| {
            let mut builder = BatchBuilder::new(BatchOptions {
                producer_id: ProducerId(9),
                transactional: true,
                control: true,
                ..BatchOptions::default()
            });
            builder.append(&NewRecord { key: Some(key), value, ..NewRecord::default() }).unwrap();
            TxnMarker::of(&builder.build_valid().unwrap())
        };
        let none = |key: &[u8]| assert_eq!(batch(key, Some(&[0; 6])), Ok(None), "{key:?}");
        [&[][..], &[0], &[0, 0, 1], &[0, 0, 0, 2], &[0, 0, 0, 9], &[0xff, 0xff, 0, 1]]
            .into_iter()
            .for_each(none);
        for value in [None, Some(&[][..]), Some(&[0, 0, 0, 0, 0]), Some(&[0x80, 0, 0, 0, 0, 1])] {
            assert!(batch(&[0, 0, 0, 1], value).is_err(), "{value:?}");
        }
        // What a later version knows more is passed over.
        let newer = batch(&[0, 1, 0, 1, 9], Some(&[0, 3, 0, 0, 0, 5, 1, 2]));
        assert_eq!(newer, Ok(Some(TxnMarker { commit: true, coordinator_epoch: 5 })));
    }
}
