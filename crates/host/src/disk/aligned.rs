//! Memory for writes past the page cache: aligned to [`BLOCK_BYTES`], growable, recycled.
//!
//! Invariants:
//! * The first byte of an [`AlignedBuf`], and of the [`Bytes`] frozen from it, lies on a block boundary.
//! * Memory from an [`AlignedPool`] goes back to it when its last [`Bytes`] is dropped; the pool keeps at most as
//!   many buffers as it was made for, and none above its largest size.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::BLOCK_BYTES;

/// A growable buffer whose memory starts on a block boundary.
///
/// Safe code cannot ask the allocator for an alignment, so the vector is one block longer than asked for and
/// the data begins at the first boundary inside it.
pub struct AlignedBuf {
    memory: Vec<u8>,
    start: usize,
    pool: Option<AlignedPool>,
}

impl AlignedBuf {
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self::from_memory(Vec::with_capacity(bytes.saturating_add(BLOCK_BYTES)), None)
    }

    fn from_memory(mut memory: Vec<u8>, pool: Option<AlignedPool>) -> Self {
        memory.clear();
        let start = memory.as_ptr().addr().next_multiple_of(BLOCK_BYTES) - memory.as_ptr().addr();
        memory.resize(start, 0);
        Self { memory, start, pool }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.memory.len() - self.start
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.capacity() - self.start
    }

    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.start..).unwrap_or_default()
    }

    /// Makes room for `more` bytes behind the present ones.
    pub fn reserve(&mut self, more: usize) {
        let needed = self.len().saturating_add(more);
        if needed <= self.capacity() {
            return;
        }
        // Growing in place would lose the alignment.
        let mut larger = Self::with_capacity(needed.max(self.capacity().saturating_mul(2)));
        larger.memory.extend_from_slice(self.as_slice());
        self.memory = std::mem::take(&mut larger.memory);
        self.start = larger.start;
    }

    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.memory.extend_from_slice(bytes);
    }

    /// Makes the buffer `len` bytes long, with zeros where it grows.
    pub fn resize(&mut self, len: usize) {
        self.reserve(len.saturating_sub(self.len()));
        self.memory.resize(self.start + len, 0);
    }

    /// Adds zeros up to the next block boundary.
    pub fn pad_to_block(&mut self) {
        self.resize(self.len().next_multiple_of(BLOCK_BYTES));
    }

    pub fn clear(&mut self) {
        self.memory.truncate(self.start);
    }

    /// The same memory as [`Bytes`]; it goes back to the pool when the last reference is dropped.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.put(std::mem::take(&mut self.memory));
        }
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf").field("len", &self.len()).field("capacity", &self.capacity()).finish()
    }
}

/// A few free aligned buffers. Cheap to clone.
#[derive(Clone)]
pub struct AlignedPool {
    shared: Arc<Shared>,
}

struct Shared {
    buffers_max: usize,
    buffer_bytes_max: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl AlignedPool {
    /// Keeps at most `buffers_max` free buffers of at most `buffer_bytes_max` bytes each.
    #[must_use]
    pub fn new(buffers_max: usize, buffer_bytes_max: usize) -> Self {
        Self { shared: Arc::new(Shared { buffers_max, buffer_bytes_max, free: Mutex::default() }) }
    }

    /// An empty buffer with room for `bytes`.
    #[must_use]
    pub fn take(&self, bytes: usize) -> AlignedBuf {
        let free = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buf = AlignedBuf::from_memory(
            free.unwrap_or_else(|| Vec::with_capacity(bytes.saturating_add(BLOCK_BYTES))),
            Some(self.clone()),
        );
        buf.reserve(bytes);
        buf
    }

    fn put(&self, memory: Vec<u8>) {
        // The block spent on the alignment does not count.
        if memory.capacity() > self.shared.buffer_bytes_max.saturating_add(BLOCK_BYTES) {
            return;
        }
        let mut free = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.shared.buffers_max {
            free.push(memory);
        }
    }
}

impl fmt::Debug for AlignedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.shared.free.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("AlignedPool").field("free", &free).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aligned(bytes: &[u8]) -> bool {
        bytes.as_ptr().addr().is_multiple_of(BLOCK_BYTES)
    }

    #[test]
    fn stays_aligned_while_it_grows() {
        let mut buf = AlignedBuf::with_capacity(10);
        let mut expected = Vec::new();
        for round in 0..200_u8 {
            let piece = vec![round; usize::from(round) * 7];
            buf.extend_from_slice(&piece);
            expected.extend_from_slice(&piece);
            assert!(aligned(buf.as_slice()));
        }
        assert_eq!(buf.as_slice(), expected);
        buf.pad_to_block();
        let bytes = buf.freeze();
        assert!(aligned(&bytes));
        assert_eq!(bytes.len() % BLOCK_BYTES, 0);
        assert_eq!(&bytes[..expected.len()], expected);
        assert!(bytes[expected.len()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn pool_recycles_up_to_its_bounds() {
        let pool = AlignedPool::new(1, 64 << 10);
        let mut buf = pool.take(32 << 10);
        buf.extend_from_slice(b"first");
        let at = buf.as_slice().as_ptr();
        let bytes = buf.freeze();
        let part = bytes.slice(1..3);
        drop(bytes);
        assert!(pool.shared.free.lock().unwrap().is_empty(), "a slice still holds the memory");
        drop(part);
        let again = pool.take(16 << 10);
        assert!(again.is_empty());
        assert_eq!(again.as_slice().as_ptr(), at);
        drop((pool.take(10), again));
        assert_eq!(pool.shared.free.lock().unwrap().len(), 1);
        drop(pool.take(1 << 20));
        assert!(pool.shared.free.lock().unwrap().is_empty(), "grown past the bound");
    }
}
