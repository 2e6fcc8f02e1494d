//! Randomness: for ids, jitter and elections. Not for choosing between correct and incorrect.

use std::fmt::Debug;

pub trait Rng: Send + Sync + Debug {
    fn next_u64(&self) -> u64;

    /// Fills `bytes`; on the real machine from the operating system's secure source.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in `0..bound`; 0 when `bound` is 0.
    fn below(&self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }
}
