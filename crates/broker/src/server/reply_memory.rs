//! The memory that replies take from when they are made until the network has them.
//!
//! A reply out of memory holds on to the batches in it, in the cache or not: clients that ask and do not read would
//! keep everything that was ever in the cache. So what they hold is counted, and reads get smaller as it grows.
//!
//! Invariants:
//! * A reply counts for all of its bytes in memory until the last of them has left; regions of files count nothing.
//! * A read gets at most half of what is left, and a small amount when nothing is, so that slow readers do not
//!   keep the others from their records. When nothing is left, reads come out of files where they can: the bound is
//!   thus the limit, and for each connection one small read of what is in no file yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A read gets as much as this whatever others hold; the first batch is larger at times.
const READ_BYTES_MIN: usize = 16 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct ReplyMemory {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// Some of the memory; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl ReplyMemory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// Room for a read that wants so much; [`Held::bytes`] says how much it may take.
    pub(crate) fn for_read(&self, wanted: usize) -> Held {
        let left = self.limit.saturating_sub(self.used());
        self.hold(wanted.min((left / 2).max(READ_BYTES_MIN)))
    }

    /// Counts what is there already.
    pub(crate) fn hold(&self, bytes: usize) -> Held {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Held { bytes, used: self.used.clone() }
    }

    /// Nothing is left: who has answers to take takes them before it gets others.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.used() >= self.limit
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_get_smaller_as_memory_is_held_and_never_nothing() {
        let memory = ReplyMemory::new(1 << 20);
        let held: Vec<Held> = (0..100).map(|_| memory.for_read(50 << 20)).collect();
        let bytes: Vec<usize> = held.iter().map(Held::bytes).collect();
        assert_eq!(bytes[..3], [1 << 19, 1 << 18, 1 << 17]);
        assert!(bytes[10..].iter().all(|bytes| *bytes == READ_BYTES_MIN));
        assert!(memory.used() < (1 << 20) + 100 * READ_BYTES_MIN);
        assert_eq!(memory.for_read(100).bytes(), 100, "who wants little gets it");
        drop(held);
        assert_eq!(memory.used(), 0);
    }
}
