//! Very many connections that have asked one thing and then are idle.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::Result;

use crate::compare::turn::Turn;
use crate::compare::wire;
use crate::report::Label;
use crate::usage::{Usage, resident};

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let count = turn.sizes.connections;
    let label = Label::new("connections", format!("{count} idle"), "");
    std::thread::sleep(Duration::from_secs(turn.sizes.idle_seconds));
    let (before, _) = resident(turn.broker.pid())?;
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", turn.broker.port()))?;
        wire::brokers(&mut stream)?;
        open.push(stream);
    }
    let began = Usage::now(turn.broker.pid())?;
    std::thread::sleep(Duration::from_secs(turn.sizes.idle_seconds));
    let spent = Usage::now(turn.broker.pid())?.since(&began);
    let (after, _) = resident(turn.broker.pid())?;
    turn.put(&label, "KiB each", (after - before) * 1024.0 / count as f64);
    turn.put(&label, "idle cores", spent.cpu / spent.seconds);
    drop(open);
    Ok(())
}
