//! What a process and the machine have used so far, from `/proc`, and the differences.
//!
//! The process's own clock does not hold the kernel's writeback, which is charged to nobody: the machine's does.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};

/// Of `/proc`, on every architecture that Linux shows it on.
const TICKS_A_SECOND: f64 = 100.0;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    /// Seconds of the process, user and system.
    cpu: f64,
    /// Seconds in which a core was not idle, of all cores, without those of this process and its children that have
    /// ended: what is left is the broker's, the kernel's, and that of whoever else is at work.
    machine: f64,
    /// Seconds that the hypervisor gave to others.
    stolen: f64,
    /// Bytes that the process had written to storage.
    written: f64,
    /// Times that one of the process's threads began to wait, or had to.
    switches: f64,
}

impl Usage {
    pub(crate) fn now(pid: u32) -> Result<Self> {
        let (machine, stolen) = machine()?;
        let written = field(&read(pid, "io")?, "write_bytes:")?;
        let [user, system, ..] = seconds(&read(pid, "stat")?)?;
        let ours: f64 = seconds(&read(std::process::id(), "stat")?)?.iter().sum();
        Ok(Self {
            at: Instant::now(),
            cpu: user + system,
            machine: machine - ours,
            stolen,
            written,
            switches: switches(pid)?,
        })
    }

    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        Spent {
            seconds: (self.at - earlier.at).as_secs_f64(),
            cpu: self.cpu - earlier.cpu,
            machine: self.machine - earlier.machine,
            stolen: self.stolen - earlier.stolen,
            written: self.written - earlier.written,
            switches: self.switches - earlier.switches,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    pub(crate) cpu: f64,
    pub(crate) machine: f64,
    pub(crate) stolen: f64,
    pub(crate) written: f64,
    pub(crate) switches: f64,
}

/// In MiB: now, and at most so far.
pub(crate) fn resident(pid: u32) -> Result<(f64, f64)> {
    let status = read(pid, "status")?;
    Ok((field(&status, "VmRSS:")? / 1024.0, field(&status, "VmHWM:")? / 1024.0))
}

/// Nanoseconds of the calling process, which has one thread.
pub(crate) fn own_cpu_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos = stat.split_whitespace().next().context("no time in schedstat")?;
    Ok(nanos.parse::<f64>()? / 1e9)
}

/// Of the threads that there are.
fn switches(pid: u32) -> Result<f64> {
    let mut all = 0.0;
    for task in std::fs::read_dir(["/proc", &pid.to_string(), "task"].iter().collect::<PathBuf>())? {
        // One that has just ended is not there.
        let Ok(status) = std::fs::read_to_string(task?.path().join("status")) else { continue };
        all += field(&status, "voluntary_ctxt_switches:")? + field(&status, "nonvoluntary_ctxt_switches:")?;
    }
    Ok(all)
}

/// User and system, and the same of the children that have been waited for.
fn seconds(stat: &str) -> Result<[f64; 4]> {
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let mut seconds = [0.0; 4];
    // They are the 14th to the 17th; the name was the second.
    for (to, ticks) in seconds.iter_mut().zip(fields.split_whitespace().skip(11)) {
        *to = ticks.parse::<f64>()? / TICKS_A_SECOND;
    }
    Ok(seconds)
}

fn read(pid: u32, name: &str) -> Result<String> {
    let path: PathBuf = ["/proc", &pid.to_string(), name].iter().collect();
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

fn field(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().with_context(|| format!("{name} is empty"))?.parse()?)
}

fn machine() -> Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("stat is empty")?;
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).map(str::parse).collect::<Result<_, _>>().context("in stat")?;
    let at = |at: usize| ticks.get(at).copied().unwrap_or(0.0) / TICKS_A_SECOND;
    // user, nice, system, irq, softirq; what is idle or waits for the disk does not count.
    Ok((at(0) + at(1) + at(2) + at(5) + at(6), at(7)))
}
