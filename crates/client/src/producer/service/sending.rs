//! What leaves: batches that are ready, gathered into a request a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use host::Instant;
use protocol::NodeId;
use protocol::messages::produce_request::ProduceRequest;
use tokio::sync::mpsc;

use super::super::queue::Next;
use super::super::requests::{self, Addressed, InFlight};
use super::{Event, Node, Service, earlier};
use crate::connection::Answer;
use crate::{Cluster, Connection, Error};

impl Service {
    /// Batches that are ready by the node they go to, at most one a partition and one request a node.
    pub(super) fn collect(
        &mut self,
        hurry: bool,
        now: Instant,
    ) -> (BTreeMap<NodeId, Vec<Addressed>>, Option<Instant>) {
        let mut ready: BTreeMap<NodeId, (usize, Vec<Addressed>)> = BTreeMap::new();
        let mut wake_at = None;
        let identity = self.identity;
        let blocked = self.options.idempotence && identity.is_none();
        for (name, state) in &mut self.topics {
            let Some(topic) = &state.topic else { continue };
            for (partition, queue) in (0_i32..).zip(&mut state.queues) {
                if !queue.has_waiting() {
                    continue;
                }
                wake_at = earlier(wake_at, queue.expires_at(self.options.delivery_timeout));
                let at = match queue.next(&self.options, hurry, now) {
                    Next::Nothing => continue,
                    Next::At(at) => {
                        wake_at = earlier(wake_at, Some(at));
                        continue;
                    }
                    Next::Now => topic.leader(partition),
                };
                let Some(leader) = at else {
                    self.stale.insert(name.clone());
                    continue;
                };
                if blocked || queue.needs_new_id() {
                    continue;
                }
                let node = self.nodes.entry(leader).or_default();
                let is_open = node.connection.as_ref().is_some_and(|connection| !connection.is_closed());
                if !is_open {
                    node.connection = None;
                    start_connecting(node, leader, &self.cluster, &self.report);
                    continue;
                }
                if node.in_flight >= self.options.in_flight_max {
                    continue;
                }
                let (bytes, batches) = ready.entry(leader).or_default();
                if *bytes >= self.options.request_bytes_max {
                    continue;
                }
                if let Some(batch) = queue.take(identity) {
                    *bytes += batch.bytes().len();
                    batches.push(Addressed { topic: Arc::clone(topic), partition, batch });
                }
            }
        }
        ready.retain(|_, (_, batches)| !batches.is_empty());
        (ready.into_iter().map(|(node, (_, batches))| (node, batches)).collect(), wake_at)
    }

    pub(super) async fn send(&mut self, node: NodeId, batches: Vec<Addressed>) {
        let Some(state) = self.nodes.get_mut(&node) else { return };
        let Some(connection) = state.connection.clone() else { return };
        let request = self.next_request;
        self.next_request += 1;
        state.in_flight += 1;
        let newest = match connection.newest::<ProduceRequest>() {
            Ok(newest) => newest,
            Err(error) => {
                self.requests.insert(request, InFlight { node, batches });
                self.answered(request, 0, Err(error));
                return;
            }
        };
        let version = requests::version(newest, &batches);
        let timeout_ms = i32::try_from(self.cluster.options().connection.request_timeout.as_millis());
        let body =
            requests::request(&batches, version, self.options.acks.code(), timeout_ms.unwrap_or(i32::MAX));
        if self.options.acks.code() == 0 {
            let sent = connection.send_unanswered(version, &body).await;
            self.requests.insert(request, InFlight { node, batches });
            match sent {
                Err(error) => self.answered(request, version, Err(error)),
                Ok(sent) => {
                    let report = self.report.clone();
                    self.host.spawn(self.cluster.place(), "client produce", async move {
                        // Nobody listens any more when the producer is gone.
                        let _ = report.send(Event::Written { request, result: sent.done().await });
                    });
                }
            }
            return;
        }
        // The order of the requests on the connection is that of these calls.
        let answer: Result<Answer<ProduceRequest>, Error> = connection.send(version, &body).await;
        self.requests.insert(request, InFlight { node, batches });
        match answer {
            Err(error) => self.answered(request, version, Err(error)),
            Ok(answer) => {
                let report = self.report.clone();
                self.host.spawn(self.cluster.place(), "client produce", async move {
                    let result = answer.response(Duration::ZERO).await;
                    // Nobody listens any more when the producer is gone.
                    let _ = report.send(Event::Answered { request, version, result });
                });
            }
        }
    }

    pub(super) fn connected(&mut self, node: NodeId, result: Result<Connection, Error>) {
        let state = self.nodes.entry(node).or_default();
        state.connecting = false;
        match result {
            Ok(connection) => state.connection = Some(connection),
            // Perhaps it has moved, or something else leads now.
            Err(error) => {
                for (name, topic) in &mut self.topics {
                    if !topic.is_idle() {
                        topic.last_error = Some(error.clone());
                        self.stale.insert(name.clone());
                    }
                }
            }
        }
    }
}

fn start_connecting(
    node: &mut Node,
    leader: NodeId,
    cluster: &Cluster,
    report: &mpsc::UnboundedSender<Event>,
) {
    if node.connecting {
        return;
    }
    node.connecting = true;
    let (cluster, report) = (cluster.clone(), report.clone());
    let host = cluster.host().clone();
    host.spawn(cluster.place(), "client leader", async move {
        let result = cluster.connection(leader).await;
        let _ = report.send(Event::Connected { node: leader, result });
    });
}
