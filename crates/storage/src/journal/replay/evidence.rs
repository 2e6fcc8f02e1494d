//! Where the chain of rounds breaks: a torn tail, or damage? A later round that says the missing one was synced decides.

use host::disk::BLOCK_BYTES;

use super::{Cut, Replay};
use crate::Error;
use crate::journal::format::RoundHeader;
use crate::journal::reader::Reader;

impl Replay {
    /// The index of a file that shows that round `number`, which is damaged or missing at this place, was synced
    /// once; that of no file if the checkpoint says so.
    pub(super) fn was_synced(
        &mut self,
        number: u64,
        at: Option<(usize, u64)>,
    ) -> Result<Option<usize>, Error> {
        let wanted = self.later_than(number);
        let proves = |header: &RoundHeader| wanted(header) && header.synced >= number;
        let first = |reader: &Reader| reader.found.first.as_ref().is_some_and(proves);
        if let Some(index) = self.readers.iter().position(first) {
            return Ok(Some(index));
        }
        let window_bytes = self.window_bytes;
        for (index, from) in self.behind(at, wanted) {
            if self.reader(index).search(from, window_bytes, proves)?.is_some() {
                return Ok(Some(index));
            }
        }
        Ok((number <= self.known.synced_round).then_some(usize::MAX))
    }

    fn later_than(&self, number: u64) -> impl Fn(&RoundHeader) -> bool + Copy + use<> {
        let next = self.next;
        move |header| {
            header.number > number && header.start.0 > next.position && header.incarnation >= next.incarnation
        }
    }

    /// Where rounds behind a damaged one, that `later` tells, may be: in the rest of its file, or in the file that came
    /// next. That begins with a later round, if this one is whole. If not, its beginning may be anything: it was an unused
    /// file, or of those used before the oldest one that was large enough.
    fn behind(&self, at: Option<(usize, u64)>, later: impl Fn(&RoundHeader) -> bool) -> Vec<(usize, u64)> {
        let rest = at.map(|(index, offset)| (index, offset.saturating_add(BLOCK_BYTES as u64)));
        let mut places = rest.into_iter().collect::<Vec<_>>();
        let others = self.readers.iter().enumerate().map(|(index, reader)| (index, &reader.found));
        let others = others.filter(|(other, _)| self.live.iter().all(|(live, _)| live != other));
        let (mut used, mut largest) = (Vec::new(), 0);
        for (index, found) in others {
            match found.first {
                Some(first) if !later(&first) => used.push((first.start, found.file.bytes, index)),
                _ => places.push((index, 0)),
            }
        }
        used.sort_unstable();
        for (_, bytes, index) in used {
            if bytes > largest {
                largest = bytes;
                places.push((index, 0));
            }
        }
        places
    }

    /// There is no intact round where the next one is expected: the end, a torn tail, or damage.
    pub(super) fn end_of_chain(&mut self) -> Result<Option<Cut>, Error> {
        let next = self.next;
        if let Some(proof) = self.was_synced(next.round, next.at)? {
            let (index, offset) = next.at.unwrap_or((proof, 0));
            let path = self.readers.get(index).map_or_else(|| self.path.clone(), |at| at.found.path.clone());
            let what = format!("round {} was synced and is not there", next.round);
            return Err(Error::Damaged { path, offset, what });
        }
        let Some((index, offset)) = next.at else { return Ok(None) };
        let begun = |header: &RoundHeader| header.number == next.round && header.start.0 == next.position;
        let torn = self.reader(index).looks_like(offset)?.is_some_and(|header| begun(&header));
        let later = self.later_than(next.round);
        let window_bytes = self.window_bytes;
        let cut = torn || self.reader(index).search(offset, window_bytes, later)?.is_some();
        let path = self.reader(index).found.path.clone();
        Ok(cut.then_some(Cut { path, offset, round: next.round }))
    }
}
