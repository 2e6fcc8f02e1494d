//! [`Server`]: the broker's process on its simulated node, and its supervisor: whoever starts it again.
//!
//! Invariants:
//! * A process that gives up is ended, as `bourn start` would end, and started again on the disk that is left.
//! * It gives up, or refuses to start, only when something was done to its disk since it was started last.

use std::sync::Arc;
use std::time::Duration;

use broker::Node;
use host::sim::{Control, NodeOptions};
use host::{Host, Instant, Place};
use tokio::sync::watch;

use crate::dice::Dice;
use crate::event::{Event, Setback};
use crate::history::History;
use crate::scenario::{BROKER, Family, Rot, Scenario};
use crate::strike::{Blow, Strike};

/// Virtual time in which a start must be through, whatever the disk's speed.
const START_MAX: Duration = Duration::from_secs(120);
/// The same for a clean stop, which waits ten seconds for clients.
const STOP_MAX: Duration = Duration::from_secs(180);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    /// It has returned an error, or says that it cannot go on.
    GaveUp(String),
    Stopped,
}

/// The process as its supervisor knows it.
struct Process {
    state: watch::Receiver<State>,
    stop: watch::Sender<bool>,
    started: Instant,
    stopping: Option<Instant>,
    served: bool,
}

pub(crate) struct Server {
    control: Control,
    scenario: Arc<Scenario>,
    history: History,
    dice: Dice,
    process: Option<Process>,
    /// When to start it again.
    restart: Option<Instant>,
    /// Something was done to the disk that excuses a failure; it has been put right since.
    disk_trouble: bool,
    disk_mended: bool,
    /// When the disk dies at an operation, what was written is there.
    keeps_all: bool,
    /// Files have changed at rest, and may be all there is of what was in them.
    rotten: bool,
    /// The loss was announced already by whoever caused it.
    told: bool,
    /// Starts one after the other that were refused.
    refusals: u32,
}

impl Server {
    /// With what the disk will do at one of its operations.
    pub(crate) fn new(
        control: &Control,
        scenario: &Arc<Scenario>,
        history: &History,
        dice: &Dice,
        strike: Option<Strike>,
    ) -> Self {
        let options =
            NodeOptions { shards: scenario.shards, faults: scenario.disk.clone(), ..NodeOptions::default() };
        let host = control.node(BROKER, options);
        if let Some(strike) = strike {
            strike.arm(&control.disk(BROKER));
        }
        let mut this = Self {
            control: control.clone(),
            scenario: Arc::clone(scenario),
            history: history.clone(),
            dice: dice.clone(),
            process: None,
            restart: None,
            disk_trouble: strike.is_some_and(Strike::is_error),
            disk_mended: false,
            keeps_all: strike.is_some_and(|strike| strike.blow == Blow::Kill),
            rotten: false,
            told: false,
            refusals: 0,
        };
        this.launch(host);
        this
    }

    fn launch(&mut self, host: Host) {
        let (report, state) = watch::channel(State::Starting);
        let (stop, stopped) = watch::channel(false);
        let scenario = Arc::clone(&self.scenario);
        let on = host.clone();
        host.spawn(Place::Control, "process", async move { serve(on, &scenario, stopped, &report).await });
        let started = self.control.now();
        self.process = Some(Process { state, stop, started, stopping: None, served: false });
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.control.is_up(BROKER)
            && self.process.as_ref().is_some_and(|process| {
                process.stopping.is_none() && *process.state.borrow() == State::Serving
            })
    }

    /// Whether a process runs, starting and stopping ones included.
    pub(crate) fn is_up(&self) -> bool {
        self.control.is_up(BROKER)
    }

    /// The disk fails from here on.
    pub(crate) fn disk_fails(&mut self) {
        (self.disk_trouble, self.disk_mended) = (true, false);
    }

    /// Files have changed at rest.
    pub(crate) fn rots(&mut self) {
        self.rotten = true;
    }

    /// The disk works from here on; a process that saw it fail may still give up.
    pub(crate) fn disk_works(&mut self) {
        self.disk_mended = true;
    }

    /// Whether something was done to the disk that this process may have seen.
    pub(crate) fn saw_trouble(&self) -> bool {
        self.disk_trouble
    }

    /// Whether it does not start on what has become of its files.
    pub(crate) fn refuses(&self) -> bool {
        const REFUSALS: u32 = 3;
        self.refusals >= REFUSALS && self.scenario.rot.is_some_and(Rot::may_stop_a_start)
    }

    /// Ends the process.
    pub(crate) fn end(&mut self, setback: Setback) {
        if !self.control.is_up(BROKER) {
            return;
        }
        match setback {
            Setback::Process => self.control.kill(BROKER),
            Setback::Unsynced => self.control.crash(BROKER),
        }
        self.history.record(&Event::Down { setback });
        self.told = true;
    }

    pub(crate) fn stop_cleanly(&mut self) {
        let now = self.control.now();
        if let Some(process) = self.process.as_mut().filter(|process| process.stopping.is_none()) {
            process.stopping = Some(now);
            process.stop.send_replace(true);
            self.history.note("a clean stop begins");
        }
    }

    /// Looks after the process; to be called every few milliseconds.
    pub(crate) fn supervise(&mut self) {
        if !self.control.is_up(BROKER) {
            self.start_again();
            return;
        }
        let now = self.control.now();
        let Some(process) = &mut self.process else { return };
        let state = process.state.borrow_and_update().clone();
        match state {
            State::Serving if !process.served => {
                process.served = true;
                self.refusals = 0;
                self.history.record(&Event::Up);
            }
            State::Starting if now.since(process.started) > START_MAX => {
                self.history.violate("a start comes to an end", format!("not after {START_MAX:?}"));
            }
            State::Serving if process.stopping.is_some_and(|since| now.since(since) > STOP_MAX) => {
                self.history.violate("a clean stop comes to an end", format!("not after {STOP_MAX:?}"));
            }
            State::GaveUp(reason) => self.gave_up(&reason),
            State::Stopped => self.end(Setback::Process),
            State::Starting | State::Serving => {}
        }
    }

    fn gave_up(&mut self, reason: &str) {
        self.history.note(&format!("the broker gives up: {reason}"));
        if self.process.as_ref().is_some_and(|process| !process.served) {
            self.refusals += 1;
            if self.refuses() && !reason.contains("/data") {
                self.history.violate("a start that is refused names the file", reason);
            }
        }
        if !self.disk_trouble && !self.rotten {
            self.history.violate("a broker on a good disk goes on", reason);
        }
        // After a failed sync the operating system knows no more of the unsynced data than we do.
        self.control.kill(BROKER);
        self.history.record(&Event::Down { setback: Setback::Unsynced });
        self.told = true;
    }

    fn start_again(&mut self) {
        if !std::mem::take(&mut self.told) && self.process.is_some() {
            // Its disk has died at an operation: the power failed, or it was killed then.
            let setback = if self.keeps_all { Setback::Process } else { Setback::Unsynced };
            self.history.record(&Event::Down { setback });
        }
        self.process = None;
        let now = self.control.now();
        let longest = if self.scenario.family == Family::Steps { 40 } else { 5000 };
        let pause = || now.after(self.dice.skewed_millis(1, longest));
        let at = *self.restart.get_or_insert_with(pause);
        if now >= at {
            self.restart = None;
            self.disk_trouble &= !self.disk_mended;
            let host = self.control.restart(BROKER);
            self.launch(host);
        }
    }
}

/// What `bourn start` does.
async fn serve(
    host: Host,
    scenario: &Scenario,
    mut stop: watch::Receiver<bool>,
    report: &watch::Sender<State>,
) {
    let (statics, config) = scenario.broker_config();
    let node = match Node::start(host, statics, config).await {
        Ok(node) => node,
        Err(error) => {
            report.send_replace(State::GaveUp(error.to_string()));
            return;
        }
    };
    report.send_replace(State::Serving);
    let failed = {
        let mut failed = std::pin::pin!(node.failed());
        let mut stopped = std::pin::pin!(stop.wait_for(|stop| *stop));
        std::future::poll_fn(|cx| match failed.as_mut().poll(cx) {
            std::task::Poll::Ready(reason) => std::task::Poll::Ready(Some(reason)),
            std::task::Poll::Pending => stopped.as_mut().poll(cx).map(|_| None),
        })
        .await
    };
    match failed {
        Some(reason) => {
            report.send_replace(State::GaveUp(reason));
        }
        None => {
            node.stop().await;
            report.send_replace(State::Stopped);
        }
    }
}
