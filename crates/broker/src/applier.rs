//! The metadata log's state machine on this broker: the image, and word of each change to the publisher.
//!
//! Invariants:
//! * The image is what the log says up to the last applied entry, published or not.
//! * An entry that makes no sense ends the node: whatever it meant, the image no longer says what the cluster decided.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use metadata::record::{Record, decode_batch, encode_batch};
use metadata::{Delta, Image};
use quorum::{Encode, StateMachine};
use tokio::sync::{mpsc, watch};

/// What one or more entries of the metadata log changed.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The last of the entries.
    pub(crate) index: u64,
    pub(crate) delta: Delta,
}

#[derive(Debug)]
pub(crate) struct Applier {
    image: Image,
    index: u64,
    shared: Arc<ArcSwap<Image>>,
    /// Unbounded, but for every entry somebody waits until it is published.
    changes: mpsc::UnboundedSender<Applied>,
    broken: watch::Sender<Option<String>>,
}

/// The other ends of an [`Applier`].
#[derive(Debug)]
pub(crate) struct Outlets {
    pub(crate) image: Arc<ArcSwap<Image>>,
    pub(crate) changes: mpsc::UnboundedReceiver<Applied>,
    /// Says why the log could not be applied.
    pub(crate) broken: watch::Receiver<Option<String>>,
}

impl Applier {
    pub(crate) fn new() -> (Self, Outlets) {
        let shared = Arc::new(ArcSwap::from_pointee(Image::new()));
        let (changes, receive_changes) = mpsc::unbounded_channel();
        let (broken, is_broken) = watch::channel(None);
        let outlets = Outlets { image: shared.clone(), changes: receive_changes, broken: is_broken };
        (Self { image: Image::new(), index: 0, shared, changes, broken }, outlets)
    }

    fn advance(&mut self, index: u64, delta: Delta) {
        self.index = index;
        self.image = delta.after().clone();
        self.shared.store(Arc::new(self.image.clone()));
        // The publisher is gone only when the broker stops.
        let _ = self.changes.send(Applied { index, delta });
    }

    fn delta_of(&self, records: &Result<Vec<Record>, metadata::Error>) -> Result<Delta, metadata::Error> {
        match records {
            Ok(records) => Delta::of(self.image.clone(), records),
            Err(error) => Err(error.clone()),
        }
    }
}

impl StateMachine for Applier {
    fn apply(&mut self, index: u64, term: u64, batch: &[u8]) {
        if self.broken.borrow().is_some() {
            return;
        }
        match self.delta_of(&decode_batch(&Bytes::copy_from_slice(batch))) {
            Ok(delta) => self.advance(index, delta),
            Err(error) => {
                let reason =
                    format!("entry {index} of term {term} of the metadata log cannot be applied: {error}");
                tracing::error!("{reason}");
                self.broken.send_replace(Some(reason));
            }
        }
    }

    fn snapshot(&self) -> Encode {
        let (image, index) = (self.image.clone(), self.index);
        Box::new(move || {
            let mut bytes = index.to_be_bytes().to_vec();
            bytes.extend_from_slice(&encode_batch(&image.to_records()));
            Bytes::from(bytes)
        })
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), String> {
        let (index, batch) = snapshot.split_first_chunk::<8>().ok_or("it is too short")?;
        let records = decode_batch(&Bytes::copy_from_slice(batch)).map_err(|error| error.to_string())?;
        let image = Image::from_records(&records).map_err(|error| error.to_string())?;
        self.advance(u64::from_be_bytes(*index), Delta::between(self.image.clone(), image));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use protocol::Str;

    use super::*;

    fn created(id: &str) -> Bytes {
        encode_batch(&[Record::ClusterCreated { cluster_id: Str::from(id), created_ms: 1 }])
    }

    #[test]
    fn a_snapshot_restores_what_was_applied() {
        let (mut applier, mut outlets) = Applier::new();
        applier.apply(7, 1, &created("c"));
        assert_eq!(outlets.changes.try_recv().unwrap().index, 7);
        let snapshot = applier.snapshot()();
        let (mut other, mut others) = Applier::new();
        other.restore(&snapshot).unwrap();
        assert_eq!(others.changes.try_recv().unwrap().index, 7);
        assert_eq!(**others.image.load(), **outlets.image.load());
        assert!(other.restore(&snapshot[..5]).is_err());
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_told_and_nothing_follows_it() {
        let (mut applier, mut outlets) = Applier::new();
        applier.apply(1, 1, b"\xff\xff nonsense");
        assert!(outlets.broken.borrow().as_ref().unwrap().contains("entry 1 of term 1"));
        applier.apply(2, 1, &created("c"));
        assert!(outlets.changes.try_recv().is_err());
    }
}
