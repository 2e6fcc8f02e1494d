//! The room of a [`Journal`]: whether a round fits, what shards should free, when the ring should grow.

use super::Journal;
use crate::Position;
use crate::journal::format::{HEADER_BYTES, whole_blocks};
use crate::journal::ring::RingFile;

impl Journal {
    /// No round can be written until something is released or the ring has grown.
    pub fn is_full(&self) -> bool {
        !self.pending.is_empty() && self.room().is_none()
    }

    /// The next entry fits into no file of the ring, however empty: only a larger file brings the journal on.
    pub fn needs_larger_file(&self) -> bool {
        !self.pending.is_empty() && self.ring.largest_file_bytes() < self.bytes_of_first()
    }

    /// The largest round that may be written now. A part of the ring is kept for entries that something waits for
    /// which frees space: it could never free a ring that is full to the brim.
    pub(super) fn room(&self) -> Option<u64> {
        let reserve = if self.is_awaited() { 0 } else { self.ring.total_bytes() / 8 };
        if self.ring.free_bytes() < reserve {
            return None;
        }
        self.ring.room(self.bytes_of_first())
    }

    /// A checkpoint waits for entries, or somebody else does who holds space until then.
    fn is_awaited(&self) -> bool {
        !self.watched.is_empty() || self.pending_awaited > 0
    }

    /// If the journal is full: up to where everything has to be released before a file of the ring is free.
    pub fn blocked_up_to(&self) -> Option<Position> {
        self.is_full().then(|| self.ring.oldest_end())
    }

    /// What shards should free now: told when more than half of the ring is in use, and again as it fills up. When no
    /// round fits any more, which may come earlier since files are freed as wholes, it is everything. Never more than
    /// shards have been told is written: they would wait for entries of theirs to leave a place where none is.
    pub fn pressure(&mut self) -> Option<Position> {
        let total = self.ring.total_bytes();
        if self.is_full() {
            let told = self.pressed;
            self.pressed = told.max(self.written_position);
            return (told < self.pressed).then_some(self.pressed);
        }
        let used = self.ring.used_bytes();
        if used * 2 <= total {
            return None;
        }
        let free_up_to = Position(self.ring.head().0 - total / 4).min(self.written_position);
        if free_up_to.0 < self.pressed.0 + total / 8 {
            return None;
        }
        self.pressed = free_up_to;
        Some(free_up_to)
    }

    /// A file that the ring should get, as id and length; then comes [`Self::grown`] or [`Self::not_grown`].
    pub fn next_growth(&mut self) -> Option<(u32, u64)> {
        let total = self.ring.total_bytes();
        let too_small = self.needs_larger_file();
        let crowded = self.ring.free_bytes() * 4 < total || total < 2 * self.options.file_bytes_min;
        // Beyond the maximum only if nothing else can bring the journal on: what would free a file waits for an entry that
        // does not fit, or the file that is being written is the only one in use, and that one cannot be freed.
        let needed_now =
            too_small || (self.is_full() && (self.is_awaited() || self.ring.is_one_file_in_use()));
        if self.growing || self.failed.is_some() || !(needed_now || crowded) {
            return None;
        }
        let usual = self.usual_file_bytes();
        // A file that does not hold the next entry would bring nothing on, nor would any number of them.
        let bytes = if needed_now { usual.max(self.bytes_of_first()) } else { usual };
        if total + bytes > self.bytes_max() && !needed_now {
            return None;
        }
        self.growing = true;
        Some((self.ring.next_file_id(), bytes))
    }

    /// Whether it is as large as it may become. Before that a lack of room is a matter of a moment.
    pub fn is_full_grown(&self) -> bool {
        self.ring.total_bytes() + self.usual_file_bytes() > self.bytes_max()
    }

    fn bytes_max(&self) -> u64 {
        self.options.bytes_max.max(2 * self.options.file_bytes_min)
    }

    fn usual_file_bytes(&self) -> u64 {
        whole_blocks(self.ring.total_bytes() / 4)
            .clamp(self.options.file_bytes_min, self.options.file_bytes_max)
    }

    /// A new file is there, zero-filled and synced, its name too, and a checkpoint that counts it ([`Self::known`]).
    pub fn grown(&mut self, file: RingFile) {
        self.growing = false;
        self.ring.add(file);
    }

    pub fn not_grown(&mut self) {
        self.growing = false;
    }

    fn bytes_of_first(&self) -> u64 {
        let entry = self.pending.front().map_or(0, |pending| pending.entry.journal_bytes());
        whole_blocks((HEADER_BYTES + entry) as u64)
    }
}
