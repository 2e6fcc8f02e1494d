//! [`Options`]: how large a journal may become, and how patient it is.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// `bourn.journal.max.bytes`: what all files of the ring may take together, unless an entry is larger
    /// than each of them.
    pub bytes_max: u64,
    /// The first file, and the smallest.
    pub file_bytes_min: u64,
    pub file_bytes_max: u64,
    /// A round takes no more entries once it is this large.
    pub round_bytes: u64,
    /// What may be written and not yet synced. Recovery looks this far behind damage for proof that it is not
    /// just a torn tail.
    pub unsynced_bytes_max: u64,
    /// How long rounds may be held back under load.
    pub spacing: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            file_bytes_min: 4 << 20,
            file_bytes_max: 32 << 20,
            round_bytes: 1 << 20,
            unsynced_bytes_max: 8 << 20,
            spacing: Duration::from_micros(500),
        }
    }
}
