//! [`run`]: one simulated run, from its seed to its report.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use client::admin::NewTopic;
use client::{Admin, Error};
use host::sim::{NodeOptions, OpKind, Sim};
use host::{Host, Instant};
use protocol::ErrorCode;

use crate::alive::Alive;
use crate::chaos::Chaos;
use crate::dice::Dice;
use crate::event::Setback;
use crate::history::{Counts, History, Violation};
use crate::load::{self, Load};
use crate::scenario::{BROKER, Family, Scenario};
use crate::script::Script;
use crate::server::Server;
use crate::strike::Strike;

/// How often the supervisor looks.
const SLICE: Duration = Duration::from_millis(10);
/// What a broker and its clients need at most, with nobody in their way.
const PATIENCE: Duration = Duration::from_secs(300);

#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// `None`: the seed decides.
    pub family: Option<Family>,
    /// Virtual time with faults.
    pub time: Duration,
    /// A line for every decision of the simulation, too.
    pub verbose: bool,
    /// What happens at an operation on the broker's disk.
    pub strike: Option<Strike>,
}

impl Options {
    pub fn new(seed: u64) -> Self {
        Self { seed, family: None, time: Duration::from_secs(60), verbose: false, strike: None }
    }
}

/// A run that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub seed: u64,
    pub family: Family,
    /// Everything that was decided in the run, in one number.
    pub trace_hash: u64,
    pub steps: u64,
    pub virtual_time: Duration,
    pub counts: Counts,
    /// On the broker's disk, until the faults were over.
    pub operations: u64,
    /// Which of them the strike has hit first.
    pub struck: Option<(u64, OpKind)>,
    /// The log of the run, its latest lines.
    pub lines: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, trace_hash, steps, virtual_time, counts, .. } = self;
        let seconds = virtual_time.as_secs();
        write!(f, "seed {seed}: {trace_hash:016x}, {steps} steps, {seconds} virtual s; {counts}")
    }
}

/// A run that broke an invariant, or panicked.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub family: Family,
    pub violation: Violation,
    pub scenario: String,
    pub lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.violation)
    }
}

/// Carries out the run of a seed.
pub fn run(options: &Options) -> Result<Report, Box<Failure>> {
    let sim = Sim::with_options(host::sim::Options {
        horizon: options.time + Duration::from_secs(3600),
        ..host::sim::Options::new(options.seed)
    });
    sim.trace().set_verbose(options.verbose);
    let dice = Dice::of(&sim.node("chaos", NodeOptions::default()));
    let scenario = Arc::new(Scenario::draw(&dice, options.family));
    let history = History::new(&sim, &scenario);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut run = Run {
            sim: &sim,
            scenario: scenario.clone(),
            history: history.clone(),
            dice,
            strike: options.strike,
            struck_at: Cell::new(None),
            operations: 0,
            struck: None,
        };
        sim.block_on(run.carry_out(options.time));
        (run.operations, run.struck)
    }));
    let (operations, struck) = ended.unwrap_or_else(|panic| {
        history.violate("nothing panics and nothing hangs", panic_text(&*panic));
        (0, None)
    });
    let lines = sim.trace().lines();
    match history.violation() {
        Some(violation) => {
            let (seed, family, scenario) = (options.seed, scenario.family, scenario.to_string());
            Err(Box::new(Failure { seed, family, violation, scenario, lines }))
        }
        None => Ok(Report {
            seed: options.seed,
            family: scenario.family,
            trace_hash: sim.trace().hash(),
            steps: sim.trace().steps(),
            virtual_time: sim.now().since(Instant::ZERO),
            counts: history.counts(),
            operations,
            struck,
            lines,
        }),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

struct Run<'a> {
    sim: &'a Sim,
    scenario: Arc<Scenario>,
    history: History,
    dice: Dice,
    strike: Option<Strike>,
    /// When it has hit.
    struck_at: Cell<Option<Instant>>,
    operations: u64,
    struck: Option<(u64, OpKind)>,
}

impl Run<'_> {
    async fn carry_out(&mut self, time: Duration) {
        let mut server = Server::new(self.sim, &self.scenario, &self.history, &self.dice, self.strike);
        let auditor = self.sim.node("auditor", NodeOptions::default());
        if !self.comes_up(&mut server).await || !self.make_topics(&mut server, &auditor).await {
            return;
        }
        let load = Arc::new(Load::start(self.sim, &self.scenario, &self.history));
        let mut chaos = Chaos::new(self.sim, &self.scenario, &self.history, &self.dice, &load);
        let mut alive = Alive::new(self.sim.now());
        let mut script = Script::new(&self.scenario, self.sim.now());
        let end = self.sim.now().after(time);
        while (self.sim.now() < end || !script.is_over())
            && self.history.violation().is_none()
            && !server.refuses()
        {
            chaos.turn(&mut server);
            script.turn(self.sim, &mut server);
            self.slice(&mut server).await;
            if !server.is_serving() || server.saw_trouble() {
                chaos.trouble = self.sim.now();
            }
            alive.look(self.sim.now(), chaos.trouble, &self.history);
        }
        self.operations = self.sim.disk(BROKER).operations();
        self.struck = self.sim.disk(BROKER).clear_strike();
        chaos.calm(&mut server);
        self.history.note("the faults are over");
        load.stop();
        if !self.comes_up(&mut server).await {
            return;
        }
        if !self.wait_until(&mut server, |_| load.is_done()).await {
            self.history.violate("clients come to an end", format!("not after {PATIENCE:?}"));
            return;
        }
        for number in 0..3 {
            if !self.comes_up(&mut server).await || !self.probe(&mut server, &auditor, number).await {
                return;
            }
            if !self.audit(&mut server, &auditor, number).await {
                return;
            }
            // What was read now must be there after one more end of every kind.
            match number {
                0 => server.end(if self.dice.chance(50) { Setback::Process } else { Setback::Unsynced }),
                1 => server.stop_cleanly(),
                _ => {}
            }
        }
    }

    async fn slice(&self, server: &mut Server) {
        self.sim.sleep(SLICE).await;
        if let Some(strike) = self.strike {
            strike.turn(self.sim, server, &self.struck_at);
        }
        server.supervise();
    }

    /// Whether `condition` comes to hold; the broker is looked after meanwhile.
    async fn wait_until(&self, server: &mut Server, condition: impl Fn(&Server) -> bool) -> bool {
        let end = self.sim.now().after(PATIENCE);
        while !condition(server) {
            if self.sim.now() >= end || self.history.violation().is_some() {
                return false;
            }
            self.slice(server).await;
        }
        true
    }

    async fn comes_up(&self, server: &mut Server) -> bool {
        let up = self.wait_until(server, |server| server.is_serving() || server.refuses()).await;
        if server.refuses() {
            // Damage that is told is no loss that is hidden. There is nothing to look at.
            self.history.note("the broker refuses to start");
            return false;
        }
        if !up {
            self.history.violate("the broker comes up", format!("not after {PATIENCE:?}"));
        }
        up
    }

    /// Waits for a task of the auditor.
    async fn on_auditor<T: Send + 'static>(
        &self,
        server: &mut Server,
        auditor: &Host,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (send, mut receive) = tokio::sync::oneshot::channel();
        auditor.spawn(host::Place::Control, "audit", async move {
            // The run may be over.
            let _ = send.send(work.await);
        });
        let end = self.sim.now().after(PATIENCE);
        while self.sim.now() < end && self.history.violation().is_none() {
            if let Ok(value) = receive.try_recv() {
                return Some(value);
            }
            self.slice(server).await;
        }
        self.history.violate("the auditor gets answers", format!("none after {PATIENCE:?}"));
        None
    }

    async fn make_topics(&self, server: &mut Server, auditor: &Host) -> bool {
        let topics: Vec<NewTopic> = self
            .scenario
            .topics
            .iter()
            .map(|plan| NewTopic {
                name: plan.name.clone(),
                partitions: Some(plan.partitions),
                configs: plan.configs.clone(),
                ..NewTopic::default()
            })
            .collect();
        let cluster = load::cluster(auditor);
        let end = self.sim.now().after(PATIENCE);
        loop {
            let (admin, wanted) = (Admin::new(&cluster), topics.clone());
            let work = async move { admin.create_topics(&wanted, false).await };
            let Some(made) = self.on_auditor(server, auditor, work).await else { return false };
            let is_made = |error: &Error| error.code() == Some(ErrorCode::TopicAlreadyExists);
            let refused = match made {
                Ok(made) => {
                    made.into_iter().find_map(|(_, result)| result.err().filter(|error| !is_made(error)))
                }
                Err(error) => Some(error),
            };
            let Some(error) = refused else { return true };
            // What happens at an operation may happen here.
            if self.strike.is_none() || self.sim.now() >= end {
                self.history.violate("topics can be made", error.to_string());
                return false;
            }
            if !self.comes_up(server).await {
                return false;
            }
        }
    }

    /// Every partition can be written to.
    async fn probe(&self, server: &mut Server, auditor: &Host, number: usize) -> bool {
        let (host, scenario, history) = (auditor.clone(), self.scenario.clone(), self.history.clone());
        let work = async move { load::probe(&host, &scenario, &history, number as u64).await };
        if let Some(Err(error)) = self.on_auditor(server, auditor, work).await {
            self.history.violate("everything can be written to", error.to_string());
        }
        self.history.violation().is_none()
    }

    async fn audit(&self, server: &mut Server, auditor: &Host, number: usize) -> bool {
        let (host, scenario, history) = (auditor.clone(), self.scenario.clone(), self.history.clone());
        let work = async move { load::audit(&host, &scenario, &history, number).await };
        match self.on_auditor(server, auditor, work).await {
            Some(Ok(logs)) => self.history.record_logs(&logs),
            Some(Err(error)) => self.history.violate("everything can be read", error.to_string()),
            None => {}
        }
        self.history.violation().is_none()
    }
}
