//! [`Budget`]: how much memory record batches may take in all shards together.
//!
//! Invariants: what counts is what batches keep alive (see `storage::log`), told by the shards after each change.
//! Over the limit nothing fails: shards first drop what is in segments already, then write out more, and let appends
//! wait meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Budget {
    limit: usize,
    used: AtomicUsize,
}

impl Budget {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: AtomicUsize::new(0) }
    }

    /// A partition's batches took `before` and take `after` now.
    pub(super) fn change(&self, before: usize, after: usize) {
        if after >= before {
            self.used.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.used.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Appends wait.
    pub(super) fn is_exhausted(&self) -> bool {
        self.used() >= self.limit
    }

    /// What is in segments is dropped until this is no longer so. If that is not enough, tails are written out although they
    /// are short.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.limit / 8 * 7
    }
}
