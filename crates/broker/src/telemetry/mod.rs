//! What clients tell of themselves (KIP-714): who is to push which metrics and how often, and where a push goes.
//!
//! Owns: the clients that were told a subscription ([`instances`]), reading a push ([`otlp`]), and the logger
//! `client_metrics`, which says every push as one line.
//!
//! Invariants:
//! * What was answered without an error has been logged; what cannot be read is answered with one.
//! * Clients are remembered up to a number; pushes are unpacked one at a time, off the shards, and never to more than
//!   a multiple of telemetry.max.bytes.
//!
//! Does not know: what the metrics mean.

mod instances;
mod otlp;
mod protobuf;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use host::Host;
use metadata::Image;
use metadata::config::ClientFacts;
use protocol::records::compression::{Error, Limits};
use protocol::records::{Codec, Scratch};
use protocol::{ErrorCode, Uuid};

use crate::api::Call;
use crate::workers::Workers;
use instances::Instances;
pub(crate) use instances::{Push, Subscribed};

/// The logger of pushes, beside those of the broker's parts.
pub(crate) const LOGGER: &str = "client_metrics";

/// How much more than telemetry.max.bytes a push may hold when it is unpacked.
const UNPACKED_FACTOR: usize = 4;

#[derive(Debug)]
pub(crate) struct Telemetry {
    instances: Mutex<Instances>,
    worker: Workers,
    bytes_max: usize,
}

impl Telemetry {
    pub(crate) fn new(host: &Host, bytes_max: usize) -> Self {
        Self { instances: Mutex::default(), worker: Workers::new(host, "telemetry", 1), bytes_max }
    }

    /// The clients, under the subscriptions of this image.
    fn instances(&self, image: &Image, index: u64) -> MutexGuard<'_, Instances> {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        instances.learn(image, index);
        instances
    }

    /// What the client `id` is to push.
    pub(crate) fn subscribe(&self, call: &Call, id: Uuid) -> Result<Subscribed, ErrorCode> {
        let (view, now) = (call.broker.metadata.view(), call.broker.host.now());
        self.instances(&view.image, view.index).subscribe(id, &facts(call, id), now)
    }

    /// Takes a push.
    pub(crate) async fn push(&self, call: &Call, push: &Push, metrics: Bytes) -> Result<(), ErrorCode> {
        let (view, now) = (call.broker.metadata.view(), call.broker.host.now());
        let facts = facts(call, push.id);
        let too_large = metrics.len() > self.bytes_max;
        let codec = self.instances(&view.image, view.index).push(push, &facts, too_large, now)?;
        if metrics.is_empty() {
            return Ok(());
        }
        let logged = self.log(codec, metrics, facts, push.terminating).await;
        if logged.is_err() {
            self.instances(&view.image, view.index).failed(push.id, ErrorCode::InvalidRecord);
        }
        logged
    }

    async fn log(
        &self,
        codec: Codec,
        metrics: Bytes,
        facts: ClientFacts,
        terminating: bool,
    ) -> Result<(), ErrorCode> {
        let bytes_max = self.bytes_max.saturating_mul(UNPACKED_FACTOR);
        let work = move || read(codec, &metrics, bytes_max).map(|told| say(&facts, terminating, &told));
        // A panic is a bug, and logged by the lane.
        self.worker.run(work).await.unwrap_or(Err(ErrorCode::UnknownServerError))
    }
}

fn read(codec: Codec, metrics: &[u8], bytes_max: usize) -> Result<otlp::Told, ErrorCode> {
    let limits = Limits { decompressed_bytes_max: bytes_max, ..Limits::default() };
    let mut scratch = Scratch::new();
    let unpacked = scratch.decompress(codec, metrics, &limits).map_err(|error| match error {
        Error::TooLarge { .. } => ErrorCode::TelemetryTooLarge,
        _ => ErrorCode::InvalidRecord,
    })?;
    otlp::to_json(unpacked).map_err(|error| {
        tracing::debug!(%error, "could not read the metrics of a client");
        ErrorCode::InvalidRecord
    })
}

fn say(client: &ClientFacts, terminating: bool, told: &otlp::Told) {
    tracing::info!(
        target: LOGGER,
        client_instance_id = client.instance_id,
        client_id = client.id,
        software = client.software_name,
        version = client.software_version,
        address = client.source_address,
        port = client.source_port,
        terminating,
        points = told.points,
        left_out = told.left_out,
        metrics = told.json,
        "client metrics"
    );
}

fn facts(call: &Call, id: Uuid) -> ClientFacts {
    let (software_name, software_version) = call.client.software();
    ClientFacts {
        instance_id: id.to_string(),
        id: call.client_id.as_ref().map_or_else(String::new, ToString::to_string),
        software_name: software_name.to_string(),
        software_version: software_version.to_string(),
        source_address: call.client.peer.ip().to_canonical().to_string(),
        source_port: call.client.peer.port().to_string(),
    }
}
