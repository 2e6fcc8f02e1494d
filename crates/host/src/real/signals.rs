//! Signals that ask the process to stop.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::signal::unix::{self, SignalKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: a service manager asks.
    Terminate,
    /// SIGINT: Ctrl-C on a terminal.
    Interrupt,
}

/// The stop signals of this process, from the moment this was made; until then they kill it.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

/// Starts to catch SIGTERM and SIGINT; call it on a task.
///
/// # Errors
/// When the operating system refuses the handler.
pub fn signals() -> io::Result<Signals> {
    Ok(Signals {
        terminate: unix::signal(SignalKind::terminate())?,
        interrupt: unix::signal(SignalKind::interrupt())?,
    })
}

impl Signals {
    /// The next signal. Dropping the future loses none.
    pub async fn next(&mut self) -> Signal {
        poll_fn(|cx| {
            if self.terminate.poll_recv(cx).is_ready() {
                Poll::Ready(Signal::Terminate)
            } else if self.interrupt.poll_recv(cx).is_ready() {
                Poll::Ready(Signal::Interrupt)
            } else {
                Poll::Pending
            }
        })
        .await
    }
}
