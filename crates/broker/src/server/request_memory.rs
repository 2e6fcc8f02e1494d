//! The share of memory that requests may take while they are read and handled (queued.max.request.bytes).
//!
//! Invariants:
//! * A connection takes its share before the body of a request is read, and gives it back when the reply has been
//!   handed over. Without room, that connection stops reading; nobody else does.
//! * A request larger than the whole budget is let in alone: the frame limit bounds it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits count pieces of this size, so that a budget of terabytes fits the semaphore.
const UNIT_BYTES: usize = 1024;

/// A request's share; dropping it gives the room back.
pub(crate) type Share = OwnedSemaphorePermit;

#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    units: Arc<Semaphore>,
    units_max: u32,
}

impl RequestMemory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let units_max = u32::try_from((bytes_max / UNIT_BYTES).max(1)).unwrap_or(u32::MAX >> 3);
        let units_max = units_max.min(u32::MAX >> 3);
        Self { units: Arc::new(Semaphore::new(units_max as usize)), units_max }
    }

    /// The share of a request of `len` bytes, if there is room now.
    pub(crate) fn try_take(&self, len: usize) -> Option<Share> {
        self.units.clone().try_acquire_many_owned(self.units_of(len)).ok()
    }

    /// Waits, in turn, for room.
    pub(crate) fn take(&self, len: usize) -> impl Future<Output = Option<Share>> + Send + use<> {
        let units = self.units_of(len);
        let semaphore = self.units.clone();
        async move { semaphore.acquire_many_owned(units).await.ok() }
    }

    fn units_of(&self, len: usize) -> u32 {
        u32::try_from(len.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_and_a_huge_request_is_let_in_alone() {
        let memory = RequestMemory::new(10 * UNIT_BYTES);
        let small = memory.try_take(1).unwrap();
        assert!(memory.try_take(1 << 40).is_none(), "a huge request waits until it is alone");
        drop(small);
        let huge = memory.try_take(1 << 40).unwrap();
        assert!(memory.try_take(1).is_none());
        drop(huge);
        assert!(memory.try_take(UNIT_BYTES * 10).is_some());
    }
}
