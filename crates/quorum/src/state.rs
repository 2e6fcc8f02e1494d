//! [`StateMachine`]: what the log is for, seen from the log.

use bytes::Bytes;

/// Encodes a frozen state. Runs on a disk lane, so it may take its time.
pub type Encode = Box<dyn FnOnce() -> Bytes + Send>;

/// Consumes what is committed, in order, once. Nothing of it may block.
pub trait StateMachine: Send + 'static {
    /// Applies a committed batch. Indexes grow; some are missing, since not every entry is a batch.
    fn apply(&mut self, index: u64, term: u64, batch: &[u8]);

    /// Freezes the state as it is now. Cheap: encoding is left to the returned closure.
    fn snapshot(&self) -> Encode;

    /// Replaces the state by a snapshot that this or another node has encoded.
    ///
    /// # Errors
    /// The text for people when the snapshot makes no sense; the node then stops.
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String>;
}
