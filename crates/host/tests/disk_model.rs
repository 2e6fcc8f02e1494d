//! A simulated disk against a model, with random writes, syncs and crashes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;

use bytes::Bytes;
use host::OpenMode;
use host::disk::FileRef;
use host::sim::{OpKind, Rule, SimDisk};
use proptest::prelude::*;

fn write(file: &FileRef, offset: u64, len: usize, fill: u8) {
    file.write_at(&[Bytes::from(vec![fill; len])], offset).unwrap();
}

fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
    disk.files().read(Path::new(name), 1 << 30).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Write { offset: u16, len: u16, fill: u8 },
    Sync,
    FailedSync,
    Crash,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..20_000_u16, 1..6000_u16, 1..=255_u8)
            .prop_map(|(offset, len, fill)| Step::Write { offset, len, fill }),
        2 => Just(Step::Sync),
        1 => Just(Step::FailedSync),
        2 => Just(Step::Crash),
        1 => Just(Step::Kill),
    ]
}

/// Everything each sector may hold after a crash, the present content last.
struct Model {
    sectors: Vec<Vec<[u8; 512]>>,
}

impl Model {
    fn write(&mut self, offset: usize, len: usize, fill: u8) {
        for (index, versions) in self.sectors.iter_mut().enumerate() {
            let (low, high) = (offset.max(index * 512), (offset + len).min(index * 512 + 512));
            if low < high {
                let mut next = *versions.last().unwrap();
                next[low - index * 512..high - index * 512].fill(fill);
                versions.push(next);
            }
        }
    }

    fn check(&self, content: &[u8], exact: bool) {
        for (index, versions) in self.sectors.iter().enumerate() {
            let mut found = [0; 512];
            let have = content.get(index * 512..).unwrap_or_default();
            let have = &have[..have.len().min(512)];
            found[..have.len()].copy_from_slice(have);
            let fits = if exact { versions.last() == Some(&found) } else { versions.contains(&found) };
            assert!(fits, "sector {index} holds what it never held");
        }
    }

    fn forget(&mut self) {
        self.sectors.iter_mut().for_each(|versions| drop(versions.drain(..versions.len() - 1)));
    }
}

proptest! {
    #[test]
    fn every_sector_holds_something_it_held_since_its_sync(
        seed: u64,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let disk = SimDisk::new(seed);
        let mut file = disk.files().open(Path::new("file"), OpenMode::CREATE).unwrap();
        disk.files().sync_dir(Path::new("/")).unwrap();
        let mut model = Model { sectors: vec![vec![[0; 512]]; 60] };
        for step in steps {
            match step {
                Step::Write { offset, len, fill } => {
                    write(&file, u64::from(offset), usize::from(len), fill);
                    model.write(usize::from(offset), usize::from(len), fill);
                }
                Step::Sync => {
                    // What an earlier failed sync has lost is not brought back, so only a page's own
                    // later versions count; a crash settles it.
                    file.sync().unwrap();
                    if !disk.trace().lines().iter().any(|line| line.ends_with("failed sync")) {
                        model.forget();
                    }
                }
                Step::FailedSync => {
                    disk.trace().event("failed sync");
                    disk.inject(Rule::next(OpKind::Sync, "file", 1));
                    file.sync().unwrap_err();
                }
                Step::Crash | Step::Kill => {
                    let exact = matches!(step, Step::Kill);
                    if exact { disk.kill() } else { disk.crash() }
                    let content = content(&disk, "file");
                    model.check(&content, exact);
                    file = disk.files().open(Path::new("file"), OpenMode::WRITE).unwrap();
                    // From here on the content is what was found, on the platter or in the cache.
                    for (index, versions) in model.sectors.iter_mut().enumerate() {
                        let mut found = [0; 512];
                        let have = content.get(index * 512..).unwrap_or_default();
                        let have = &have[..have.len().min(512)];
                        found[..have.len()].copy_from_slice(have);
                        if !exact {
                            versions.clear();
                        }
                        versions.push(found);
                    }
                }
            }
        }
        let mut now = vec![0; 60 * 512];
        let len = file.read_at(&mut now, 0).unwrap();
        model.check(&now[..len], true);
    }
}
