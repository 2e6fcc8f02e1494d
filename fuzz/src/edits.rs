//! [`Edit`]: what happens to a file that nobody has written to.

use std::ops::Range;

use crate::Input;

/// A change of a file's bytes.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    /// Up to four bytes in a row: whatever they are covered by notices it for sure.
    Flip {
        at: usize,
        mask: [u8; 4],
    },
    Set {
        at: usize,
        bytes: Vec<u8>,
    },
    Zero(Range<usize>),
    /// What stands in one place stands in another as well, as after a write that went astray.
    Copy {
        from: Range<usize>,
        to: usize,
    },
    Truncate(usize),
    Grow(Vec<u8>),
}

impl Edit {
    /// An edit of a file of `len` bytes, at a place that `place` finds.
    pub(crate) fn read(
        input: &mut Input<'_>,
        len: usize,
        mut place: impl FnMut(&mut Input<'_>) -> usize,
    ) -> Self {
        let kind = input.byte() % 16;
        let at = place(input).min(len);
        let within = |from: usize, count: usize| from..(from + count).min(len);
        match kind {
            0..8 => Self::Flip { at, mask: input.u32().max(1).to_be_bytes() },
            8..11 => {
                let count = usize::from(input.byte() % 40);
                Self::Set { at, bytes: input.take(count).to_vec() }
            }
            11 | 12 => Self::Zero(within(at, 1 << (input.byte() % 14))),
            13 => {
                let count = 1 << (input.byte() % 14);
                Self::Copy { from: within(place(input).min(len), count), to: at }
            }
            14 => Self::Truncate(at),
            _ => Self::Grow(input.take(64).to_vec()),
        }
    }

    /// Whether a checksum over what it changes cannot but notice.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self, Self::Flip { .. })
    }

    /// An earlier one may have made the file shorter.
    pub(crate) fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Self::Flip { at, mask } => {
                file.iter_mut().skip(*at).zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            }
            Self::Set { at, bytes } => put(file, *at, bytes),
            Self::Zero(range) => put(file, range.start, &vec![0; range.len()]),
            Self::Copy { from, to } => {
                let copied: Vec<u8> = file.iter().take(from.end).skip(from.start).copied().collect();
                put(file, *to, &copied);
            }
            Self::Truncate(len) => file.truncate(*len),
            Self::Grow(bytes) => file.extend_from_slice(bytes),
        }
    }
}

/// As far as the file goes.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file.iter_mut().skip(at).zip(bytes).for_each(|(byte, new)| *byte = *new);
}
