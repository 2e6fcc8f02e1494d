//! Groups as their driver sees them.

use protocol::ids::ProducerId;

use super::Groups;
use crate::record::Change;
use crate::{Caller, Coordinator, Error, Now, Outcome, Producer, Record, Reply, Request, Search, Ticket};

impl Coordinator for Groups {
    type Request = Request;
    type Reply = Reply;
    type Effect = Search;

    fn replay(&mut self, record: &Record, producer: Option<Producer>) -> Result<(), Error> {
        match (Change::decode(record)?, producer) {
            (Some(change), Some(producer)) => self.logged.apply_pending(producer.id, change),
            (Some(change), None) => self.logged.apply(change),
            (None, _) => {}
        }
        Ok(())
    }

    fn loaded(&mut self, now: Now) -> Outcome {
        Groups::loaded(self, now)
    }

    fn handle(&mut self, ticket: Ticket, caller: &Caller, request: Request, now: Now) -> Outcome {
        Groups::handle(self, ticket, caller, request, now)
    }

    fn wants_fresh_id(request: &Request) -> bool {
        match request {
            Request::JoinGroup(_) => true,
            Request::ConsumerGroupHeartbeat(request) => request.member_id.is_empty(),
            _ => false,
        }
    }

    fn tick(&mut self, now: Now) -> Outcome {
        Groups::tick(self, now)
    }

    fn refused(&mut self, producer: Producer, records: &[Record]) {
        for change in records.iter().filter_map(|record| Change::decode(record).ok().flatten()) {
            self.logged.take_back(producer.id, change);
        }
    }

    fn order(&self) -> u64 {
        self.logged.order()
    }

    fn ended(&mut self, producer_id: ProducerId, commit: bool, order: u64) {
        self.logged.end(producer_id, commit, order);
    }

    fn next_tick_ms(&self) -> Option<u64> {
        Groups::next_tick_ms(self)
    }
}
