//! Which host and place the running code belongs to, for code that is called through static functions.
//!
//! Owns one thread-local. On the real machine a thread belongs to one place for life; in the simulation it
//! changes with every task that is polled.

use std::cell::RefCell;

use crate::{Host, Place};

#[derive(Clone, Debug)]
pub(crate) struct Here {
    pub(crate) host: Host,
    pub(crate) place: Place,
}

thread_local! {
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

/// The host of the running task.
///
/// # Panics
/// Outside a task of a host, where there is nothing sensible to return.
pub fn current() -> Host {
    try_current().expect("called outside the tasks of a host")
}

/// The host of the running task, if this is one.
pub fn try_current() -> Option<Host> {
    HERE.with(|here| here.borrow().as_ref().map(|here| here.host.clone()))
}

/// The place of the running task, if this is one.
pub fn place() -> Option<Place> {
    HERE.with(|here| here.borrow().as_ref().map(|here| here.place))
}

/// Puts `here` in force until the guard is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    before: Option<Here>,
}

pub(crate) fn enter(here: Option<Here>) -> Entered {
    Entered { before: HERE.with(|cell| cell.replace(here)) }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        // The thread-local may be gone already when a thread ends.
        drop(HERE.try_with(|cell| cell.replace(before)));
    }
}
