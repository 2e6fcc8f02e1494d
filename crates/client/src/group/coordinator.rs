//! [`Coordinator`]: who keeps a group, and a connection to it.
//!
//! The connection is the group's own: a broker answers a connection's requests in their order, and a JoinGroup waits for
//! the whole group.

use std::sync::Arc;

use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::find_coordinator_response::FindCoordinatorResponse;
use protocol::{ErrorCode, Str};
use tokio::sync::Mutex;

use crate::cluster::refused;
use crate::{Cluster, Connection, Error};

/// Cheap handle.
#[derive(Clone, Debug)]
pub(super) struct Coordinator {
    cluster: Cluster,
    group: Str,
    connection: Arc<Mutex<Option<Connection>>>,
}

/// From here on several keys are asked about at once.
const VERSION_WITH_KEYS: i16 = 4;
const KEY_IS_GROUP: i8 = 0;

impl Coordinator {
    pub(super) fn new(cluster: &Cluster, group: Str) -> Self {
        Self { cluster: cluster.clone(), group, connection: Arc::default() }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(super) fn group(&self) -> &Str {
        &self.group
    }

    /// Finds the coordinator and connects, unless that has been done.
    pub(super) async fn connection(&self) -> Result<Connection, Error> {
        let mut known = self.connection.lock().await;
        if let Some(connection) = known.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let (host, port) = self.find().await?;
        let options = Arc::new(self.cluster.options().connection.clone());
        let connection = Connection::open(self.cluster.host(), (&host, port), options).await?;
        *known = Some(connection.clone());
        Ok(connection)
    }

    /// Has the coordinator looked for again.
    pub(super) async fn forget(&self) {
        *self.connection.lock().await = None;
    }

    async fn find(&self) -> Result<(Str, u16), Error> {
        let connection = self.cluster.any().await?;
        let version = connection.newest::<FindCoordinatorRequest>()?;
        let mut request = FindCoordinatorRequest { key_type: KEY_IS_GROUP, ..Default::default() };
        if version >= VERSION_WITH_KEYS {
            request.coordinator_keys = vec![self.group.clone()];
        } else {
            request.key = self.group.clone();
        }
        let response = connection.call_in(version, &request, std::time::Duration::ZERO).await?;
        let (code, message, host, port) = flat(response);
        match (ErrorCode::from(code), u16::try_from(port)) {
            (ErrorCode::None, Ok(port)) => Ok((host, port)),
            (ErrorCode::None, Err(_)) => Err(self.refused(ErrorCode::CoordinatorNotAvailable, None)),
            (code, _) => Err(self.refused(code, message.as_ref())),
        }
    }

    /// What the coordinator has refused.
    pub(super) fn refused(&self, code: ErrorCode, message: Option<&Str>) -> Error {
        refused(format!("group {}", self.group), code, message)
    }
}

/// The answer for the one key, in whichever version.
fn flat(response: FindCoordinatorResponse) -> (i16, Option<Str>, Str, i32) {
    match response.coordinators.into_iter().next() {
        Some(one) => (one.error_code, one.error_message, one.host, one.port),
        None => (response.error_code, response.error_message, response.host, response.port),
    }
}
