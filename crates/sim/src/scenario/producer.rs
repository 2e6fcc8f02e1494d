//! [`ProducerPlan`]: what a producer sends, and how.

use std::time::Duration;

use client::Acks;
use protocol::records::Codec;

use crate::dice::Dice;

#[derive(Clone, Debug)]
pub(crate) struct ProducerPlan {
    /// Index of the topic it writes to.
    pub(crate) topic: usize,
    pub(crate) acks: Acks,
    pub(crate) idempotent: bool,
    pub(crate) in_flight: usize,
    pub(crate) codec: Codec,
    pub(crate) batch_bytes: usize,
    pub(crate) linger: Duration,
    /// Longest pause between two bursts of records.
    pub(crate) pause_ms: u64,
    pub(crate) burst: u64,
    /// Length of a value; `None` for all sorts.
    pub(crate) value_bytes: Option<u64>,
    /// It sends no more than this in the whole run.
    pub(crate) records_max: u64,
    pub(crate) buffer_bytes: usize,
    pub(crate) delivery_timeout: Duration,
}

impl ProducerPlan {
    pub(super) fn draw(dice: &Dice, topics: usize) -> Self {
        let kind = dice.index(100);
        let (acks, idempotent) = match kind {
            0..60 => (Acks::All, true),
            60..75 => (Acks::All, false),
            _ => (Acks::Leader, false),
        };
        Self {
            topic: dice.index(topics),
            acks,
            idempotent,
            in_flight: dice.index(5) + 1,
            codec: if dice.chance(60) { Codec::None } else { dice.pick(&Codec::ALL) },
            batch_bytes: dice.pick(&[200, 2000, 16 << 10, 100 << 10]),
            linger: Duration::from_millis(dice.pick(&[0, 1, 5, 50])),
            pause_ms: dice.pick(&[5, 20, 100, 500]),
            burst: dice.pick(&[1, 4, 20, 40]),
            value_bytes: None,
            records_max: u64::MAX,
            buffer_bytes: 1 << 20,
            delivery_timeout: Duration::from_secs(20),
        }
    }

    /// As fast as it can, and more at once than the broker has memory for. `bytes` in all.
    pub(super) fn crowding(dice: &Dice, bytes: u64) -> Self {
        let value_bytes = dice.pick(&[4_000, 16_000, 50_000]);
        Self {
            acks: dice.pick(&[Acks::All, Acks::All, Acks::Leader]),
            codec: Codec::None,
            idempotent: false,
            batch_bytes: dice.pick(&[16 << 10, 100 << 10]),
            pause_ms: 5,
            burst: 100,
            value_bytes: Some(value_bytes),
            records_max: bytes / value_bytes,
            buffer_bytes: 8 << 20,
            delivery_timeout: Duration::from_secs(120),
            ..Self::draw(dice, 1)
        }
    }
}
