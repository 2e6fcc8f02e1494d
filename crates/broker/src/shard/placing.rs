//! In which log directory a new partition is made.
//!
//! Invariant: a partition that may be somewhere already, in a directory that is missing or offline, is not made anew.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use protocol::ErrorCode;
use storage::segment::names::partition_dir;

use super::api::{PartitionSpec, Refusal};
use super::shard::{Shard, storage_error};

impl Shard {
    /// Where a partition is made that was not found. One that the metadata has in another directory than those here, or
    /// that is of before this start while a directory is missing, is not empty: its records are there, and come back with it.
    pub(super) fn directory_for(&mut self, spec: &PartitionSpec) -> Result<usize, Refusal> {
        let assigned = self.common.ids.iter().position(|id| *id == spec.directory);
        if let Some(dir) = assigned {
            let failed = self.directories.get(dir).and_then(|directory| directory.failed.as_ref());
            return match failed {
                Some(error) => Err(storage_error(error)),
                None if self.is_taken(dir, spec) => Err(taken()),
                None => Ok(self.count_partition(dir)),
            };
        }
        let lost = self.common.lost.get();
        let why = match lost.filter(|_| !self.common.settled.load(Ordering::Relaxed)) {
            _ if !spec.directory.is_zero() => {
                format!("it is on log directory {}, which is missing", spec.directory)
            }
            Some(lost) => format!("it is not on a log directory that works; {lost}"),
            None => return self.choose_directory(spec),
        };
        self.lost.insert(spec.key, why.clone());
        Err(Refusal { code: ErrorCode::KafkaStorageError, message: Some(why) })
    }

    /// Whether what is left of a deleted topic of this name is still written out there.
    fn is_taken(&self, dir: usize, spec: &PartitionSpec) -> bool {
        let strays = self.common.strays.lock().unwrap_or_else(PoisonError::into_inner);
        let path = |root| partition_dir(root, &spec.topic, spec.key.partition);
        !strays.is_empty() && self.common.paths.get(dir).is_some_and(|root| strays.contains(&path(root)))
    }

    fn count_partition(&self, dir: usize) -> usize {
        if let Some(count) = self.common.partitions.get(dir) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        dir
    }

    /// Among the directories that work, cordoned ones last, the one that [`place`] picks.
    fn choose_directory(&self, spec: &PartitionSpec) -> Result<usize, Refusal> {
        let working = self.directories.iter().enumerate().filter(|(_, dir)| dir.failed.is_none());
        let candidates = working.map(|(index, dir)| Candidate {
            index,
            partitions: self.common.partitions.get(index).map_or(0, |count| count.load(Ordering::Relaxed)),
            available_bytes: dir.available_bytes,
        });
        let (taken_there, candidates): (Vec<_>, Vec<_>) =
            candidates.partition(|candidate| self.is_taken(candidate.index, spec));
        if candidates.is_empty() && !taken_there.is_empty() {
            return Err(taken());
        }
        let is_cordoned = |dir: usize| {
            self.common.cordoned.get(dir).is_some_and(|cordoned| cordoned.load(Ordering::Relaxed))
        };
        let (cordoned, open): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|candidate| is_cordoned(candidate.index));
        // What was decided before the last one was cordoned, or failed, is there and has to be somewhere.
        let Some(index) = place(&open).or_else(|| place(&cordoned)) else {
            return Err(storage_error("no log directory is left"));
        };
        Ok(self.count_partition(index))
    }
}

fn taken() -> Refusal {
    let why = "what is left of a deleted topic of this name could not be set aside yet, for the disk is full: free space, and \
               start again";
    Refusal { code: ErrorCode::KafkaStorageError, message: Some(why.to_owned()) }
}

/// A directory that a new partition could go to.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    index: usize,
    partitions: usize,
    /// `None` until it was measured.
    available_bytes: Option<u64>,
}

/// The directory with the most room for each partition, counting the new one: on disks of one size the one with the fewest
/// partitions, as in Kafka, and on a larger disk proportionally more of them. While the room is not known everywhere, the
/// one with the fewest.
fn place(candidates: &[Candidate]) -> Option<usize> {
    let measured = candidates.iter().all(|candidate| candidate.available_bytes.is_some());
    let crowded = |candidate: &&Candidate| {
        let room = if measured { candidate.available_bytes.unwrap_or(0) } else { u64::MAX };
        let partitions = u64::try_from(candidate.partitions).unwrap_or(u64::MAX).saturating_add(1);
        (std::cmp::Reverse(room / partitions), candidate.partitions, candidate.index)
    };
    candidates.iter().min_by_key(crowded).map(|candidate| candidate.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_partitions_go_where_there_is_most_room_for_each() {
        let chosen = |candidates: &[(usize, Option<u64>)]| {
            let candidate = |(index, (partitions, available_bytes)): (usize, &(usize, Option<u64>))| {
                Candidate { index, partitions: *partitions, available_bytes: *available_bytes }
            };
            place(&candidates.iter().enumerate().map(candidate).collect::<Vec<_>>())
        };
        for (candidates, index) in [
            (&[][..], None),
            (&[(5, Some(0))], Some(0)),
            // Of one size: the fewest partitions, the first of equals.
            (&[(2, Some(1000)), (1, Some(1000)), (1, Some(1000))], Some(1)),
            // Twice the room takes twice the partitions.
            (&[(1, Some(1000)), (2, Some(2000))], Some(1)),
            (&[(1, Some(1000)), (3, Some(2000))], Some(0)),
            (&[(0, Some(10)), (9, Some(1000))], Some(1)),
            // Not measured yet, all of them.
            (&[(3, Some(1000)), (2, None)], Some(1)),
            (&[(2, None), (2, None)], Some(0)),
        ] {
            assert_eq!(chosen(candidates), index, "{candidates:?}");
        }
    }
}
