//! Seeded randomness: xoshiro256++, the same on every platform and in every version of this crate.

use std::sync::{Mutex, PoisonError};

use crate::Rng;

/// Parts per million, the unit of all fault rates.
const MILLION: u64 = 1_000_000;

#[derive(Clone, Debug)]
pub(crate) struct SeededRng {
    state: [u64; 4],
}

impl SeededRng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut mixer = seed;
        Self { state: [(); 4].map(|()| splitmix(&mut mixer)) }
    }

    /// An independent generator for a purpose, so that more draws for one purpose do not shift another.
    pub(crate) fn derive(seed: u64, purpose: &str, number: u64) -> Self {
        let mut mixer = seed ^ number.wrapping_mul(0xd6e8_feb8_6659_fd93);
        for byte in purpose.bytes() {
            mixer = splitmix(&mut mixer) ^ u64::from(byte);
        }
        Self::new(splitmix(&mut mixer))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        result
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// True `ppm` times in a million. Draws nothing when the rate is zero.
    pub(crate) fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(MILLION) < u64::from(ppm)
    }

    /// A number in `low..=high`, small ones as likely as large ones.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }
}

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The randomness that a simulated node sees.
#[derive(Debug)]
pub(crate) struct SimRng {
    rng: Mutex<SeededRng>,
}

impl SimRng {
    pub(crate) fn new(rng: SeededRng) -> Self {
        Self { rng: Mutex::new(rng) }
    }
}

impl Rng for SimRng {
    fn next_u64(&self) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).next()
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_u64().to_le_bytes();
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_seeds_are_independent() {
        let first = |mut rng: SeededRng| [rng.next(), rng.next()];
        let net = first(SeededRng::derive(1, "net", 0));
        assert_eq!(net, first(SeededRng::derive(1, "net", 0)));
        for other in
            [SeededRng::derive(2, "net", 0), SeededRng::derive(1, "disk", 0), SeededRng::derive(1, "net", 1)]
        {
            assert_ne!(net, first(other));
        }
    }

    #[test]
    fn rates_and_bounds_hold() {
        let mut rng = SeededRng::new(7);
        let hits = (0..100_000).filter(|_| rng.chance(100_000)).count();
        assert!((9_000..11_000).contains(&hits), "{hits} of 100000 at 10 %");
        assert!((0..1000).all(|_| (3..=5).contains(&rng.between(3, 5))));
        assert_eq!(rng.between(9, 2), 9);
        assert!((0..1000).all(|_| !rng.chance(0) && rng.chance(1_000_000)));
    }
}
