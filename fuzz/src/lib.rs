//! What a fuzzer drives: one function a target, from bytes to a panic if something is not as it must be.
//!
//! `cargo xtask fuzz TARGET` runs libFuzzer on one of them, by the package in `targets/`, whose programs do nothing but call
//! [`Target::run`]. `cargo test` runs each over the inputs that were worth keeping, `corpus/TARGET.zip`.
//!
//! Invariants:
//! * The same bytes lead to the same calls and the same end.
//! * What follows from the bytes is bounded: an input takes milliseconds, not seconds, and a few MB of memory.
//! * Every checksum that keeps chance from getting any further can be put right, so that what lies behind it is reached.
//!
//! Does not know: where inputs come from.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a panic is what a fuzzer looks for"
)]

mod batches;
mod checkpoint;
mod crc;
mod edits;
mod frames;
mod indexes;
mod input;
mod journal;
mod messages;
mod segments;

use input::Input;

/// What is fuzzed on its own.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

/// All of them, by name.
pub const TARGETS: &[Target] = &[
    Target { name: "batches", run: batches::run },
    Target { name: "checkpoint", run: checkpoint::run },
    Target { name: "frames", run: frames::run },
    Target { name: "indexes", run: indexes::run },
    Target { name: "journal", run: journal::run },
    Target { name: "messages", run: messages::run },
    Target { name: "segments", run: segments::run },
];

/// Runs the target of that name; for the programs in `targets/`.
///
/// # Panics
/// When the target finds something, or there is none of that name.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("there is no target {name}")).run)(input);
}
