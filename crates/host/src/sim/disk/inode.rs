//! A simulated file: what reads see, what is on the platter, and the writes between the two.
//!
//! Invariants:
//! * `current` is `durable` with every pending write applied, unless a sync has failed: then what that sync should
//!   have written may be missing from `durable` for good, although reads show it.
//! * A pending write holds whole sectors as they were right after it, so that a later write which survives
//!   brings along what earlier ones left in the same sectors, as a page cache does.

use std::collections::VecDeque;

use super::faults::CrashPolicy;
use super::image::Image;
use crate::sim::rng::SeededRng;

/// Above this the simulated kernel writes the oldest pending writes back by itself.
const PENDING_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    current: Image,
    durable: Image,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    /// Open handles; a file without a name lives on while it has some.
    pub(super) handles: usize,
}

#[derive(Clone, Debug)]
enum Pending {
    /// `bytes` starts and ends on a sector border or at the end of the file.
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen(u64),
}

/// What becomes of a pending write.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Whole,
    /// Some of its sectors.
    Torn,
    /// The file is as long as if it had been written, without its bytes.
    LengthOnly,
    Lost,
}

impl Inode {
    pub(super) fn current(&self) -> &Image {
        &self.current
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64, sector: u64) {
        self.current.write(bytes, offset);
        let start = offset - offset % sector;
        let end = offset.saturating_add(bytes.len() as u64);
        let end = end.next_multiple_of(sector).min(self.current.len());
        let mut whole = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        self.current.read(&mut whole, start);
        self.pending_bytes += whole.len();
        self.pending.push_back(Pending::Write { offset: start, bytes: whole });
        while self.pending_bytes > PENDING_BYTES_MAX {
            let Some(oldest) = self.pending.pop_front() else { break };
            self.pending_bytes -= oldest.bytes();
            oldest.apply(&mut self.durable);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.current.set_len(len);
        self.pending.push_back(Pending::SetLen(len));
    }

    pub(super) fn allocate(&mut self, offset: u64, len: usize) {
        self.current.allocate(offset, len);
        self.durable.allocate(offset, len);
    }

    pub(super) fn sync(&mut self) {
        self.pending_bytes = 0;
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::SetLen(len) => self.durable.set_len(len),
                Pending::Write { offset, bytes } => self.durable.share(&self.current, offset, bytes.len()),
            }
        }
        self.durable.set_len(self.current.len());
    }

    /// Ends the uncertainty: some pending writes become durable, the others never will.
    pub(super) fn settle(&mut self, rng: &mut SeededRng, policy: CrashPolicy, sector: u64) {
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        let mood = Mood::draw(rng, policy, pending.len());
        for (index, pending) in pending.into_iter().enumerate() {
            match mood.fate(rng, index) {
                Fate::Whole => pending.apply(&mut self.durable),
                Fate::Torn => pending.apply_torn(&mut self.durable, rng, sector),
                Fate::LengthOnly => pending.apply_length(&mut self.durable),
                Fate::Lost => {}
            }
        }
    }

    /// The machine lost power.
    pub(super) fn crash(&mut self, rng: &mut SeededRng, policy: CrashPolicy, sector: u64) {
        self.settle(rng, policy, sector);
        self.current = self.durable.clone();
        self.handles = 0;
    }

    /// Cuts the end off on the platter and in what reads see.
    pub(super) fn cut(&mut self, len: u64) {
        self.current.set_len(len.min(self.current.len()));
        self.durable.set_len(len.min(self.durable.len()));
    }

    /// Inverts a bit on the platter and in what reads see.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        self.current.flip(offset, bit);
        self.durable.flip(offset, bit);
    }
}

impl Pending {
    fn bytes(&self) -> usize {
        match self {
            Self::Write { bytes, .. } => bytes.len(),
            Self::SetLen(_) => 0,
        }
    }

    fn apply(&self, image: &mut Image) {
        match self {
            Self::Write { offset, bytes } => image.write(bytes, *offset),
            Self::SetLen(len) => image.set_len(*len),
        }
    }

    fn apply_torn(&self, image: &mut Image, rng: &mut SeededRng, sector: u64) {
        let Self::Write { offset, bytes } = self else { return };
        let mut at = *offset;
        for chunk in bytes.chunks(usize::try_from(sector).unwrap_or(512)) {
            if rng.coin() {
                image.write(chunk, at);
            }
            at += chunk.len() as u64;
        }
    }

    fn apply_length(&self, image: &mut Image) {
        if let Self::Write { offset, bytes } = self {
            let end = offset.saturating_add(bytes.len() as u64);
            image.set_len(image.len().max(end));
        }
    }
}

/// How a crash treats the pending changes of one kind; extremes are as likely as mixtures.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mood {
    KeepAll,
    LoseAll,
    /// The first so many survive; the next one is torn.
    Prefix(usize),
    Each,
}

impl Mood {
    pub(super) fn draw(rng: &mut SeededRng, policy: CrashPolicy, pending: usize) -> Self {
        match policy {
            CrashPolicy::KeepAll => Self::KeepAll,
            CrashPolicy::LoseAll => Self::LoseAll,
            CrashPolicy::Random => match rng.below(6) {
                0 => Self::KeepAll,
                1 => Self::LoseAll,
                2 => Self::Prefix(rng.index(pending + 1)),
                _ => Self::Each,
            },
        }
    }

    /// For changes that happen whole or not at all.
    pub(super) fn keeps(self, rng: &mut SeededRng, index: usize) -> bool {
        match self {
            Self::KeepAll => true,
            Self::LoseAll => false,
            Self::Prefix(kept) => index < kept,
            Self::Each => rng.coin(),
        }
    }

    fn fate(self, rng: &mut SeededRng, index: usize) -> Fate {
        match self {
            Self::Prefix(kept) if index == kept => Fate::Torn,
            Self::Each => match rng.below(20) {
                0..8 => Fate::Whole,
                8..14 => Fate::Lost,
                14..19 => Fate::Torn,
                _ => Fate::LengthOnly,
            },
            mood if mood.keeps(rng, index) => Fate::Whole,
            _ => Fate::Lost,
        }
    }
}
