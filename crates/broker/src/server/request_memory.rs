//! The share of memory that requests may take while they are received and handled (queued.max.request.bytes).
//!
//! Invariants:
//! * Bytes are counted when they arrive, not when they are announced: who announces much and sends little takes little.
//! * Half of the budget is for requests that are whole. They are handled and give it back, whatever half-sent
//!   requests are about, so a client that stalls in the middle of a request does not stop the others.
//! * The other half is for large requests on their way in, half of that for those of the usual size, so that huge ones
//!   do not keep them out. When it is used up they wait; one of each kind at a time may go beyond it, so that they
//!   cannot all wait for each other.
//! * Whoever waits, waits in turn, and only its own connection stops reading.
//! * Who holds some and sends nothing while others wait for it is told so ([`RequestMemory::waiting`]), and goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Permits count pieces of this size, so that a budget of terabytes fits the semaphore.
const UNIT_BYTES: usize = 1024;
/// Requests up to this size are not counted on their way in; the receive buffers of connections bound them.
pub(crate) const SMALL_BYTES: usize = 64 * 1024;

/// As large as producers send them unless told otherwise (max.request.size), and a bit.
const USUAL_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// A whole request's share; dropping it gives the room back.
pub(crate) type Share = OwnedSemaphorePermit;

/// What a request on its way in has been given.
#[derive(Debug, Default)]
pub(crate) struct Receipt {
    units: Option<OwnedSemaphorePermit>,
    /// Beyond the budget, as the only one.
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Receipt {
    fn missing(&self, units: u32) -> u32 {
        let held =
            self.units.as_ref().map_or(0, |permit| u32::try_from(permit.num_permits()).unwrap_or(u32::MAX));
        if self.overdraft.is_some() { 0 } else { units.saturating_sub(held) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.units.is_none() && self.overdraft.is_none()
    }

    pub(crate) fn add(&mut self, grant: Grant) {
        match grant {
            Grant::Units(more) => match &mut self.units {
                Some(units) => units.merge(more),
                none => *none = Some(more),
            },
            Grant::Overdraft(permit) => self.overdraft = Some(permit),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Grant {
    Units(OwnedSemaphorePermit),
    Overdraft(OwnedSemaphorePermit),
}

/// Counts one that waits for as long as it lives.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug)]
pub(crate) struct RequestMemory {
    whole: Arc<Semaphore>,
    usual: Receiving,
    huge: Receiving,
    units_max: u32,
}

/// Room for requests of one kind on their way in.
#[derive(Clone, Debug)]
struct Receiving {
    units: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
    /// Requests on their way in that wait.
    waiting: Arc<AtomicUsize>,
    units_max: u32,
}

impl Receiving {
    fn new(units_max: u32) -> Self {
        let semaphore = |permits: u32| Arc::new(Semaphore::new(permits as usize));
        Self { units: semaphore(units_max), overdraft: semaphore(1), waiting: Arc::default(), units_max }
    }
}

impl RequestMemory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let units_max = u32::try_from((bytes_max / 2 / UNIT_BYTES).max(1)).unwrap_or(u32::MAX >> 3);
        let units_max = units_max.min(u32::MAX >> 3);
        let semaphore = |permits: u32| Arc::new(Semaphore::new(permits as usize));
        Self {
            whole: semaphore(units_max),
            usual: Receiving::new((units_max / 2).max(1)),
            huge: Receiving::new((units_max / 2).max(1)),
            units_max,
        }
    }

    /// The share of a whole request of `len` bytes, if there is room now. One that is larger than the budget waits
    /// until it is alone.
    pub(crate) fn try_take(&self, len: usize) -> Option<Share> {
        self.whole.clone().try_acquire_many_owned(units_of(len, self.units_max)).ok()
    }

    /// Waits, in turn, for room.
    pub(crate) fn take(&self, len: usize) -> impl Future<Output = Option<Share>> + Send + use<> {
        let (units, semaphore) = (units_of(len, self.units_max), self.whole.clone());
        async move { semaphore.acquire_many_owned(units).await.ok() }
    }

    /// Lets a request of `len` bytes on its way in have `bytes` in all. `Some` future if it has to wait for that.
    pub(crate) fn receive(
        &self,
        len: usize,
        receipt: &mut Receipt,
        bytes: usize,
    ) -> Option<impl Future<Output = Option<Grant>> + Send + use<>> {
        let receiving = self.receiving(len);
        let missing = receipt.missing(units_of(bytes, receiving.units_max));
        if missing == 0 {
            return None;
        }
        if let Ok(units) = receiving.units.clone().try_acquire_many_owned(missing) {
            receipt.add(Grant::Units(units));
            return None;
        }
        let (units, overdraft) = (receiving.units.clone(), receiving.overdraft.clone());
        let waiting = Waiting::begin(&receiving.waiting);
        Some(async move {
            let _waiting = waiting;
            let mut units = std::pin::pin!(units.acquire_many_owned(missing));
            let mut overdraft = std::pin::pin!(overdraft.acquire_owned());
            std::future::poll_fn(|cx| {
                if let Poll::Ready(units) = units.as_mut().poll(cx) {
                    return Poll::Ready(units.ok().map(Grant::Units));
                }
                overdraft.as_mut().poll(cx).map(|permit| permit.ok().map(Grant::Overdraft))
            })
            .await
        })
    }

    /// How many wait for room to receive what is like a request of `len` bytes.
    pub(crate) fn waiting(&self, len: usize) -> usize {
        self.receiving(len).waiting.load(Ordering::Relaxed)
    }

    fn receiving(&self, len: usize) -> &Receiving {
        if len <= USUAL_BYTES { &self.usual } else { &self.huge }
    }

    /// What whole requests have.
    pub(crate) fn whole_bytes(&self) -> usize {
        used(&self.whole, self.units_max)
    }

    /// What requests on their way in have, the one beyond the budget not counted.
    pub(crate) fn receiving_bytes(&self) -> usize {
        [&self.usual, &self.huge].into_iter().map(|of| used(&of.units, of.units_max)).sum()
    }
}

fn used(units: &Semaphore, units_max: u32) -> usize {
    (units_max as usize).saturating_sub(units.available_permits()) * UNIT_BYTES
}

fn units_of(len: usize, units_max: u32) -> u32 {
    u32::try_from(len.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(units_max)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    const UNITS: usize = 10;

    fn memory() -> RequestMemory {
        RequestMemory::new(2 * UNITS * UNIT_BYTES)
    }

    #[test]
    fn room_is_given_back_and_a_huge_request_is_let_in_alone() {
        let memory = memory();
        let small = memory.try_take(1).unwrap();
        assert!(memory.try_take(1 << 40).is_none(), "a huge request waits until it is alone");
        drop(small);
        let huge = memory.try_take(1 << 40).unwrap();
        assert!(memory.try_take(1).is_none());
        drop(huge);
        assert!(memory.try_take(UNIT_BYTES * UNITS).is_some());
    }

    #[test]
    fn stalled_requests_take_what_has_arrived_and_leave_whole_ones_alone() {
        let memory = memory();
        let mut stalled: Vec<Receipt> = (0..UNITS).map(|_| Receipt::default()).collect();
        let half = UNITS / 2;
        for receipt in &mut stalled[..half] {
            assert!(memory.receive(UNIT_BYTES, receipt, UNIT_BYTES).is_none());
        }
        assert!(memory.receive(UNIT_BYTES, &mut stalled[half], UNIT_BYTES).is_some());
        let huge = &mut Receipt::default();
        assert!(memory.receive(USUAL_BYTES + 1, huge, UNIT_BYTES).is_none(), "and so have huge ones");
        assert_eq!(memory.receiving_bytes(), (half + 1) * UNIT_BYTES);
        assert!(memory.try_take(UNIT_BYTES * UNITS).is_some(), "whole requests have their own half");
    }

    #[test]
    fn requests_that_wait_for_each_other_go_on_one_at_a_time() {
        let memory = RequestMemory::new(4 * UNITS * UNIT_BYTES);
        let len = UNIT_BYTES * 20;
        let (mut one, mut other) = (Receipt::default(), Receipt::default());
        assert!(memory.receive(len, &mut one, UNIT_BYTES * 5).is_none());
        assert!(memory.receive(len, &mut other, UNIT_BYTES * 5).is_none());
        let cx = &mut Context::from_waker(Waker::noop());
        let grant = pin!(memory.receive(len, &mut one, UNIT_BYTES * 9).unwrap()).poll(cx);
        let Poll::Ready(Some(grant @ Grant::Overdraft(_))) = grant else { panic!("{grant:?}") };
        one.add(grant);
        assert!(memory.receive(len, &mut one, usize::MAX).is_none(), "it may go on to its end");
        let mut waiting = Box::pin(memory.receive(len, &mut other, UNIT_BYTES * 9).unwrap());
        assert!(waiting.as_mut().poll(cx).is_pending());
        drop(one);
        assert!(matches!(waiting.as_mut().poll(cx), Poll::Ready(Some(Grant::Units(_)))));
    }
}
