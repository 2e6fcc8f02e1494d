//! Groups as their driver sees them.

use super::Groups;
use crate::{Caller, Coordinator, Error, Now, Outcome, Producer, Record, Reply, Request, Search, Ticket};

impl Coordinator for Groups {
    type Request = Request;
    type Reply = Reply;
    type Effect = Search;

    fn replay(&mut self, record: &Record, _producer: Option<Producer>) -> Result<(), Error> {
        Groups::replay(self, record)
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

    fn next_tick_ms(&self) -> Option<u64> {
        Groups::next_tick_ms(self)
    }
}
