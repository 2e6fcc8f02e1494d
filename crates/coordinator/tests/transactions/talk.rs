//! [`Talk`]: a conversation of producers with one coordinator, on a clock that the test moves.

use std::collections::BTreeMap;

use coordinator::transactions::{
    Effect, Filter, Markers, Options, Outcome, Reply, Request, Topics, Transactions,
};
use coordinator::{Caller, Coordinator, Now, Producer, Record, Ticket};
use protocol::ids::{ProducerEpoch, ProducerId};
use protocol::messages::describe_transactions_response::TransactionState;
use protocol::messages::list_transactions_response::ListTransactionsResponse;
use protocol::{ErrorCode, Uuid};

pub(crate) const ID: &str = "orders-app";
/// Wall time when the monotonic clock shows zero.
pub(crate) const EPOCH_MS: i64 = 1_700_000_000_000;
pub(crate) const TIMEOUT_MS: i32 = 60_000;

pub(crate) struct Talk {
    pub transactions: Transactions,
    pub now_ms: u64,
    pub records: Vec<Record>,
    /// To be sent.
    pub markers: Vec<Markers>,
    replies: BTreeMap<Ticket, Reply>,
    asked: u64,
    next_producer_id: i64,
}

pub(crate) fn producer(id: i64, epoch: i16) -> Producer {
    Producer { id: ProducerId(id), epoch: ProducerEpoch(epoch) }
}

pub(crate) fn topics(partitions: &[(&'static str, i32)]) -> Topics {
    let mut topics = Topics::new();
    for (topic, partition) in partitions {
        match topics.iter_mut().find(|(name, _)| name == *topic) {
            Some((_, partitions)) => partitions.push(*partition),
            None => topics.push(((*topic).into(), vec![*partition])),
        }
    }
    topics
}

impl Talk {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let mut this = Self {
            transactions: Transactions::new(options),
            now_ms: 0,
            records: Vec::new(),
            markers: Vec::new(),
            replies: BTreeMap::new(),
            asked: 0,
            next_producer_id: 1000,
        };
        let outcome = this.transactions.loaded(this.now());
        this.take(outcome);
        this
    }

    /// Another coordinator loads what this one wrote; what was under way goes with the old one.
    pub(crate) fn fail_over(&mut self, options: Options) {
        self.transactions = Transactions::new(options);
        for record in &self.records {
            self.transactions.replay(record, None).unwrap();
        }
        self.markers.clear();
        let outcome = self.transactions.loaded(self.now());
        self.take(outcome);
    }

    fn now(&self) -> Now {
        let wall_ms = EPOCH_MS + i64::try_from(self.now_ms).unwrap();
        Now { monotonic_ms: self.now_ms, wall_ms, fresh_id: Uuid::ZERO }
    }

    fn take(&mut self, outcome: Outcome) {
        assert!(outcome.producer.is_none());
        self.records.extend(outcome.records);
        for (ticket, reply) in outcome.replies {
            let before = self.replies.insert(ticket, reply);
            assert!(before.is_none(), "{ticket:?} was answered twice: {before:?}");
        }
        let markers = outcome.effects.into_iter().map(|Effect::SendMarkers(markers)| markers);
        self.markers.extend(markers);
    }

    pub(crate) fn ask(&mut self, request: Request) -> Ticket {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        let caller = Caller { version: 5, client_id: "app".into(), client_host: "/127.0.0.1".into() };
        let outcome = self.transactions.handle(ticket, &caller, request, self.now());
        self.take(outcome);
        ticket
    }

    pub(crate) fn answer(&self, ticket: Ticket) -> &Reply {
        self.replies.get(&ticket).expect("it is answered")
    }

    pub(crate) fn is_parked(&self, ticket: Ticket) -> bool {
        !self.replies.contains_key(&ticket)
    }

    fn now_answer(&mut self, request: Request) -> Reply {
        let ticket = self.ask(request);
        self.answer(ticket).clone()
    }

    /// Asks again with a fresh id if one is wanted.
    fn producer_of(
        &mut self,
        request: impl Fn(Option<ProducerId>) -> Request,
    ) -> Result<Producer, ErrorCode> {
        let ticket = self.ask(request(None));
        self.producer_answer(ticket, request)
    }

    pub(crate) fn producer_answer(
        &mut self,
        ticket: Ticket,
        request: impl Fn(Option<ProducerId>) -> Request,
    ) -> Result<Producer, ErrorCode> {
        let reply = match self.answer(ticket) {
            Reply::ProducerIdWanted => {
                let fresh = ProducerId(self.next_producer_id);
                self.next_producer_id += 1;
                self.now_answer(request(Some(fresh)))
            }
            reply => reply.clone(),
        };
        match reply {
            Reply::Producer(result) => result,
            other => panic!("{other:?} is no producer"),
        }
    }

    pub(crate) fn init(&mut self, current: Option<Producer>) -> Result<Producer, ErrorCode> {
        self.init_with(ID, TIMEOUT_MS, current)
    }

    pub(crate) fn init_with(
        &mut self,
        id: &str,
        timeout_ms: i32,
        current: Option<Producer>,
    ) -> Result<Producer, ErrorCode> {
        self.producer_of(|fresh| init_request(id, timeout_ms, current, fresh))
    }

    pub(crate) fn add_request(
        producer: Producer,
        partitions: &[(&'static str, i32)],
        version: i16,
    ) -> Request {
        let topics = topics(partitions);
        Request::AddPartitions { transactional_id: ID.into(), producer, topics, client_version: version }
    }

    pub(crate) fn add(
        &mut self,
        producer: Producer,
        partitions: &[(&'static str, i32)],
        version: i16,
    ) -> Result<(), ErrorCode> {
        match self.now_answer(Self::add_request(producer, partitions, version)) {
            Reply::Added(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn verify(
        &mut self,
        producer: Producer,
        partitions: &[(&'static str, i32)],
    ) -> Result<Topics, ErrorCode> {
        let topics = topics(partitions);
        match self.now_answer(Request::VerifyPartitions { transactional_id: ID.into(), producer, topics }) {
            Reply::Verified(result) => result,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn end(
        &mut self,
        producer: Producer,
        commit: bool,
        version: i16,
    ) -> Result<Producer, ErrorCode> {
        self.producer_of(|fresh| Request::EndTxn {
            transactional_id: ID.into(),
            producer,
            commit,
            client_version: version,
            fresh,
        })
    }

    /// Every partition hears of the ends that are decided.
    pub(crate) fn mark_all(&mut self) {
        for Markers { transactional_id, producer, topics, .. } in std::mem::take(&mut self.markers) {
            self.ask(Request::Marked { transactional_id, producer, topics });
        }
    }

    pub(crate) fn describe(&mut self, id: &str) -> TransactionState {
        match self.now_answer(Request::Describe { transactional_id: id.into() }) {
            Reply::Described(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn state(&mut self) -> String {
        self.describe(ID).transaction_state.to_string()
    }

    pub(crate) fn list(&mut self, filter: Filter) -> ListTransactionsResponse {
        match self.now_answer(Request::List(filter)) {
            Reply::Listed(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, and everything happen that comes due.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.transactions.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let outcome = self.transactions.tick(self.now());
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }

    /// A producer whose epoch is `epoch`, however many it takes.
    pub(crate) fn at_epoch(&mut self, epoch: i16) -> Producer {
        let mut producer = self.init(None).unwrap();
        while producer.epoch.0 < epoch {
            producer = self.init(Some(producer)).unwrap();
        }
        assert_eq!(producer.epoch.0, epoch);
        producer
    }
}

pub(crate) fn init_request(
    id: &str,
    timeout_ms: i32,
    current: Option<Producer>,
    fresh: Option<ProducerId>,
) -> Request {
    Request::InitProducerId { transactional_id: id.into(), timeout_ms, current, fresh }
}
