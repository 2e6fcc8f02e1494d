//! Ids drawn from the host's randomness.

use host::Host;
use protocol::Uuid;

/// A random id that is none of those with a meaning of their own.
pub(crate) fn uuid(host: &Host) -> Uuid {
    loop {
        let mut bytes = [0; 16];
        host.rng.fill(&mut bytes);
        if let Some(id) = Uuid::from_random(bytes) {
            return id;
        }
    }
}

/// Where to begin among equals.
pub(crate) fn start(host: &Host) -> usize {
    usize::try_from(host.rng.next_u64() >> 33).unwrap_or(0)
}
