//! [`HostRng`]: the host's randomness behind the trait of the `rand` crates.

use std::convert::Infallible;
use std::sync::Arc;

use rand_core::TryRng;

pub(crate) struct HostRng {
    rng: Arc<dyn host::Rng>,
}

impl HostRng {
    pub(super) fn new(rng: Arc<dyn host::Rng>) -> Self {
        Self { rng }
    }
}

impl std::fmt::Debug for HostRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostRng")
    }
}

impl TryRng for HostRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.rng.next_u64().to_le_bytes();
        Ok(u32::from_le_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.rng.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng.fill(bytes);
        Ok(())
    }
}
