//! Offsets of transactions and others in any order: what was decided while appends were under way is what a coordinator
//! finds that loads the log.

use std::collections::VecDeque;

use proptest::prelude::*;
use protocol::Uuid;
use protocol::ids::{ProducerEpoch, ProducerId};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::*;
use crate::{Coordinator, Producer};

const GROUPS: [&str; 2] = ["g0", "g1"];
const TOPICS: [&str; 2] = ["t0", "t1"];

#[derive(Clone, Debug)]
enum Step {
    Commit {
        group: usize,
        topic: usize,
        partition: i32,
    },
    CommitPending {
        producer: i64,
        group: usize,
        topic: usize,
        partition: i32,
        is_refused: bool,
    },
    End {
        producer: i64,
        commit: bool,
        is_refused: bool,
    },
    DeleteOffsets {
        group: usize,
        topic: usize,
    },
    DeleteGroup {
        group: usize,
    },
    ForgetTopic {
        topic: usize,
    },
    /// Time passes, and what expires expires.
    Pass {
        ms: u64,
    },
    /// The oldest appends are done.
    Settle {
        appends: usize,
    },
    Load,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (g, t, p) = (0..2_usize, 0..2_usize, 0..2_i32);
    let refused = prop_oneof![9 => Just(false), 1 => Just(true)];
    let step = prop_oneof![
        6 => (g.clone(), t.clone(), p.clone()).prop_map(|(group, topic, partition)| {
            Step::Commit { group, topic, partition }
        }),
        8 => (0..3_i64, g.clone(), t.clone(), p, refused.clone()).prop_map(
            |(producer, group, topic, partition, is_refused)| Step::CommitPending {
                producer, group, topic, partition, is_refused
            }
        ),
        6 => (0..3_i64, any::<bool>(), refused)
            .prop_map(|(producer, commit, is_refused)| Step::End { producer, commit, is_refused }),
        1 => (g.clone(), t.clone()).prop_map(|(group, topic)| Step::DeleteOffsets { group, topic }),
        1 => g.prop_map(|group| Step::DeleteGroup { group }),
        1 => t.prop_map(|topic| Step::ForgetTopic { topic }),
        2 => prop_oneof![Just(1_u64), Just(700_000)].prop_map(|ms| Step::Pass { ms }),
        6 => (1..4_usize).prop_map(|appends| Step::Settle { appends }),
        1 => Just(Step::Load),
    ];
    proptest::collection::vec(step, 1..80)
}

/// What the log holds.
#[derive(Clone, Debug)]
enum Entry {
    Record(Record, Option<Producer>),
    End(ProducerId, bool),
}

/// An append that is under way.
#[derive(Debug)]
enum Append {
    Records,
    RefusedRecords(Producer, Vec<Record>),
    Marker { producer: ProducerId, commit: bool, order: u64 },
    RefusedMarker,
}

#[derive(Debug)]
struct Model {
    groups: Groups,
    now_ms: u64,
    asked: u64,
    log: Vec<Entry>,
    under_way: VecDeque<Append>,
    answered: u64,
}

impl Model {
    fn new() -> Self {
        let options = Options { offsets_retention_ms: 600_000, ..Options::default() };
        let mut this = Self {
            groups: Groups::new(options),
            now_ms: 0,
            asked: 0,
            log: Vec::new(),
            under_way: VecDeque::new(),
            answered: 0,
        };
        let now = this.now();
        let outcome = this.groups.loaded(now);
        this.take(outcome, false);
        this
    }

    fn now(&self) -> Now {
        let wall_ms = 1_700_000_000_000 + i64::try_from(self.now_ms).unwrap();
        Now { monotonic_ms: self.now_ms, wall_ms, fresh_id: Uuid::ZERO }
    }

    fn take(&mut self, outcome: Outcome, is_refused: bool) {
        let Outcome { records, producer, replies, .. } = outcome;
        self.answered += u64::try_from(replies.len()).unwrap();
        if records.is_empty() {
            return;
        }
        match producer.filter(|_| is_refused) {
            Some(producer) => self.under_way.push_back(Append::RefusedRecords(producer, records)),
            None => {
                self.log.extend(records.into_iter().map(|record| Entry::Record(record, producer)));
                self.under_way.push_back(Append::Records);
            }
        }
    }

    fn ask(&mut self, request: Request, is_refused: bool) {
        self.asked += 1;
        let caller = Caller { version: 5, client_id: "c".into(), client_host: "/h".into() };
        let outcome = self.groups.handle(Ticket(self.asked), &caller, request, self.now());
        self.take(outcome, is_refused);
    }

    fn pass(&mut self, ms: u64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.groups.next_tick_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let outcome = self.groups.tick(self.now());
            self.take(outcome, false);
        }
        self.now_ms = end_ms;
    }

    fn settle(&mut self, appends: usize) {
        for _ in 0..appends {
            match self.under_way.pop_front() {
                None => return,
                Some(Append::Records | Append::RefusedMarker) => {}
                Some(Append::RefusedRecords(producer, records)) => self.groups.refused(producer, &records),
                Some(Append::Marker { producer, commit, order }) => {
                    self.groups.ended(producer, commit, order);
                }
            }
        }
    }

    fn go(&mut self, step: Step) {
        let offset = i64::try_from(self.asked).unwrap();
        match step {
            Step::Commit { group, topic, partition } => {
                let partition = OffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                };
                let topic = OffsetCommitRequestTopic {
                    name: TOPICS[topic].into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let request = OffsetCommitRequest {
                    group_id: GROUPS[group].into(),
                    topics: vec![topic],
                    ..Default::default()
                };
                self.ask(Request::OffsetCommit(request), false);
            }
            Step::CommitPending { producer, group, topic, partition, is_refused } => {
                let partition = TxnOffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                };
                let topic = TxnOffsetCommitRequestTopic {
                    name: TOPICS[topic].into(),
                    partitions: vec![partition],
                    ..Default::default()
                };
                let request = TxnOffsetCommitRequest {
                    group_id: GROUPS[group].into(),
                    producer_id: producer,
                    producer_epoch: 0,
                    topics: vec![topic],
                    ..Default::default()
                };
                self.ask(Request::TxnOffsetCommit(request), is_refused);
            }
            Step::End { producer, commit, is_refused } => self.end(ProducerId(producer), commit, is_refused),
            Step::DeleteOffsets { group, topic } => {
                let partitions =
                    (0..2).map(|partition_index| OffsetDeleteRequestPartition { partition_index });
                let topic =
                    OffsetDeleteRequestTopic { name: TOPICS[topic].into(), partitions: partitions.collect() };
                let request = OffsetDeleteRequest { group_id: GROUPS[group].into(), topics: vec![topic] };
                self.ask(Request::OffsetDelete(request), false);
            }
            Step::DeleteGroup { group } => {
                self.ask(Request::DeleteGroup { group_id: GROUPS[group].into() }, false);
            }
            Step::ForgetTopic { topic } => {
                self.ask(Request::ForgetTopics { topics: vec![TOPICS[topic].into()] }, false);
            }
            Step::Pass { ms } => self.pass(ms),
            Step::Settle { appends } => self.settle(appends),
            Step::Load => {
                self.under_way.clear();
                self.groups = self.loaded();
                let outcome = self.groups.loaded(self.now());
                self.take(outcome, false);
            }
        }
    }

    fn end(&mut self, producer: ProducerId, commit: bool, is_refused: bool) {
        if is_refused {
            self.under_way.push_back(Append::RefusedMarker);
            return;
        }
        let order = self.groups.order();
        self.log.push(Entry::End(producer, commit));
        self.under_way.push_back(Append::Marker { producer, commit, order });
    }

    fn loaded(&self) -> Groups {
        let mut again = Groups::new(self.groups.options.clone());
        for entry in &self.log {
            match entry {
                Entry::Record(record, producer) => {
                    Coordinator::replay(&mut again, record, *producer).unwrap();
                }
                Entry::End(producer, commit) => again.replay_end(*producer, *commit),
            }
        }
        again
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn what_counts_is_what_the_log_says(steps in steps()) {
        let mut model = Model::new();
        for step in steps {
            model.go(step);
        }
        model.settle(usize::MAX);
        let again = model.loaded();
        prop_assert_eq!(again.logged.groups(), model.groups.logged.groups());

        // When every transaction has ended and everything has expired, nothing is left.
        for producer in 0..3 {
            model.end(ProducerId(producer), producer == 1, false);
        }
        model.settle(usize::MAX);
        let again = model.loaded();
        prop_assert_eq!(again.logged.groups(), model.groups.logged.groups());
        prop_assert!(model.groups.logged.groups().values().all(|group| group.pending.is_none()));
        model.pass(3_600_000);
        prop_assert!(model.groups.logged.groups().is_empty());
        prop_assert!(model.loaded().logged.groups().is_empty());
    }
}

#[test]
fn producers_that_have_ended_leave_nothing() {
    let mut model = Model::new();
    for producer in 0..100 {
        model.go(Step::CommitPending { producer, group: 0, topic: 0, partition: 0, is_refused: false });
        model.go(Step::End { producer, commit: producer % 2 == 0, is_refused: false });
    }
    model.settle(usize::MAX);
    assert_eq!(model.groups.logged.open_len(), 0);
    let epoch = ProducerEpoch(0);
    model.go(Step::CommitPending { producer: 1, group: 0, topic: 0, partition: 0, is_refused: true });
    assert_eq!(model.groups.logged.open_len(), 1);
    let Some(Append::RefusedRecords(producer, _)) = model.under_way.front() else { panic!() };
    assert_eq!(*producer, Producer { id: ProducerId(1), epoch });
    model.settle(usize::MAX);
    assert_eq!(model.groups.logged.open_len(), 0);
}
