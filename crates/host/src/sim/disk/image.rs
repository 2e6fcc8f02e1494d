//! The content of a file as pages that images share until one of them writes.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// A sparse byte array; pages that are not there read as zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    len: u64,
    pages: BTreeMap<u64, Arc<Page>>,
}

/// The pieces of `offset..offset + len` that fall into one page each: page number, start inside it, length.
fn split(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset.saturating_add(done as u64);
        let start = usize::try_from(at % PAGE_BYTES as u64).unwrap_or(0);
        let count = (PAGE_BYTES - start).min(len - done);
        done += count;
        (count > 0).then_some((at / PAGE_BYTES as u64, start, count))
    })
}

impl Image {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Pages that a write of this region would add.
    pub(super) fn pages_missing(&self, offset: u64, len: usize) -> usize {
        split(offset, len).filter(|(page, _, _)| !self.pages.contains_key(page)).count()
    }

    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(buf) = buf.get_mut(..left.min(buf.len())).filter(|buf| !buf.is_empty()) else { return 0 };
        let mut rest = &mut *buf;
        for (page, start, count) in split(offset, rest.len()) {
            let (target, behind) = rest.split_at_mut(count);
            match self.pages.get(&page).and_then(|page| page.get(start..start + count)) {
                Some(source) => target.copy_from_slice(source),
                None => target.fill(0),
            }
            rest = behind;
        }
        buf.len()
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut rest = bytes;
        for (page, start, count) in split(offset, bytes.len()) {
            let (source, behind) = rest.split_at(count);
            let page = Arc::make_mut(self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES])));
            if let Some(target) = page.get_mut(start..start + count) {
                target.copy_from_slice(source);
            }
            rest = behind;
        }
        if !bytes.is_empty() {
            self.len = self.len.max(offset.saturating_add(bytes.len() as u64));
        }
    }

    /// Makes the pages of the region exist without changing what is read.
    pub(super) fn allocate(&mut self, offset: u64, len: usize) {
        for (page, _, _) in split(offset, len) {
            self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        // Also what is allocated behind the same length goes, as in ext4 and XFS.
        if len <= self.len {
            drop(self.pages.split_off(&len.div_ceil(PAGE_BYTES as u64)));
            let (last, kept) = (len / PAGE_BYTES as u64, len % PAGE_BYTES as u64);
            if let Some(page) = self.pages.get_mut(&last) {
                // What was cut off must not come back when the file grows again.
                let kept = usize::try_from(kept).unwrap_or(0);
                Arc::make_mut(page).get_mut(kept..).unwrap_or_default().fill(0);
            }
        }
        self.len = len;
    }

    /// Takes the pages of this region over from `other`.
    pub(super) fn share(&mut self, other: &Self, offset: u64, len: usize) {
        for (page, _, _) in split(offset, len) {
            match other.pages.get(&page) {
                Some(shared) => drop(self.pages.insert(page, Arc::clone(shared))),
                None => drop(self.pages.remove(&page)),
            }
        }
    }

    /// Inverts one bit, if the file has it.
    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        let mut byte = [0];
        if self.read(&mut byte, offset) == 1 {
            self.write(&byte.map(|byte| byte ^ (1 << (bit % 8))), offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behaves_like_a_vector() {
        let mut rng = crate::sim::rng::SeededRng::new(3);
        let (mut image, mut model) = (Image::default(), Vec::new());
        for round in 0..=255_u8 {
            let offset = rng.index(30_000);
            let len = rng.index(9000);
            match rng.below(4) {
                0 => {
                    model.resize(offset, 0);
                    image.set_len(offset as u64);
                }
                1 => image.allocate(offset as u64, len),
                _ => {
                    let bytes = vec![round | 1; len];
                    if !bytes.is_empty() {
                        model.resize(model.len().max(offset + len), 0);
                        model[offset..offset + len].copy_from_slice(&bytes);
                    }
                    image.write(&bytes, offset as u64);
                }
            }
            assert_eq!(image.len(), model.len() as u64);
        }
        let mut read = vec![0xee; 100_000];
        let count = image.read(&mut read, 0);
        assert_eq!(read[..count], model);
        let before = image.clone();
        image.write(b"changed", 0);
        let mut shared = [0; 7];
        before.read(&mut shared, 0);
        assert_eq!(shared, model[..7], "a clone does not see later writes");
    }
}
