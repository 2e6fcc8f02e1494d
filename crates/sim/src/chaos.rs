//! [`Chaos`]: does to the broker, its disk and the network what the scenario allows, at times drawn from the seed.
//!
//! Invariants: everything that it breaks it mends again, at the latest in [`Chaos::calm`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use host::sim::{Control, OpKind, Rule};
use protocol::records::BATCH_OVERHEAD;

use crate::dice::Dice;
use crate::event::{Event, Setback};
use crate::history::History;
use crate::load::{ADMIN, Load, OPERATOR};
use crate::scenario::{BROKER, Fault, Rot, Scenario};
use crate::server::Server;

/// Something that ends again.
#[derive(Clone, Debug)]
enum Repair {
    Disk,
    Link(String),
    Latency(String),
    Resume,
    Client(String),
}

pub(crate) struct Chaos {
    control: Control,
    history: History,
    dice: Dice,
    load: Arc<Load>,
    scenario: Arc<Scenario>,
    faults: Vec<Fault>,
    calm: Duration,
    next: Instant,
    repairs: Vec<(Instant, Repair)>,
    /// When something was wrong last.
    pub(crate) trouble: Instant,
}

impl Chaos {
    pub(crate) fn new(
        control: &Control,
        scenario: &Arc<Scenario>,
        history: &History,
        dice: &Dice,
        load: &Arc<Load>,
    ) -> Self {
        Self {
            control: control.clone(),
            history: history.clone(),
            dice: dice.clone(),
            load: Arc::clone(load),
            scenario: Arc::clone(scenario),
            faults: scenario.faults.clone(),
            calm: scenario.calm,
            next: control.now(),
            repairs: Vec::new(),
            trouble: control.now(),
        }
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, server: &mut Server) {
        let now = self.control.now();
        let due = |(at, _): &(Instant, Repair)| *at <= now;
        while let Some(index) = self.repairs.iter().position(due) {
            let (_, repair) = self.repairs.remove(index);
            self.mend(&repair, server);
        }
        if !self.repairs.is_empty() {
            self.trouble = now;
        }
        if now < self.next || self.faults.is_empty() {
            return;
        }
        self.trouble = now;
        let calm = u64::try_from(self.calm.as_millis()).unwrap_or(u64::MAX);
        self.next = now.after(self.dice.millis(calm / 10, calm * 2));
        let fault = self.dice.pick(&self.faults);
        // A broker that is down takes no part, but its network may.
        if server.is_up() || matches!(fault, Fault::Partition | Fault::Latency | Fault::ClientCrash) {
            self.history.note(&format!("fault: {fault:?}"));
            self.inflict(fault, server);
        }
    }

    /// Mends everything; nothing happens any more.
    pub(crate) fn calm(&mut self, server: &mut Server) {
        let repairs = std::mem::take(&mut self.repairs);
        repairs.iter().for_each(|(_, repair)| self.mend(repair, server));
        self.mend(&Repair::Disk, server);
        self.control.disk(BROKER).die_after(u64::MAX);
        self.control.set_wall_skew(BROKER, 0);
        if server.saw_trouble() {
            // What is offline comes back with a start only.
            server.end(Setback::Unsynced);
        }
        self.trouble = self.control.now();
    }

    fn later(&mut self, low_ms: u64, high_ms: u64, repair: Repair) {
        let at = self.control.now().after(self.dice.skewed_millis(low_ms, high_ms));
        self.repairs.push((at, repair));
    }

    fn client(&self) -> String {
        let names = self.load.names();
        names.get(self.dice.index(names.len())).cloned().unwrap_or_default()
    }

    fn inflict(&mut self, fault: Fault, server: &mut Server) {
        match fault {
            Fault::Kill => server.end(Setback::Process),
            Fault::PowerLoss => server.end(Setback::Unsynced),
            Fault::DieAtOperation => {
                let operations = 1 << self.dice.between(0, 9);
                self.control.disk(BROKER).die_after(self.dice.between(1, operations));
            }
            Fault::CleanStop => server.stop_cleanly(),
            Fault::Rot => self.rot(server),
            Fault::FailedSync
            | Fault::FailedWrite
            | Fault::SlowDisk
            | Fault::FullDisk
            | Fault::ReadErrors => {
                self.disk(fault, server);
            }
            Fault::Partition => {
                let client = self.client();
                match self.dice.index(3) {
                    0 => self.control.block(BROKER, &client),
                    1 => self.control.block(&client, BROKER),
                    _ => self.control.partition(BROKER, &client),
                }
                self.later(100, 15_000, Repair::Link(client));
            }
            Fault::Reset => self.control.reset_connections(BROKER, &self.client()),
            Fault::Latency => {
                let client = self.client();
                let slow = self.dice.skewed_millis(2, 1000);
                self.control.set_latency(&client, BROKER, slow / 2..=slow);
                self.control.set_latency(BROKER, &client, slow / 2..=slow);
                self.later(100, 10_000, Repair::Latency(client));
            }
            Fault::Pause => {
                self.control.pause(BROKER);
                self.later(10, 8000, Repair::Resume);
            }
            Fault::ClockJump => {
                let reach = self.dice.pick(&[50, 2000, 1_200_000]);
                let skew = self.dice.between(0, 2 * reach).cast_signed() - reach.cast_signed();
                self.control.set_wall_skew(BROKER, skew);
            }
            Fault::ClientCrash => {
                let client = self.client();
                // What a dead one has asked for may happen later, which its next life could not tell from a fault.
                let may_die = client != ADMIN && client != OPERATOR;
                if may_die && self.control.is_up(&client) {
                    if self.dice.chance(50) {
                        self.control.kill(&client)
                    } else {
                        self.control.crash(&client)
                    }
                    self.later(1, 5000, Repair::Client(client));
                }
            }
        }
    }

    /// Files change at rest.
    fn rot(&mut self, server: &mut Server) {
        let all = self.control.disk(BROKER).list();
        let files = self.scenario.rot.map(|rot| rot.files(&all)).unwrap_or_default();
        // What was read and found whole is in the page cache of a real machine until it is sent.
        self.load.names().iter().for_each(|client| self.control.reset_connections(BROKER, client));
        for _ in 0..self.dice.between(1, 4) {
            let Some((path, len)) = files.get(self.dice.index(files.len().max(1))) else { return };
            if self.scenario.may_miss_records() {
                server.rots();
            }
            self.flip(path, *len);
        }
        // A round of the journal that is damaged before a later one says that it was synced is a torn one.
        self.next = self.next.max(self.control.now().after(Duration::from_secs(2)));
    }

    /// One bit, or many of one sector.
    fn flip(&self, path: &Path, len: u64) {
        // The head of a batch counts as much as all the rest.
        let head = self.scenario.rot == Some(Rot::Segments) && self.dice.chance(30);
        let first = self.dice.between(0, if head { BATCH_OVERHEAD as u64 } else { len } - 1).min(len - 1);
        let bits = if self.dice.chance(80) { 1 } else { self.dice.between(2, 64) };
        for nth in 0..bits {
            let byte = if nth == 0 { first } else { (first + self.dice.between(0, 511)).min(len - 1) };
            let bit = u8::try_from(self.dice.between(0, 7)).unwrap_or(0);
            self.control.disk(BROKER).flip_bit(path, byte, bit).expect("a file that is there");
            self.history.record(&Event::Rotten { path: path.display().to_string(), byte });
        }
    }

    fn disk(&mut self, fault: Fault, server: &mut Server) {
        let disk = self.control.disk(BROKER);
        match fault {
            Fault::FailedSync | Fault::FailedWrite => {
                server.disk_fails();
                let op = if fault == Fault::FailedSync { OpKind::Sync } else { OpKind::Write };
                let path = self.path();
                let skip = self.dice.between(0, 20);
                disk.inject(Rule { skip, ..Rule::next(op, &path, 1) });
                self.later(1000, 20_000, Repair::Disk);
            }
            Fault::ReadErrors => {
                server.disk_fails();
                let (only, rate) = (self.path(), self.dice.pick(&[1_000, 50_000, 1_000_000]));
                disk.faults(|faults| (faults.only, faults.read_error_ppm) = (only, rate));
                self.later(10, 5000, Repair::Disk);
            }
            Fault::FullDisk => {
                server.disk_fails();
                let quota = self.used_bytes() + self.dice.between(0, 1 << 20);
                disk.faults(|faults| faults.quota_bytes = Some(quota));
                self.later(100, 10_000, Repair::Disk);
            }
            _ => {
                let slow = self.dice.skewed_millis(5, 3000);
                let rate = self.dice.pick(&[5_000, 100_000, 500_000]);
                disk.faults(|faults| {
                    faults.slow_ppm = rate;
                    faults.slow_max = slow;
                });
                self.later(100, 5000, Repair::Disk);
            }
        }
    }

    /// Which files fail.
    fn path(&self) -> String {
        let dir = self.scenario.log_dir(self.dice.index(self.scenario.log_dirs));
        match self.dice.index(6) {
            0 | 1 => dir,
            2 => format!("{dir}/journal"),
            3 => "metadata".to_owned(),
            4 => ".log".to_owned(),
            _ => String::new(),
        }
    }

    fn used_bytes(&self) -> u64 {
        let space = self.control.disk(BROKER).files().space("/".as_ref());
        space.map_or(0, |space| space.total_bytes - space.available_bytes)
    }

    fn mend(&self, repair: &Repair, server: &mut Server) {
        match repair {
            Repair::Disk => {
                let disk = self.control.disk(BROKER);
                disk.clear_rules();
                disk.set_faults(self.scenario.disk.clone());
                server.disk_works();
                if server.saw_trouble() && self.scenario.log_dirs > 1 && self.dice.chance(50) {
                    // Somebody brings the directory back.
                    server.end(Setback::Unsynced);
                }
            }
            Repair::Client(client) => self.load.restart(client),
            Repair::Link(client) => self.control.heal(BROKER, client),
            Repair::Latency(client) => {
                let usual = Duration::from_micros(50)..=Duration::from_millis(1);
                self.control.set_latency(client, BROKER, usual.clone());
                self.control.set_latency(BROKER, client, usual);
            }
            Repair::Resume if self.control.is_up(BROKER) => self.control.resume(BROKER),
            Repair::Resume => {}
        }
    }
}
