//! Requests that come while a transaction is completed.
//!
//! Kafka answers them CONCURRENT_TRANSACTIONS, and clients or brokers ask again after some time. Completion takes a few
//! milliseconds, so they wait here instead, as long as `add.partitions.to.txn.retry.backoff.max.ms` says.

use protocol::{ErrorCode, Str};

use super::soft::{Timer, Waiting};
use super::{Reply, Request, Turn};
use crate::Ticket;

impl Turn<'_> {
    pub(super) fn wait(&mut self, ticket: Ticket, request: Request) {
        let Some(id) = transactional_id(&request).cloned() else { return };
        let is_completing = self.logged.get(&id).is_some_and(|known| known.state.is_completing());
        if !is_completing {
            // There was nothing to tell anybody, and it is complete already.
            self.handle(ticket, request);
            return;
        }
        let until_ms = self.now.monotonic_ms.saturating_add(self.options.completion_patience_ms);
        if self.options.completion_patience_ms == 0 {
            self.refuse(ticket, &request);
            return;
        }
        self.live(&id).waiting.push(Waiting { ticket, request, until_ms });
        self.soft.timers.schedule(until_ms, Timer::Patience { id });
    }

    /// The transaction is complete. Who has waited is decided in order; the first may begin the next transaction.
    pub(super) fn answer_waiting(&mut self, id: &Str) {
        let Some(live) = self.soft.live.get_mut(id) else { return };
        for Waiting { ticket, request, until_ms } in std::mem::take(&mut live.waiting) {
            self.soft.timers.cancel(until_ms, Timer::Patience { id: id.clone() });
            self.handle(ticket, request);
        }
    }

    pub(super) fn lose_patience(&mut self, id: &Str) {
        let Some(live) = self.soft.live.get_mut(id) else { return };
        let now_ms = self.now.monotonic_ms;
        let late: Vec<Waiting> = live.waiting.extract_if(.., |waiting| waiting.until_ms <= now_ms).collect();
        for Waiting { ticket, request, .. } in late {
            self.refuse(ticket, &request);
        }
        self.forget_if_nothing(id);
    }

    fn refuse(&mut self, ticket: Ticket, request: &Request) {
        let error = Err(ErrorCode::ConcurrentTransactions);
        let reply = match request {
            Request::AddPartitions { .. } => Reply::Added(error),
            _ => Reply::Producer(Err(ErrorCode::ConcurrentTransactions)),
        };
        self.outcome.replies.push((ticket, reply));
    }
}

/// Of requests that wait.
fn transactional_id(request: &Request) -> Option<&Str> {
    match request {
        Request::InitProducerId { transactional_id, .. }
        | Request::AddPartitions { transactional_id, .. }
        | Request::VerifyPartitions { transactional_id, .. }
        | Request::EndTxn { transactional_id, .. }
        | Request::Marked { transactional_id, .. }
        | Request::Describe { transactional_id } => Some(transactional_id),
        Request::List(_) => None,
    }
}
