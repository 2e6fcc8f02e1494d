//! Compaction, a few steps at a time, between everything else.

use storage::clean::Step as Progress;

use super::*;

impl World {
    /// Goes on with a pass, or begins one. A map that holds few keys makes it take several.
    pub(super) fn clean(&mut self, partition: u8, steps: u8) {
        let (key, now_ms) = (key(partition), i64::from(self.stamp));
        if self.log(partition).is_replacing() {
            return;
        }
        let mut cleaning = match self.cleanings.remove(&key) {
            Some(cleaning) => cleaning,
            None => {
                let Some(dirtiness) = self.log(partition).dirtiness(now_ms) else { return };
                let options = clean::Options { map_bytes_max: 400, secret: [1, 2], disk_reserve_bytes: 0 };
                Cleaning::new(self.log(partition).plan_cleaning(dirtiness, now_ms), options)
            }
        };
        for _ in 0..steps {
            match cleaning.step(&*self.files) {
                Ok(Progress::Partly { .. }) => {}
                Ok(Progress::Replace(replacement)) => {
                    if self.log(partition).replace(&replacement).is_ok() {
                        self.cleaned.insert(key);
                        self.cleanings.insert(key, cleaning);
                    }
                    return;
                }
                Ok(Progress::Done { cleaned }) => return self.log(partition).set_cleaned(cleaned),
                Err(error) => {
                    assert!(!self.log(partition).is_as_planned(cleaning.plan()), "{error}");
                    return cleaning.abandon(&*self.files).unwrap();
                }
            }
        }
        self.cleanings.insert(key, cleaning);
    }

    /// A whole pass over what is on disk by then. Power may fail after so many operations on the disk.
    pub(super) fn compact(&mut self, partition: u8, die_after: Option<u8>) {
        while self.journal_write() | self.journal_sync() {}
        for _ in 0..100 {
            self.segment_write(partition);
            self.segment_sync(partition);
        }
        self.checkpoint();
        self.swap(partition);
        if let Some(operations) = die_after {
            self.clean(partition, u8::MAX);
            if self.log(partition).is_replacing() {
                self.checkpoint();
                return self.swap_and_die(partition, operations % 12 + 1);
            }
        }
        for _ in 0..100 {
            self.clean(partition, u8::MAX);
            if !self.log(partition).is_replacing() && !self.cleanings.contains_key(&key(partition)) {
                break;
            }
            self.checkpoint();
            self.swap(partition);
        }
        let end = self.log(partition).log_end().0;
        self.check_read(partition, end as u8, 500);
    }

    pub(super) fn swap(&mut self, partition: u8) {
        let Some(swap) = self.log(partition).next_swap() else { return };
        let deleted = swap.run(&*self.files, &self.open).unwrap();
        if self.stamp.is_multiple_of(2) {
            deleted.remove(&*self.files).unwrap();
        }
        self.log(partition).swapped();
    }

    /// Power fails between two operations on the files.
    pub(super) fn swap_and_die(&mut self, partition: u8, after: u8) {
        let Some(swap) = self.log(partition).next_swap() else { return };
        self.disk.die_after(u64::from(after));
        // Whether it was done before the end makes no difference.
        let _ = swap.run(&*self.files, &self.open);
        self.disk.crash();
        self.recover(self.synced);
    }
}
