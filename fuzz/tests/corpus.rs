//! The inputs that fuzzing was worth keeping, and some noise. `cargo xtask fuzz TARGET` looks for more.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

use std::fs::File;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::PathBuf;

use fuzz::{TARGETS, Target};
use zip::ZipArchive;

/// By the name that its content gives it.
fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(format!("{}.zip", target.name));
    let mut archive = ZipArchive::new(File::open(&path).unwrap()).unwrap();
    let count = archive.len();
    let read = |at| {
        let mut entry = archive.by_index(at).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.name().unwrap().into_owned(), bytes)
    };
    (0..count).map(read).collect()
}

#[test]
fn what_was_found_stays_mended() {
    for target in TARGETS {
        let inputs = corpus(target);
        assert!(inputs.len() > 10, "{} inputs of {}", inputs.len(), target.name);
        for (name, bytes) in inputs {
            let ended = catch_unwind(|| (target.run)(&bytes));
            assert!(ended.is_ok(), "{name} in corpus/{}.zip", target.name);
        }
    }
}

/// Of all lengths, small numbers more often than chance has them.
#[test]
fn noise_does_no_harm() {
    let mut state = 7_u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for target in TARGETS {
        for _ in 0..300 {
            let bytes: Vec<u8> = (0..next() % 600)
                .map(|_| if next() % 2 == 0 { (next() % 8) as u8 } else { next() as u8 })
                .collect();
            let ended = catch_unwind(|| (target.run)(&bytes));
            assert!(ended.is_ok(), "{} with {bytes:?}", target.name);
        }
    }
}
