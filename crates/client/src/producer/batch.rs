//! [`Batch`]: records on their way to one partition, first open, then as bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use host::Instant;
use protocol::records::{
    BATCH_OVERHEAD, BatchBuilder, BatchHeader, BatchOptions, BuildError, Compression, HeaderRef, Limits,
    NewRecord, Records, Scratch, ValidBatch, crc32c, sequence_after,
};
use protocol::{Offset, ProducerEpoch, ProducerId};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::FlushGuard;
use crate::{Delivered, Error, ProducerRecord};

/// Who writes a batch, and the sequence of its first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) identity: Identity,
    pub(super) base_sequence: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) id: ProducerId,
    pub(super) epoch: ProducerEpoch,
}

/// Who waits for the result of a record.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) reply: oneshot::Sender<Result<Delivered, Error>>,
    pub(super) timestamp: i64,
}

#[derive(Debug)]
enum Contents {
    Open(BatchBuilder),
    Built(Bytes),
}

#[derive(Debug)]
pub(super) struct Batch {
    /// The position of its first record among all of its partition's.
    pub(super) number: u64,
    contents: Contents,
    stamp: Option<Stamp>,
    waiting: Vec<Waiting>,
    room: Option<OwnedSemaphorePermit>,
    pub(super) flushes: Vec<Arc<FlushGuard>>,
    pub(super) created_at: Instant,
    /// Takes no more records and waits no longer for any.
    pub(super) closed: bool,
    pub(super) failures: u32,
    pub(super) not_before: Instant,
    pub(super) last_error: Option<Error>,
}

impl Batch {
    pub(super) fn new(number: u64, compression: Compression, now: Instant) -> Self {
        let builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
        Self::with(number, Contents::Open(builder), now)
    }

    fn with(number: u64, contents: Contents, now: Instant) -> Self {
        Self {
            number,
            contents,
            stamp: None,
            waiting: Vec::new(),
            room: None,
            flushes: Vec::new(),
            created_at: now,
            closed: false,
            failures: 0,
            not_before: Instant::ZERO,
            last_error: None,
        }
    }

    /// Whether a record of `size` bytes may still go in.
    pub(super) fn has_room(&self, size: usize, batch_bytes: usize) -> bool {
        match &self.contents {
            Contents::Open(builder) if !self.closed => {
                builder.is_empty() || builder.uncompressed_size() + size <= batch_bytes
            }
            _ => false,
        }
    }

    pub(super) fn uncompressed_size(&self) -> usize {
        match &self.contents {
            Contents::Open(builder) => builder.uncompressed_size(),
            Contents::Built(bytes) => bytes.len(),
        }
    }

    /// Adds a record to an open batch.
    pub(super) fn push(
        &mut self,
        record: &ProducerRecord,
        reply: oneshot::Sender<Result<Delivered, Error>>,
        room: OwnedSemaphorePermit,
    ) {
        let Contents::Open(builder) = &mut self.contents else {
            unreachable!("a record was added to a batch that is built")
        };
        let timestamp = record.timestamp.unwrap_or(protocol::records::NO_TIMESTAMP);
        let headers: Vec<HeaderRef<'_>> = record
            .headers
            .iter()
            .map(|header| HeaderRef { key: header.key.as_bytes(), value: header.value.as_deref() })
            .collect();
        let new = NewRecord {
            timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        if let Err(error) = builder.append(&new) {
            // Whoever waits may have gone.
            let _ = reply.send(Err(Error::Invalid(error.to_string())));
            return;
        }
        self.waiting.push(Waiting { reply, timestamp });
        match &mut self.room {
            Some(all) => all.merge(room),
            None => self.room = Some(room),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn record_count(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// Closes the batch and makes its bytes.
    pub(super) fn build(&mut self) -> Result<(), BuildError> {
        self.closed = true;
        if let Contents::Open(builder) = &self.contents {
            self.contents = Contents::Built(builder.build()?);
        }
        Ok(())
    }

    /// The bytes of a built batch.
    pub(super) fn bytes(&self) -> Bytes {
        match &self.contents {
            Contents::Built(bytes) => bytes.clone(),
            Contents::Open(_) => Bytes::new(),
        }
    }

    /// Writes producer and sequence into a built batch.
    pub(super) fn set_stamp(&mut self, stamp: Stamp) {
        self.stamp = Some(stamp);
        if let Contents::Built(bytes) = &mut self.contents {
            *bytes = stamped(std::mem::take(bytes), stamp);
        }
    }

    /// The sequence behind the last record, if the first has `base`.
    pub(super) fn sequence_behind(&self, base: i32) -> i32 {
        sequence_after(base, i32::try_from(self.record_count()).unwrap_or(i32::MAX))
    }

    /// Tells everybody.
    pub(super) fn deliver(self, partition: i32, base_offset: Offset, append_time_ms: Option<i64>) {
        for (delta, waiting) in (0_i64..).zip(self.waiting) {
            let offset = base_offset.known().map_or(Offset::NONE, |base| base + delta);
            let timestamp = append_time_ms.unwrap_or(waiting.timestamp);
            let _ = waiting.reply.send(Ok(Delivered { partition, offset, timestamp }));
        }
    }

    pub(super) fn fail(self, error: &Error) {
        for waiting in self.waiting {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }

    /// Two batches of half the records each, with the sequences that the whole had: for a topic whose limit is lower
    /// than our batches. `None` for a single record.
    pub(super) fn split(mut self, compression: Compression) -> Result<(Self, Self), Box<Self>> {
        let half = self.record_count() / 2;
        let Some(parts) = half.checked_sub(1).and_then(|_| rebuild_halves(self.bytes(), half, compression))
        else {
            return Err(Box::new(self));
        };
        let later = self.waiting.split_off(half);
        let mut first = Self::with(self.number, Contents::Built(parts.0), self.created_at);
        let behind = self.number + u64::try_from(half).unwrap_or(0);
        let mut second = Self::with(behind, Contents::Built(parts.1), self.created_at);
        first.waiting = self.waiting;
        second.waiting = later;
        // The memory is given back when both halves are done.
        second.room = self.room;
        second.flushes.clone_from(&self.flushes);
        first.flushes = self.flushes;
        for part in [&mut first, &mut second] {
            part.closed = true;
            part.failures = self.failures;
        }
        if let Some(stamp) = self.stamp {
            first.set_stamp(stamp);
            let base_sequence = first.sequence_behind(stamp.base_sequence);
            second.set_stamp(Stamp { base_sequence, ..stamp });
        }
        Ok((first, second))
    }
}

/// The records of a batch of ours in two batches, `half` of them in the first.
fn rebuild_halves(mut bytes: Bytes, half: usize, compression: Compression) -> Option<(Bytes, Bytes)> {
    let batch = ValidBatch::split_from(&mut bytes).ok()?;
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let mut halves = (BatchBuilder::new(options), BatchBuilder::new(options));
    // What we have compressed ourselves is no bomb.
    const ALL: usize = i32::MAX as usize;
    let limits = Limits { decompressed_bytes_max: ALL, ratio_max: ALL, ratio_free_bytes: ALL };
    for (place, record) in Records::open(&batch, &mut Scratch::default(), &limits).ok()?.enumerate() {
        let record = record.ok()?;
        let headers: Vec<HeaderRef<'_>> = record
            .headers
            .iter()
            .map(|header| HeaderRef { key: &header.key, value: header.value.as_deref() })
            .collect();
        let new = NewRecord {
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        let builder = if place < half { &mut halves.0 } else { &mut halves.1 };
        builder.append(&new).ok()?;
    }
    Some((halves.0.build().ok()?, halves.1.build().ok()?))
}

/// The batch with another producer and sequence, and the checksum that belongs to them.
fn stamped(bytes: Bytes, stamp: Stamp) -> Bytes {
    /// The checksum covers everything behind it.
    const BEHIND_CRC: usize = 21;
    let mut header = BatchHeader::parse(&bytes).expect("we have built it");
    header.producer_id = stamp.identity.id;
    header.producer_epoch = stamp.identity.epoch;
    header.base_sequence = stamp.base_sequence;
    // Shared only while an earlier attempt is still being sent.
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
    let put = |bytes: &mut BytesMut, header: &BatchHeader| {
        if let Some(start) = bytes.first_chunk_mut::<BATCH_OVERHEAD>() {
            *start = header.to_bytes();
        }
    };
    put(&mut bytes, &header);
    header.crc = crc32c(bytes.get(BEHIND_CRC..).unwrap_or_default());
    put(&mut bytes, &header);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use protocol::records::{Batches, Codec};
    use tokio::sync::Semaphore;

    use super::*;

    fn batch(values: &[&str], codec: Codec) -> Batch {
        let room = Arc::new(Semaphore::new(1000));
        let mut batch = Batch::new(7, Compression::from(codec), Instant::ZERO);
        for value in values {
            let record = ProducerRecord::new("t").value(value.to_string()).timestamp(5).header("h", "x");
            let room = Arc::clone(&room).try_acquire_many_owned(1).unwrap();
            batch.push(&record, oneshot::channel().0, room);
        }
        batch.build().unwrap();
        batch
    }

    fn stamp(base_sequence: i32) -> Stamp {
        Stamp { identity: Identity { id: ProducerId(9), epoch: ProducerEpoch(2) }, base_sequence }
    }

    fn read(bytes: Bytes) -> (BatchHeader, Vec<String>) {
        let batch = Batches::new(bytes).next().unwrap().unwrap();
        let records = Records::open(&batch, &mut Scratch::default(), &Limits::default()).unwrap();
        let values =
            records.map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        (*batch.header(), values.collect())
    }

    #[test]
    fn a_stamp_can_be_written_again_and_the_checksum_follows() {
        let mut batch = batch(&["a", "b"], Codec::Lz4);
        batch.set_stamp(stamp(4));
        let held = batch.bytes();
        batch.set_stamp(stamp(0));
        let (first, _) = read(held);
        let (second, values) = read(batch.bytes());
        assert_eq!((first.base_sequence, second.base_sequence), (4, 0));
        assert_eq!((second.producer_id, second.producer_epoch), (ProducerId(9), ProducerEpoch(2)));
        assert_eq!(values, ["a", "b"]);
    }

    #[test]
    fn halves_hold_what_the_whole_held_with_its_sequences() {
        for codec in Codec::ALL {
            let mut whole = batch(&["a", "b", "c"], codec);
            whole.set_stamp(stamp(i32::MAX));
            let (first, second) = whole.split(Compression::from(codec)).unwrap();
            assert_eq!((first.number, second.number), (7, 8));
            let (header, values) = read(first.bytes());
            assert_eq!((header.base_sequence, values), (i32::MAX, vec!["a".to_owned()]));
            let (header, values) = read(second.bytes());
            assert_eq!((header.base_sequence, values), (0, vec!["b".to_owned(), "c".to_owned()]));
            assert_eq!((first.record_count(), second.record_count()), (1, 2));
            assert!(first.split(Compression::from(codec)).is_err());
        }
    }
}
