//! [`Transactions`]: the state of one partition of `__transaction_state`.
//!
//! Owns: which transactional ids there are, whose they are, and how their transactions end (KIP-98, KIP-360, KIP-890).
//!
//! Invariants:
//! * An id is with one producer at a time: whoever was it before is fenced by a higher epoch or another producer id.
//! * A transaction ends one way: once it is decided, nothing but its completion comes next, and its markers say the same
//!   however often they are sent.
//! * A transaction begins when the one before is complete: whoever comes earlier waits, and is told
//!   CONCURRENT_TRANSACTIONS when that takes long.

mod end;
mod expire;
mod init;
mod list;
mod logged;
mod markers;
mod options;
mod partitions;
mod record;
mod request;
mod soft;
mod state;
#[cfg(test)]
mod tests;
mod timeouts;
mod transaction;
mod waiting;

use protocol::wire::Writer;
use protocol::{ErrorCode, Str};

use crate::{Caller, Coordinator, Error, Now, Producer, Record, Ticket};
use logged::Logged;
pub use options::Options;
use record::Change;
pub use request::{Effect, Filter, Markers, Reply, Request, Topics};
use soft::{Live, Soft, Timer};
use transaction::{Transaction, listed};

/// What a decision asks for.
pub type Outcome = crate::Outcome<Reply, Effect>;

/// All transactional ids that hash to one partition.
#[derive(Debug)]
pub struct Transactions {
    options: Options,
    logged: Logged,
    soft: Soft,
}

/// One decision.
#[derive(Debug)]
struct Turn<'a> {
    options: &'a Options,
    logged: &'a mut Logged,
    soft: &'a mut Soft,
    now: Now,
    outcome: Outcome,
    writer: Writer,
}

/// What becomes of a request.
#[derive(Debug)]
enum Verdict {
    Reply(Reply),
    /// It is decided when the transaction that is being completed has been.
    Wait,
}

impl Transactions {
    pub fn new(options: Options) -> Self {
        Self { options, logged: Logged::default(), soft: Soft::default() }
    }

    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    fn turn(&mut self, now: Now) -> Turn<'_> {
        Turn {
            options: &self.options,
            logged: &mut self.logged,
            soft: &mut self.soft,
            now,
            outcome: Outcome::default(),
            writer: Writer::new(),
        }
    }
}

impl Coordinator for Transactions {
    type Request = Request;
    type Reply = Reply;
    type Effect = Effect;

    fn replay(&mut self, record: &Record, _producer: Option<Producer>) -> Result<(), Error> {
        if let Some(change) = Change::decode(record)? {
            self.logged.apply(change);
        }
        Ok(())
    }

    fn loaded(&mut self, now: Now) -> Outcome {
        let mut turn = self.turn(now);
        let ids: Vec<Str> = turn.logged.ids().keys().cloned().collect();
        for id in ids {
            turn.resume(&id);
        }
        turn.schedule_expiration();
        turn.outcome
    }

    fn handle(&mut self, ticket: Ticket, _caller: &Caller, request: Request, now: Now) -> Outcome {
        let mut turn = self.turn(now);
        turn.handle(ticket, request);
        turn.outcome
    }

    fn wants_fresh_id(_request: &Request) -> bool {
        false
    }

    fn tick(&mut self, now: Now) -> Outcome {
        let mut turn = self.turn(now);
        while let Some(timer) = turn.soft.timers.pop_due(now.monotonic_ms) {
            match timer {
                Timer::Patience { id } => turn.lose_patience(&id),
                // The other ones after what this one wrote is on its way.
                Timer::Timeouts => {
                    turn.abort_timed_out();
                    break;
                }
                Timer::Expiration => {
                    turn.expire();
                    break;
                }
            }
        }
        turn.outcome
    }

    fn next_tick_ms(&self) -> Option<u64> {
        self.soft.timers.next_ms()
    }
}

impl Turn<'_> {
    fn handle(&mut self, ticket: Ticket, request: Request) {
        match self.decide(&request) {
            Verdict::Reply(reply) => self.outcome.replies.push((ticket, reply)),
            Verdict::Wait => self.wait(ticket, request),
        }
    }

    fn decide(&mut self, request: &Request) -> Verdict {
        match request {
            Request::InitProducerId { transactional_id, timeout_ms, current, fresh } => {
                self.init(transactional_id, *timeout_ms, *current, *fresh)
            }
            Request::AddPartitions { transactional_id, producer, topics, client_version } => {
                self.add(transactional_id, *producer, topics, *client_version)
            }
            Request::VerifyPartitions { transactional_id, producer, topics } => {
                Verdict::Reply(Reply::Verified(self.verify(transactional_id, *producer, topics)))
            }
            Request::EndTxn { transactional_id, producer, commit, client_version, fresh } => {
                self.end(transactional_id, *producer, *commit, *client_version, *fresh)
            }
            Request::Marked { transactional_id, producer, topics } => {
                self.marked(transactional_id, *producer, topics);
                Verdict::Reply(Reply::Noted)
            }
            Request::Describe { transactional_id } => {
                Verdict::Reply(Reply::Described(self.describe(transactional_id)))
            }
            Request::List(filter) => Verdict::Reply(Reply::Listed(self.list(filter))),
        }
    }

    /// Records are applied when they are made, so that the next decision sees them.
    fn emit(&mut self, id: &Str, transaction: Option<Transaction>) {
        let version = self.options.transaction_version;
        let transaction = transaction.map(|transaction| transaction.recorded(version));
        let change = Change { id: id.clone(), transaction };
        self.outcome.records.push(change.encode(&mut self.writer, version));
        self.logged.apply(change);
    }

    fn live(&mut self, id: &Str) -> &mut Live {
        // What is kept gets a buffer of its own.
        if !self.soft.live.contains_key(id) {
            self.soft.live.insert(id.detached(), Live::default());
        }
        self.soft.live.entry(id.clone()).or_default()
    }

    fn set_last_epoch(&mut self, id: &Str, epoch: Option<i16>) {
        self.live(id).last_epoch = epoch;
        self.forget_if_nothing(id);
    }

    fn forget_if_nothing(&mut self, id: &str) {
        if self.soft.live.get(id).is_some_and(Live::is_nothing) {
            self.soft.live.remove(id);
        }
    }

    /// What the log says goes on: a transaction that runs may time out, one whose end is decided is completed.
    fn resume(&mut self, id: &Str) {
        let Some(transaction) = self.logged.get(id) else { return };
        let (state, start_ms, timeout_ms) = (transaction.state, transaction.start_ms, transaction.timeout_ms);
        if state.is_completing() {
            self.complete(id);
        } else if !state.is_idle() {
            self.set_deadline(id, start_ms, timeout_ms);
        }
    }
}

impl Verdict {
    fn producer(result: Result<Producer, ErrorCode>) -> Self {
        Self::Reply(Reply::Producer(result))
    }
}
