//! A log as a list of batches.

use super::*;

/// What the entries of a partition give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model {
    /// Base offset and bytes of each batch that is readable.
    pub(super) batches: Vec<(i64, Bytes)>,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Model {
    pub(super) fn apply(&mut self, body: &Body) {
        match body {
            Body::Append { leader_epoch, base_offset, batch } => {
                if base_offset.0 < self.end {
                    return; // Submitted again.
                }
                assert_eq!(base_offset.0, self.end, "offsets are dense");
                let length = i32::try_from(batch.len() + 4).unwrap();
                let bytes = [&head(*base_offset, length, *leader_epoch)[..], &batch[..]].concat();
                self.end += i64::from(i32::from_be_bytes(batch[7..11].try_into().unwrap())) + 1;
                self.batches.push((base_offset.0, Bytes::from(bytes)));
            }
            Body::Truncate { end, .. } => {
                self.batches.retain(|(base, _)| *base < end.0);
                self.end = end.0;
                self.start = self.start.min(self.end);
            }
            Body::LogStart { offset } => self.start = self.start.max(offset.0),
            _ => {}
        }
        let start = self.start;
        while self.batches.len() > 1 && self.batches[1].0 <= start {
            self.batches.remove(0);
        }
        if self.start == self.end {
            self.batches.clear();
        }
    }
}
