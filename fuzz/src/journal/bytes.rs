//! [`Rounds`]: where the rounds lie in the files of a ring, by `docs/format/journal.md` alone.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;

use super::machine::ID;
use crate::Input;
use crate::crc::crc32c;
use crate::edits::Edit;

const BLOCK_BYTES: usize = 4096;
const HEADER_BYTES: usize = 64;
const HEAD_BYTES: usize = 44;

type Files = Vec<(PathBuf, Vec<u8>)>;

struct Round {
    file: usize,
    number: u64,
    incarnation: u64,
    /// Header and heads, and payloads behind them; not the padding.
    checked: Range<usize>,
    payloads: Range<usize>,
}

pub(super) struct Rounds {
    files: Files,
    rounds: Vec<Round>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

/// Header, heads and payloads of what looks like a round.
fn shape(bytes: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    if bytes.get(at..at + 8)? != b"BournJ01" {
        return None;
    }
    let entries = u32::from_be_bytes(number(bytes, at + 12)?) as usize;
    let payload = u32::from_be_bytes(number(bytes, at + 48)?) as usize;
    let heads_end = at + HEADER_BYTES + entries.checked_mul(HEAD_BYTES)?;
    let end = heads_end.checked_add(payload)?;
    (end <= bytes.len()).then_some((at..heads_end, heads_end..end))
}

fn header_crc(bytes: &[u8], checked: &Range<usize>) -> u32 {
    crc32c(&[ID.as_bytes(), &bytes[checked.start + 12..checked.end]])
}

impl Rounds {
    /// Every intact round, replayed or not.
    pub(super) fn of(files: Files) -> Self {
        let mut rounds = Vec::new();
        for (file, (_, bytes)) in files.iter().enumerate() {
            for at in (0..bytes.len()).step_by(BLOCK_BYTES) {
                let Some((checked, payloads)) = shape(bytes, at) else { continue };
                if number(bytes, at + 8) != Some(header_crc(bytes, &checked).to_be_bytes()) {
                    continue;
                }
                let incarnation = u64::from_be_bytes(number(bytes, at + 16).unwrap());
                let number = u64::from_be_bytes(number(bytes, at + 24).unwrap());
                rounds.push(Round { file, number, incarnation, checked, payloads });
            }
        }
        // The newest is looked at most.
        rounds.sort_by_key(|round| std::cmp::Reverse((round.number, round.incarnation)));
        Self { files, rounds }
    }

    /// An edit of a file, in or near a round.
    pub(super) fn edit(&self, input: &mut Input<'_>, files: &Files) -> Option<(usize, Edit)> {
        if files.is_empty() {
            return None;
        }
        let Some(round) = self.rounds.get(input.below(self.rounds.len().max(1))) else {
            let file = input.below(files.len());
            let len = files[file].1.len();
            return Some((file, Edit::read(input, len, |input| input.below(len + 1))));
        };
        let place = |input: &mut Input<'_>| {
            let within = match input.byte() % 4 {
                0 => round.checked.start..round.checked.start + HEADER_BYTES,
                1 => round.checked.clone(),
                2 => round.payloads.start..round.payloads.end + 1,
                _ => round.checked.start..(round.payloads.end + BLOCK_BYTES).min(files[round.file].1.len()),
            };
            within.start + input.below(within.len())
        };
        Some((round.file, Edit::read(input, files[round.file].1.len(), place)))
    }

    /// Gives everything that still looks like a round the checksums that belong to it.
    pub(super) fn put_right(&self, files: &mut Files) {
        for (file, round) in self.rounds.iter().map(|round| (round.file, round)) {
            let bytes = &mut files[file].1;
            let Some((checked, payloads)) = shape(bytes, round.checked.start) else { continue };
            let mut payload = payloads.start;
            for head in (checked.start + HEADER_BYTES..checked.end).step_by(HEAD_BYTES) {
                let len = u32::from_be_bytes(number(bytes, head + 36).unwrap()) as usize;
                let end = (payload + len).min(payloads.end);
                let crc = crc32c(&[&bytes[head..head + 40], &bytes[payload..end]]);
                bytes[head + 40..head + 44].copy_from_slice(&crc.to_be_bytes());
                payload = end;
            }
            let crc = header_crc(bytes, &checked);
            bytes[checked.start + 8..checked.start + 12].copy_from_slice(&crc.to_be_bytes());
        }
    }

    /// The numbers of the rounds that are not what they were.
    pub(super) fn changed(&self, files: &Files) -> BTreeSet<u64> {
        let is_changed = |round: &&Round| {
            let all = round.checked.start..round.payloads.end;
            self.files[round.file].1.get(all.clone()) != files[round.file].1.get(all)
        };
        self.rounds.iter().filter(is_changed).map(|round| round.number).collect()
    }
}
