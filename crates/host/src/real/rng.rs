//! The operating system's secure randomness.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::Rng;

#[derive(Debug)]
pub(super) struct OsRng;

impl Rng for OsRng {
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn fill(&self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            match getrandom(&mut *bytes, GetRandomFlags::empty()) {
                Ok(filled) => bytes = bytes.get_mut(filled..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                // Every Linux since 3.17 has it. To go on with predictable ids would be worse than to stop.
                Err(error) => panic!("no randomness from the operating system: {error}"),
            }
        }
    }
}
