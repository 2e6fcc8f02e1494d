//! From the decision to the completion: every partition of the transaction gets a marker.

use protocol::Str;

use super::state::State;
use super::{Effect, Markers, Topics, Turn, listed};
use crate::Producer;

impl Turn<'_> {
    /// The end of the transaction is decided, and its partitions are to hear of it.
    pub(super) fn complete(&mut self, id: &Str) {
        let Some(known) = self.logged.get(id).filter(|known| known.state.is_completing()) else { return };
        let unmarked = known.partitions.clone();
        if unmarked.is_empty() {
            self.completed(id);
            return;
        }
        self.outcome.effects.push(Effect::SendMarkers(Markers {
            transactional_id: id.clone(),
            producer: known.producer(),
            commit: known.state == State::PrepareCommit,
            version: known.client_version,
            topics: listed(&unmarked),
        }));
        self.live(id).unmarked = unmarked;
    }

    pub(super) fn marked(&mut self, id: &Str, producer: Producer, topics: &Topics) {
        let known = self.logged.get(id);
        // Markers of a transaction that an earlier coordinator has completed.
        if !known.is_some_and(|known| known.state.is_completing() && known.producer() == producer) {
            return;
        }
        let unmarked = &mut self.live(id).unmarked;
        for (topic, partitions) in topics {
            let Some(own) = unmarked.get_mut(topic) else { continue };
            for partition in partitions {
                own.remove(partition);
            }
            if own.is_empty() {
                unmarked.remove(topic);
            }
        }
        if unmarked.is_empty() {
            self.completed(id);
        }
    }

    fn completed(&mut self, id: &Str) {
        let Some(known) = self.logged.get(id) else { return };
        let complete = known.completed(self.now.wall_ms);
        self.emit(id, Some(complete));
        self.answer_waiting(id);
        self.forget_if_nothing(id);
    }
}
