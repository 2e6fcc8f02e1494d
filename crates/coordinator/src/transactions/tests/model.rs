//! A coordinator against random requests: what holds between any two of them, and after a replay.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::ids::{ProducerEpoch, ProducerId};
use protocol::{Str, Uuid};

use super::super::state::State;
use super::super::transaction::LAST_EPOCH;
use super::super::{Effect, Markers, Options, Outcome, Reply, Request, Topics, Transactions};
use crate::{Caller, Coordinator, Now, Producer, Record, Ticket};

const IDS: [&str; 3] = ["a", "b", "c"];
const TOPICS: [&str; 2] = ["orders", "bills"];

#[derive(Clone, Debug)]
enum Step {
    Init {
        id: usize,
        knows: bool,
        timeout_ms: i32,
    },
    Add {
        id: usize,
        topic: usize,
        partition: i32,
        epoch_back: i16,
        version: i16,
    },
    Verify {
        id: usize,
        topic: usize,
    },
    End {
        id: usize,
        commit: bool,
        epoch_back: i16,
        version: i16,
    },
    /// Some of the partitions of the oldest markers hear of the end.
    Mark {
        some: bool,
    },
    Pass {
        ms: u64,
    },
    /// Another coordinator takes over.
    FailOver,
    /// The feature goes up or down.
    Level {
        version: i16,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let version = prop_oneof![Just(0_i16), Just(2_i16)];
    let back = prop_oneof![8 => Just(0_i16), 2 => Just(1_i16), 1 => Just(-1_i16)];
    let timeout = prop_oneof![Just(60_000), Just(5_000), Just(0), Just(i32::MAX)];
    let step = prop_oneof![
        4 => (0..3_usize, any::<bool>(), timeout)
            .prop_map(|(id, knows, timeout_ms)| Step::Init { id, knows, timeout_ms }),
        8 => (0..3_usize, 0..2_usize, 0..3, back.clone(), version.clone()).prop_map(
            |(id, topic, partition, epoch_back, version)| Step::Add { id, topic, partition, epoch_back, version }
        ),
        1 => (0..3_usize, 0..2_usize).prop_map(|(id, topic)| Step::Verify { id, topic }),
        6 => (0..3_usize, any::<bool>(), back, version.clone())
            .prop_map(|(id, commit, epoch_back, version)| Step::End { id, commit, epoch_back, version }),
        6 => any::<bool>().prop_map(|some| Step::Mark { some }),
        3 => prop_oneof![Just(20_u64), Just(200), Just(20_000), Just(4_000_000)].prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::FailOver),
        1 => version.prop_map(|version| Step::Level { version }),
    ];
    proptest::collection::vec(step, 0..120)
}

struct Model {
    transactions: Transactions,
    now_ms: u64,
    asked: u64,
    next_producer_id: i64,
    records: Vec<Record>,
    waiting: BTreeMap<Ticket, Request>,
    /// To be sent, in order.
    markers: Vec<Markers>,
    /// How the transactions end or have ended.
    ends: BTreeMap<Str, (Producer, bool)>,
}

impl Model {
    fn new() -> Self {
        let mut this = Self {
            transactions: Transactions::new(Options::default()),
            now_ms: 0,
            asked: 0,
            next_producer_id: 0,
            records: Vec::new(),
            waiting: BTreeMap::new(),
            markers: Vec::new(),
            ends: BTreeMap::new(),
        };
        let now = this.now();
        let outcome = this.transactions.loaded(now);
        this.take(outcome);
        this
    }

    fn now(&self) -> Now {
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.now_ms).unwrap();
        Now { monotonic_ms: self.now_ms, wall_ms, fresh_id: Uuid::ZERO }
    }

    fn take(&mut self, outcome: Outcome) {
        self.records.extend(outcome.records);
        for (ticket, reply) in outcome.replies {
            let request = self.waiting.remove(&ticket).expect("a request is answered once");
            if let Reply::Producer(Ok(producer)) = &reply
                && self.transactions.options.transaction_version > 0
            {
                assert!(producer.epoch.0 <= LAST_EPOCH, "{producer:?} could not be fenced");
            }
            if reply == Reply::ProducerIdWanted {
                self.ask(with_fresh(request, ProducerId(self.next_producer_id)));
                self.next_producer_id += 1;
            }
        }
        for Effect::SendMarkers(markers) in outcome.effects {
            let end = (markers.producer, markers.commit);
            self.ends.insert(markers.transactional_id.clone(), end);
            self.markers.push(markers);
        }
    }

    fn ask(&mut self, request: Request) {
        self.asked += 1;
        let ticket = Ticket(self.asked);
        self.waiting.insert(ticket, request.clone());
        let caller = Caller { version: 5, client_id: "app".into(), client_host: "/127.0.0.1".into() };
        let now = self.now();
        let outcome = self.transactions.handle(ticket, &caller, request, now);
        self.take(outcome);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.transactions.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let now = self.now();
            let outcome = self.transactions.tick(now);
            self.take(outcome);
        }
        self.now_ms = end_ms;
    }

    fn producer(&self, id: &str, epoch_back: i16) -> Producer {
        let none = Producer { id: ProducerId(0), epoch: ProducerEpoch(0) };
        let known = self.transactions.logged.get(id).map_or(none, |known| known.producer());
        // Nobody has the epoch of the last fence.
        let epoch = known.epoch.0.saturating_sub(epoch_back).min(LAST_EPOCH);
        Producer { epoch: ProducerEpoch(epoch), ..known }
    }

    fn mark(&mut self, some: bool) {
        if self.markers.is_empty() {
            return;
        }
        let Markers { transactional_id, producer, mut topics, .. } = self.markers.remove(0);
        if some && topics.len() > 1 {
            let rest = topics.split_off(1);
            let request = Request::Marked { transactional_id: transactional_id.clone(), producer, topics };
            self.ask(request);
            topics = rest;
        }
        self.ask(Request::Marked { transactional_id, producer, topics });
    }

    fn go(&mut self, step: Step) {
        let one = |topic: usize, partition| -> Topics { vec![(TOPICS[topic].into(), vec![partition])] };
        match step {
            Step::Init { id, knows, timeout_ms } => {
                let current = knows.then(|| self.producer(IDS[id], 0));
                let transactional_id = IDS[id].into();
                self.ask(Request::InitProducerId { transactional_id, timeout_ms, current, fresh: None });
            }
            Step::Add { id, topic, partition, epoch_back, version } => self.ask(Request::AddPartitions {
                transactional_id: IDS[id].into(),
                producer: self.producer(IDS[id], epoch_back),
                topics: one(topic, partition),
                client_version: version,
            }),
            Step::Verify { id, topic } => self.ask(Request::VerifyPartitions {
                transactional_id: IDS[id].into(),
                producer: self.producer(IDS[id], 0),
                topics: one(topic, 0),
            }),
            Step::End { id, commit, epoch_back, version } => self.ask(Request::EndTxn {
                transactional_id: IDS[id].into(),
                producer: self.producer(IDS[id], epoch_back),
                commit,
                client_version: version,
                fresh: None,
            }),
            Step::Mark { some } => self.mark(some),
            Step::Pass { ms } => self.pass(ms),
            Step::FailOver => self.fail_over(),
            Step::Level { version } => {
                let options = Options { transaction_version: version, ..Options::default() };
                self.transactions.set_options(options);
            }
        }
        self.check();
    }

    /// What was not answered is refused by the driver, and the markers are sent anew.
    fn fail_over(&mut self) {
        self.transactions = self.replayed();
        self.waiting.clear();
        self.markers.clear();
        let ends = self.ends.clone();
        let now = self.now();
        let outcome = self.transactions.loaded(now);
        self.take(outcome);
        for markers in &self.markers {
            assert_eq!(ends.get(&markers.transactional_id), Some(&(markers.producer, markers.commit)));
        }
    }

    fn replayed(&self) -> Transactions {
        let mut again = Transactions::new(self.transactions.options.clone());
        for record in &self.records {
            again.replay(record, None).unwrap();
        }
        again
    }

    fn check(&self) {
        let (logged, soft) = (&self.transactions.logged, &self.transactions.soft);
        for (id, known) in logged.ids() {
            let live = soft.live.get(id);
            let unmarked = live.is_some_and(|live| !live.unmarked.is_empty());
            assert_eq!(unmarked, known.state.is_completing(), "{id} {known:?}");
            let deadline = live.and_then(|live| live.deadline_ms);
            assert_eq!(deadline.is_some(), known.state == State::Ongoing, "{id} {known:?}");
            assert!(deadline.is_none_or(|at_ms| soft.deadlines.contains(&(at_ms, id.clone()))));
            let waits = live.is_some_and(|live| !live.waiting.is_empty());
            assert!(known.state.is_completing() || !waits, "{id} {known:?}");
            assert!(known.next_producer_id.is_none() || known.state.is_completing());
            assert!(known.state != State::Empty || known.partitions.is_empty());
        }
        let ongoing = logged.ids().values().filter(|known| known.state == State::Ongoing).count();
        assert_eq!(soft.deadlines.len(), ongoing);
        assert!(soft.live.iter().all(|(id, live)| logged.get(id).is_some() && !live.is_nothing()));
    }
}

fn with_fresh(request: Request, id: ProducerId) -> Request {
    match request {
        Request::InitProducerId { transactional_id, timeout_ms, current, .. } => {
            Request::InitProducerId { transactional_id, timeout_ms, current, fresh: Some(id) }
        }
        Request::EndTxn { transactional_id, producer, commit, client_version, .. } => {
            Request::EndTxn { transactional_id, producer, commit, client_version, fresh: Some(id) }
        }
        other => panic!("{other:?} wants no id"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn replay_makes_the_same_state_and_everybody_is_answered(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.go(step);
            let again = model.replayed();
            prop_assert_eq!(again.logged.ids(), model.transactions.logged.ids());
        }

        // When all markers are written and nobody asks, everybody is answered and no transaction is left running.
        while !model.markers.is_empty() {
            model.mark(false);
        }
        model.pass(1_000_000);
        while !model.markers.is_empty() {
            model.mark(false);
        }
        prop_assert!(model.waiting.is_empty(), "{:?}", model.waiting);
        let idle = |known: &super::super::transaction::Transaction| known.state.is_idle();
        prop_assert!(model.transactions.logged.ids().values().all(idle));
        prop_assert_eq!(model.transactions.soft.deadlines.len(), 0);

        // In the end everything has expired.
        model.pass(8 * 24 * 3_600_000);
        prop_assert!(model.transactions.logged.ids().is_empty());
        prop_assert!(model.transactions.soft.live.is_empty());
        prop_assert!(model.replayed().logged.ids().is_empty());
    }

    /// However the epochs go, no two producers ever have the same id and epoch, and none has the epoch that fences it.
    #[test]
    fn an_identity_is_given_once(steps in steps()) {
        let mut model = Model::new();
        // Near the end of the epochs.
        for id in IDS {
            model.ask(Request::InitProducerId {
                transactional_id: id.into(), timeout_ms: 60_000, current: None, fresh: None,
            });
            let mut known = model.transactions.logged.get(id).unwrap().clone();
            known.epoch = LAST_EPOCH - 2;
            let change = super::super::record::Change { id: id.into(), transaction: Some(known) };
            model.records.push(change.encode(&mut protocol::wire::Writer::new(), 2));
        }
        model.transactions = model.replayed();
        let mut owners: BTreeMap<Producer, Str> = BTreeMap::new();
        for step in steps {
            model.go(step);
            for (id, known) in model.transactions.logged.ids() {
                let owner = owners.entry(known.producer()).or_insert_with(|| id.clone());
                prop_assert_eq!(&*owner, id);
                prop_assert!(!known.state.is_idle() || known.state != State::Empty || known.epoch <= LAST_EPOCH);
            }
        }
        let given: BTreeSet<&Producer> = owners.keys().collect();
        prop_assert!(given.iter().all(|producer| producer.id.0 < model.next_producer_id));
    }
}
