//! Producers in a checkpoint.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};
use protocol::ids::{Offset, ProducerId};

use super::{BATCHES_MAX, BatchMark, ProducerState, Producers, Replaced};
use crate::partition_state::{DecodeError, get_list, put_list};

/// Bytes of one encoded item of each list: a bound for its length.
const STATE_BYTES: usize = 39;
const REPLACED_BYTES: usize = 17;

pub(crate) fn put(to: &mut Vec<u8>, producers: &Producers) {
    to.put_i64(producers.end().0);
    to.put_i64(producers.truncatable().0);
    put_list(to, producers.iter(), |to, (id, state)| put_state(to, id, state));
    put_list(to, producers.replaced(), |to, replaced| {
        to.put_i64(replaced.offset.0);
        to.put_i64(replaced.producer_id.0);
        to.put_u8(u8::from(replaced.before.is_some()));
        if let Some(before) = &replaced.before {
            put_state(to, replaced.producer_id, before);
        }
    });
}

pub(crate) fn get(from: &mut &[u8]) -> Result<Producers, DecodeError> {
    let end = Offset(from.try_get_i64()?);
    let truncatable = Offset(from.try_get_i64()?);
    let known = get_list(from, STATE_BYTES, get_state)?;
    let replaced = get_list(from, REPLACED_BYTES, |from| {
        let offset = Offset(from.try_get_i64()?);
        let producer_id = ProducerId(from.try_get_i64()?);
        let before = if from.try_get_u8()? == 0 { None } else { Some(get_state(from)?.1) };
        Ok(Replaced { offset, producer_id, before })
    })?;
    Ok(Producers::new(known, replaced, end, truncatable))
}

fn put_state(to: &mut Vec<u8>, id: ProducerId, state: &ProducerState) {
    to.put_i64(id.0);
    to.put_i16(state.epoch);
    to.put_i32(state.coordinator_epoch);
    to.put_i64(state.transaction.unwrap_or(Offset::NONE).0);
    to.put_i64(state.last_timestamp_ms);
    to.put_i64(state.last_seen_ms);
    to.put_u8(u8::try_from(state.batches.len()).expect("a producer has few batches"));
    for mark in &state.batches {
        to.put_i32(mark.first_sequence);
        to.put_i32(mark.last_sequence);
        to.put_i64(mark.base_offset.0);
        to.put_i64(mark.last_offset.0);
        to.put_i64(mark.timestamp_ms);
    }
}

fn get_state(from: &mut &[u8]) -> Result<(ProducerId, ProducerState), DecodeError> {
    let id = ProducerId(from.try_get_i64()?);
    let epoch = from.try_get_i16()?;
    let coordinator_epoch = from.try_get_i32()?;
    let transaction = Offset(from.try_get_i64()?).known();
    let last_timestamp_ms = from.try_get_i64()?;
    let last_seen_ms = from.try_get_i64()?;
    let count = usize::from(from.try_get_u8()?);
    if count > BATCHES_MAX {
        return Err(DecodeError { what: "more batches of a producer than are kept" });
    }
    let mut batches = VecDeque::with_capacity(count);
    for _ in 0..count {
        batches.push_back(BatchMark {
            first_sequence: from.try_get_i32()?,
            last_sequence: from.try_get_i32()?,
            base_offset: Offset(from.try_get_i64()?),
            last_offset: Offset(from.try_get_i64()?),
            timestamp_ms: from.try_get_i64()?,
        });
    }
    let state =
        ProducerState { epoch, coordinator_epoch, transaction, batches, last_timestamp_ms, last_seen_ms };
    Ok((id, state))
}
