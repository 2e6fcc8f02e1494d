//! How soon a broker is ready, what it takes when it has nothing to do, and after all the work.

use std::time::Duration;

use anyhow::Result;

use crate::compare::broker::Kind;
use crate::compare::turn::Turn;
use crate::report::Label;
use crate::usage::{Usage, resident};

pub(crate) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let label = Label::new("start", "empty", "");
    turn.put(&label, "ready ms", turn.broker.ready.as_secs_f64() * 1e3);
    let before = Usage::now(turn.broker.pid())?;
    std::thread::sleep(Duration::from_secs(turn.sizes.idle_seconds));
    let spent = Usage::now(turn.broker.pid())?.since(&before);
    let (now, peak) = resident(turn.broker.pid())?;
    turn.put(&label, "resident MiB", now);
    turn.put(&label, "peak MiB", peak);
    turn.put(&label, "idle cores", spent.cpu / spent.seconds);
    if turn.kind == Kind::Bourn {
        let size = std::fs::metadata(&turn.options.bourn)?.len();
        turn.put(&Label::new("start", "binary", ""), "MB", size as f64 / 1e6);
    }
    Ok(())
}

pub(crate) fn measure_after(turn: &mut Turn<'_>) -> Result<()> {
    let label = Label::new("start", "after all the work", "");
    let (now, peak) = resident(turn.broker.pid())?;
    turn.put(&label, "resident MiB", now);
    turn.put(&label, "peak MiB", peak);
    Ok(())
}
