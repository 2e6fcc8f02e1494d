//! The state of a simulation, and its next step.
//!
//! Invariants:
//! * Time moves only when no task wants a turn, to the next event.
//! * Events of one instant happen in the order in which they were scheduled.
//! * No future, completion or waker runs while the world is locked.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::net::NetState;
use super::node::{NodeState, Owner};
use super::ready::{Item, Ready, TaskId, Turn};
use super::rng::SeededRng;
use super::trace::Trace;
use super::{Options, crash};

/// Turns without time moving after which the simulation is taken to hang.
const TURNS_MAX: u64 = 5_000_000;

/// Something to do at an instant.
pub(super) type Act = Box<dyn FnOnce(&Arc<Shared>) + Send>;

/// Where an event stands in the order of all events.
pub(super) type Key = (u64, u64);

/// A timer's waker, replaced while it waits.
#[derive(Default)]
pub(super) struct Alarm {
    pub(super) waker: Mutex<Option<Waker>>,
}

pub(super) enum What {
    Wake(Arc<Alarm>),
    Act(Act),
}

pub(super) struct Event {
    /// The process that must be alive and running for this to happen; none for wires and disks.
    owner: Option<Owner>,
    what: What,
}

pub(super) struct Shared {
    world: Mutex<World>,
    pub(super) ready: Arc<Ready>,
    pub(super) trace: Trace,
    /// Nodes whose disk has died; they crash before the next step.
    pub(super) dying: Arc<Mutex<Vec<usize>>>,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) options: Options,
    pub(super) nodes: Vec<NodeState>,
    pub(super) net: NetState,
    pub(super) next_task: TaskId,
    events: BTreeMap<Key, Event>,
    next_event: u64,
    rng: SeededRng,
    last_task: TaskId,
    turns: u64,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    /// It is the turn of the driving future.
    Driver,
    /// Nothing will ever happen again, or not before the limit.
    Idle,
}

enum Next {
    Turn(TaskId, Item),
    Fire(Event),
    Idle,
}

impl World {
    pub(super) fn schedule(&mut self, at: u64, owner: Option<Owner>, what: What) -> Key {
        let key = (at.max(self.now), self.next_event);
        self.next_event += 1;
        self.events.insert(key, Event { owner, what });
        key
    }

    pub(super) fn cancel(&mut self, key: Key) -> Option<Event> {
        self.events.remove(&key)
    }

    pub(super) fn is_current(&self, owner: Owner) -> bool {
        self.nodes.get(owner.node).is_some_and(|node| node.is_up() && node.incarnation == owner.incarnation)
    }

    /// Puts events back that waited for a paused node.
    pub(super) fn replay(&mut self, events: Vec<Event>) {
        for event in events {
            self.schedule(self.now, event.owner, event.what);
        }
    }

    fn next(&mut self, ready: &Ready, limit: u64, trace: &Trace) -> Next {
        let due = self.events.first_key_value().map(|((at, _), _)| *at);
        let may_turn = due.is_none_or(|at| at > self.now);
        if may_turn {
            let rng = if self.options.in_turns { None } else { Some(&mut self.rng) };
            if let Some((id, item)) = ready.pick(rng, self.last_task) {
                self.last_task = id;
                self.turns += 1;
                return Next::Turn(id, item);
            }
        }
        match due {
            Some(at) if at <= limit => {
                if at > self.now {
                    self.now = at;
                    self.turns = 0;
                    trace.set_now(at);
                }
                self.events.pop_first().map_or(Next::Idle, |(_, event)| Next::Fire(event))
            }
            _ => Next::Idle,
        }
    }

    /// Takes everything out that may run code when it is dropped.
    pub(super) fn take_events(&mut self) -> BTreeMap<Key, Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether `task` may have its turn now; a paused node's task is kept for later.
    fn admit(&mut self, item: &Item) -> bool {
        let Item::Task(task) = item else { return true };
        match self.nodes.get_mut(task.node) {
            Some(node) if node.paused => {
                node.parked.insert(task.id, Arc::clone(task));
                false
            }
            _ => true,
        }
    }

    /// The event, if its process can take it now.
    fn admit_event(&mut self, event: Event) -> Result<What, Option<Event>> {
        let Some(owner) = event.owner else { return Ok(event.what) };
        if !self.is_current(owner) {
            return Err(Some(event));
        }
        match self.nodes.get_mut(owner.node) {
            Some(node) if node.paused => {
                node.deferred.push(event);
                Err(None)
            }
            _ => Ok(event.what),
        }
    }
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        let world = World {
            now: 0,
            nodes: Vec::new(),
            net: NetState::new(&options),
            next_task: super::ready::DRIVER + 1,
            events: BTreeMap::new(),
            next_event: 0,
            rng: SeededRng::derive(options.seed, "schedule", 0),
            last_task: 0,
            turns: 0,
            options,
        };
        Self {
            world: Mutex::new(world),
            ready: Arc::default(),
            trace: Trace::default(),
            dying: Arc::default(),
        }
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the next thing that happens no later than `limit`.
    pub(super) fn step(self: &Arc<Self>, limit: u64) -> Step {
        self.bury();
        let mut world = self.world();
        let next = world.next(&self.ready, limit, &self.trace);
        assert!(
            world.turns < TURNS_MAX,
            "the simulation hangs: {TURNS_MAX} turns at {} ns, the last one of {}",
            world.now,
            match &next {
                Next::Turn(_, Item::Task(task)) => task.name,
                _ => "the driver",
            },
        );
        match next {
            Next::Idle => Step::Idle,
            Next::Turn(id, item) => {
                let admitted = world.admit(&item);
                drop(world);
                self.trace.step(&[id], || format!("turn of {}", Self::describe(&item)));
                match item {
                    _ if !admitted => Step::Done,
                    Item::Driver => Step::Driver,
                    Item::Task(task) => {
                        self.turn(&task);
                        Step::Done
                    }
                }
            }
            Next::Fire(event) => {
                let admitted = world.admit_event(event);
                drop(world);
                match admitted {
                    Ok(What::Wake(alarm)) => {
                        let waker = alarm.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
                        waker.into_iter().for_each(Waker::wake);
                    }
                    Ok(What::Act(act)) => act(self),
                    Err(void) => drop(void),
                }
                Step::Done
            }
        }
    }

    fn describe(item: &Item) -> String {
        match item {
            Item::Driver => "the driver".to_owned(),
            Item::Task(task) => format!("{task:?} of node {}", task.node),
        }
    }

    fn turn(&self, task: &Arc<super::ready::TaskCell>) {
        let turn = task.turn();
        if matches!(turn, Turn::Pending) {
            return;
        }
        let ended = self.world().nodes.get_mut(task.node).and_then(|node| node.tasks.remove(&task.id));
        drop(ended);
        if let Turn::Panicked(panic) = turn {
            let (node, end_run) = {
                let world = self.world();
                let node = world.nodes.get(task.node).map_or(String::new(), |node| node.name.clone());
                (node, !world.options.survive_panics)
            };
            let text = format!("{node}: task {} panicked: {panic}", task.name);
            self.trace.event(&text);
            assert!(!end_run, "{text}\nthe last events:\n{}", self.trace.tail(20));
            tracing::error!(task = task.name, panic, "a task panicked");
        }
    }

    /// Crashes the nodes whose disks have died.
    pub(super) fn bury(self: &Arc<Self>) {
        let dying = std::mem::take(&mut *self.dying.lock().unwrap_or_else(PoisonError::into_inner));
        for node in dying {
            crash::crash(self, node, crash::Crash::PowerLoss);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("trace", &self.trace).finish_non_exhaustive()
    }
}
