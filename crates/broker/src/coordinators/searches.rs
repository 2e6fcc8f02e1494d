//! [`Searches`]: finds the topics that the patterns of groups stand for, on a thread of its own, and tells the coordinators.
//!
//! Invariant: a group has one search under way at most, so the queue holds no more than there are groups; they are carried
//! out one after the other, and wait for nothing but each other.

use std::sync::Arc;

use coordinator::{Caller, Request, Search};
use protocol::Str;
use tokio::sync::mpsc;

use super::GroupCoordinators;
use crate::metadata_view::MetadataView;
use crate::workers::Workers;

/// The task.
pub(crate) struct Searches {
    pub(crate) wanted: mpsc::UnboundedReceiver<Search>,
    pub(crate) workers: Workers,
    pub(crate) view: Arc<MetadataView>,
    pub(crate) coordinators: GroupCoordinators,
}

impl Searches {
    pub(crate) async fn run(mut self) {
        while let Some(search) = self.wanted.recv().await {
            let group = search.group().clone();
            let again = search.clone();
            let found = self.workers.run(move || search.run()).await;
            let found = found.unwrap_or_else(|| again.failed());
            let caller = Caller { version: 0, client_id: Str::EMPTY, client_host: Str::EMPTY };
            let view = self.view.view();
            // When the coordinator is somewhere else by now, that one searches for itself.
            let _ = self.coordinators.ask(&view, &group, caller, Request::Found(found)).await;
        }
    }
}
