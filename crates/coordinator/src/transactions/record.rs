//! Kafka's formats of `__transaction_state`: TransactionLogKey and TransactionLogValue.
//!
//! Invariants:
//! * Bytes of the log never panic; what is malformed is an [`Error`].
//! * Keys of versions that are not ours are passed over and stay in the log.
//! * Of what is decoded only the transactional id shares the buffer of the record; whoever keeps it gives it one of its own.

use bytes::Bytes;
use protocol::Str;
use protocol::ids::ProducerId;
use protocol::wire::{self, Reader, Writer};

use super::state::State;
use super::transaction::{Partitions, Transaction};
use crate::record::{string, version, written};
use crate::{Error, Record};

const TRANSACTION: &str = "transaction";
const KEY: i16 = 0;
/// The first version with tagged fields: what transaction version 1 has brought.
const FLEXIBLE: i16 = 1;

const PREVIOUS_PRODUCER_ID_TAG: u32 = 0;
const NEXT_PRODUCER_ID_TAG: u32 = 1;
const CLIENT_VERSION_TAG: u32 = 2;

/// What a record says of a transactional id; nothing: it has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub id: Str,
    pub transaction: Option<Transaction>,
}

impl Change {
    /// `None` when the key is of a version that is not ours.
    pub(crate) fn decode(record: &Record) -> Result<Option<Change>, Error> {
        let malformed = |error: wire::Error| Error::Malformed { what: TRANSACTION, why: error.to_string() };
        let mut key = Reader::new(&record.key);
        if key.i16().map_err(malformed)? != KEY {
            return Ok(None);
        }
        let id = string(&mut key, false, "transactionalId").map_err(malformed)?;
        let transaction = match &record.value {
            Some(value) => Some(decode(&id, value).map_err(malformed)??),
            None => None,
        };
        Ok(Some(Change { id, transaction }))
    }

    /// In the format that brokers of transaction version `version` write.
    pub(crate) fn encode(&self, w: &mut Writer, version: i16) -> Record {
        w.i16(KEY);
        w.string(false, "transactionalId", &self.id);
        let key = written(w);
        let value = self.transaction.as_ref().map(|transaction| {
            encode(transaction, w, version.clamp(0, FLEXIBLE));
            written(w)
        });
        Record { key, value }
    }
}

fn decode(id: &Str, value: &Bytes) -> Result<Result<Transaction, Error>, wire::Error> {
    let mut r = Reader::new(value);
    let version = version(&mut r, "TransactionLogValue", FLEXIBLE)?;
    let flexible = version >= FLEXIBLE;
    let producer_id = ProducerId(r.i64()?);
    let epoch = r.i16()?;
    let timeout_ms = r.i32()?;
    let state_id = r.i8()?;
    let mut topics = None;
    r.nullable_array(flexible, true, 8, "transactionPartitions", &mut topics, |r, topic| {
        *topic = decode_topic(r, flexible)?;
        Ok(())
    })?;
    let last_update_ms = r.i64()?;
    let start_ms = r.i64()?;
    let (mut previous, mut next, mut client_version) = (-1, -1, 0);
    if flexible {
        r.tags(|tag, r| {
            match tag {
                PREVIOUS_PRODUCER_ID_TAG => previous = r.i64()?,
                NEXT_PRODUCER_ID_TAG => next = r.i64()?,
                CLIENT_VERSION_TAG => client_version = r.i16()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
    }
    let Some(state) = State::from_id(state_id) else {
        let why = format!("{id} is in state {state_id}, which there is not");
        return Ok(Err(Error::Malformed { what: TRANSACTION, why }));
    };
    let mut partitions = Partitions::new();
    for (topic, ids) in topics.into_iter().flatten().filter(|_| state != State::Empty) {
        partitions.entry(topic).or_default().extend(ids);
    }
    Ok(Ok(Transaction {
        producer_id,
        previous_producer_id: ProducerId(previous),
        next_producer_id: ProducerId(next),
        epoch,
        timeout_ms,
        state,
        partitions,
        start_ms,
        last_update_ms,
        client_version,
    }))
}

fn decode_topic(r: &mut Reader<'_>, flexible: bool) -> Result<(Str, Vec<i32>), wire::Error> {
    let topic = string(r, flexible, "topic")?.detached();
    let mut ids = Vec::new();
    r.array(flexible, 4, "partitionIds", &mut ids, |r, id| {
        *id = r.i32()?;
        Ok(())
    })?;
    if flexible {
        r.skip_tags()?;
    }
    Ok((topic, ids))
}

fn encode(transaction: &Transaction, w: &mut Writer, version: i16) {
    let flexible = version >= FLEXIBLE;
    w.i16(version);
    w.i64(transaction.producer_id.0);
    w.i16(transaction.epoch);
    w.i32(transaction.timeout_ms);
    w.i8(transaction.state.id());
    let topics = super::transaction::listed(&transaction.partitions);
    let topics = (transaction.state != State::Empty).then_some(&topics);
    w.nullable_array(flexible, true, "transactionPartitions", topics, |w, (topic, ids)| {
        w.string(flexible, "topic", topic);
        w.array(flexible, ids, |w, id| w.i32(*id));
        if flexible {
            w.no_tags();
        }
    });
    w.i64(transaction.last_update_ms);
    w.i64(transaction.start_ms);
    if !flexible {
        return;
    }
    let mut tags = w.begin_tags();
    if let Some(id) = transaction.previous_producer_id.known() {
        w.tag(&mut tags, PREVIOUS_PRODUCER_ID_TAG, |w| w.i64(id.0));
    }
    if let Some(id) = transaction.next_producer_id.known() {
        w.tag(&mut tags, NEXT_PRODUCER_ID_TAG, |w| w.i64(id.0));
    }
    if transaction.client_version != 0 {
        w.tag(&mut tags, CLIENT_VERSION_TAG, |w| w.i16(transaction.client_version));
    }
    w.end_tags(tags);
}
