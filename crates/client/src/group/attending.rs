//! [`Attending`]: the task that carries out what a [`Membership`] says, so that heartbeats go on while records are looked at.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use host::{BoxFuture, Instant};
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::leave_group_request::LeaveGroupRequest;
use protocol::wire::Request;
use protocol::{ApiKey, ErrorCode, Str, Uuid, VersionRange};
use tokio::sync::{mpsc, oneshot, watch};

use super::coordinator::Coordinator;
use super::membership::{
    Ask, Change, Classic, Identity, Learned, Membership, Modern, Step, Told, Verdict, passing,
};
use super::options::{GroupOptions, GroupProtocol};
use crate::connection::within;
use crate::{Backoff, Connection, Error};

/// What the owner of the partitions hears.
#[derive(Debug)]
pub(super) enum Event {
    /// To be carried out, and then said so.
    Change(Change, oneshot::Sender<()>),
    /// Membership is over.
    Failed(Error),
}

/// Leave the group, and say so.
pub(super) type Leave = oneshot::Sender<()>;

/// Between attempts at the coordinator.
const BACKOFF: Backoff = Backoff::millis(100, 1000);
/// JoinGroup may be answered so much later than the rebalance timeout.
const JOIN_GRACE: Duration = Duration::from_secs(5);
/// Whoever cannot leave in this time is expelled later.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);
/// LeaveGroup with a list of members.
const LEAVE_WITH_MEMBERS: i16 = 3;

pub(super) struct Attending {
    pub(super) coordinator: Coordinator,
    pub(super) options: Arc<GroupOptions>,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// Closed when the owner is gone: that is leaving, too.
    pub(super) orders: mpsc::UnboundedReceiver<Leave>,
    pub(super) identity: watch::Sender<Identity>,
}

/// What is under way.
#[derive(Default)]
struct Work {
    asking: Option<BoxFuture<'static, Result<Told, Error>>>,
    learning: Option<BoxFuture<'static, Vec<Learned>>>,
    changing: Option<oneshot::Receiver<()>>,
}

enum Input {
    Answered(Result<Told, Error>),
    Learned(Vec<Learned>),
    Changed,
    Leave(Option<Leave>),
    Time,
}

impl Attending {
    pub(super) async fn run(mut self) {
        let mut work = Work::default();
        let chosen = match first(self.orders.recv(), choose(&self.coordinator, &self.options)).await {
            Ok(order) => return done(order),
            Err(chosen) => chosen,
        };
        let mut machine = match chosen {
            Ok(machine) => machine,
            Err(error) => return self.fail(error).await,
        };
        let order = loop {
            match self.attend(&mut machine, &mut work).await {
                Ok(order) => break order,
                Err(error) if self.falls_back(&*machine, &error) => {
                    tracing::debug!(
                        "group {}: {error}; going on with the classic protocol",
                        self.options.group
                    );
                    machine = classic(&self.coordinator, &self.options);
                    work = Work::default();
                }
                Err(error) => return self.fail(error).await,
            }
        };
        if work.asking.take().is_some() {
            // The broker answers in order, and a JoinGroup may keep it waiting.
            self.coordinator.forget().await;
        }
        if let Some(ask) = machine.leave() {
            let host = self.coordinator.cluster().host().clone();
            let left =
                within(&host, LEAVE_PATIENCE, put(self.coordinator.clone(), ask, Duration::ZERO)).await;
            tracing::debug!("group {}: left, answer {left:?}", self.options.group);
        }
        done(order);
    }

    /// Tells the owner why it is over, and waits until it goes.
    async fn fail(&mut self, error: Error) {
        // The owner may have gone.
        let _ = self.events.send(Event::Failed(error));
        done(self.orders.recv().await);
    }

    /// Whether the group or its broker cannot have the consumer protocol, and anything will do.
    fn falls_back(&self, machine: &dyn Membership, error: &Error) -> bool {
        let identity = machine.identity();
        let cannot = matches!(
            error.code(),
            Some(
                ErrorCode::UnsupportedVersion
                    | ErrorCode::GroupIdNotFound
                    | ErrorCode::InconsistentGroupProtocol
            )
        );
        self.options.protocol == GroupProtocol::Auto
            && identity.is_modern
            && identity.epoch.is_none()
            && cannot
    }

    /// Until it is time to leave.
    async fn attend(
        &mut self,
        machine: &mut Box<dyn Membership>,
        work: &mut Work,
    ) -> Result<Option<Leave>, Error> {
        let host = self.coordinator.cluster().host().clone();
        let mut failures = 0;
        let mut failing_since: Option<Instant> = None;
        loop {
            let wake = self.start(&mut **machine, work);
            match self.input(work, wake).await {
                Input::Leave(order) => return Ok(order),
                Input::Time => {}
                Input::Changed => machine.changed(host.now()),
                Input::Learned(topics) => machine.learned(&topics, host.now()),
                Input::Answered(result) => {
                    let error = result.as_ref().err().cloned();
                    let (now, pause) = (host.now(), BACKOFF.delay(failures + 1, &*host.rng));
                    let verdict = machine.answered(result, now, pause)?;
                    tracing::trace!("group {}: {verdict:?}, {:?}", self.options.group, machine.identity());
                    if verdict == Verdict::Well {
                        (failures, failing_since) = (0, None);
                        continue;
                    }
                    failures += 1;
                    let since = now.since(*failing_since.get_or_insert(now));
                    if let (Some(error), Some(patience)) = (error, self.options.consumer.patience)
                        && since >= patience
                    {
                        return Err(error);
                    }
                    if verdict == Verdict::Elsewhere {
                        self.coordinator.forget().await;
                    }
                }
            }
        }
    }

    /// Starts what is to be done now; when to look again.
    fn start(&mut self, machine: &mut dyn Membership, work: &mut Work) -> Instant {
        let host = self.coordinator.cluster().host().clone();
        let wake = loop {
            match machine.next(host.now()) {
                Step::Ask(ask) => {
                    tracing::trace!("group {}: {ask:?}", self.options.group);
                    let patience = self.options.rebalance_timeout.saturating_add(JOIN_GRACE);
                    work.asking = Some(Box::pin(put(self.coordinator.clone(), ask, patience)));
                }
                Step::Change(change) => {
                    let (tell, changed) = oneshot::channel();
                    work.changing = Some(changed);
                    // Whoever is not there any more has ordered to leave, too.
                    let _ = self.events.send(Event::Change(change, tell));
                }
                Step::Learn(topics) => {
                    work.learning = Some(Box::pin(learn(self.coordinator.clone(), topics)));
                }
                Step::Wait(until) => break until,
            }
        };
        let identity = machine.identity();
        self.identity.send_if_modified(|known| {
            let is_news = *known != identity;
            *known = identity;
            is_news
        });
        wake
    }

    async fn input(&mut self, work: &mut Work, wake: Instant) -> Input {
        let host = self.coordinator.cluster().host().clone();
        let mut timer = host.clock.sleep_until(wake);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(order) = self.orders.poll_recv(cx) {
                return Poll::Ready(Input::Leave(order));
            }
            if let Some(asking) = &mut work.asking
                && let Poll::Ready(result) = asking.as_mut().poll(cx)
            {
                work.asking = None;
                return Poll::Ready(Input::Answered(result));
            }
            if let Some(learning) = &mut work.learning
                && let Poll::Ready(topics) = learning.as_mut().poll(cx)
            {
                work.learning = None;
                return Poll::Ready(Input::Learned(topics));
            }
            if let Some(changing) = &mut work.changing
                && let Poll::Ready(Ok(())) = std::pin::Pin::new(changing).poll(cx)
            {
                work.changing = None;
                return Poll::Ready(Input::Changed);
            }
            timer.as_mut().poll(cx).map(|()| Input::Time)
        })
        .await
    }
}

fn done(order: Option<Leave>) {
    if let Some(reply) = order {
        // Whoever waited may have given up.
        let _ = reply.send(());
    }
}

fn classic(coordinator: &Coordinator, options: &Arc<GroupOptions>) -> Box<dyn Membership> {
    let cluster = coordinator.cluster();
    Box::new(Classic::new(options.clone(), cluster.options().metadata_age_max, cluster.host().now()))
}

/// The protocol that is asked for, or the better one of those that the coordinator has.
async fn choose(
    coordinator: &Coordinator,
    options: &Arc<GroupOptions>,
) -> Result<Box<dyn Membership>, Error> {
    let cluster = coordinator.cluster();
    let host = cluster.host();
    let is_modern = match options.protocol {
        GroupProtocol::Classic => false,
        GroupProtocol::Consumer => true,
        GroupProtocol::Auto => has_consumer_protocol(coordinator, options).await?,
    };
    Ok(match is_modern {
        true => Box::new(Modern::new(options.clone(), member_id(&*host.rng), host.now())),
        false => classic(coordinator, options),
    })
}

async fn has_consumer_protocol(coordinator: &Coordinator, options: &GroupOptions) -> Result<bool, Error> {
    let host = coordinator.cluster().host();
    let (mut failures, began) = (0, host.now());
    loop {
        let error = match coordinator.connection().await {
            Ok(connection) => {
                let info = ApiKey::ConsumerGroupHeartbeat.info();
                let ours = VersionRange::new(ApiKey::ConsumerGroupHeartbeat.versions().min, info.stable_max);
                return Ok(connection.version(ApiKey::ConsumerGroupHeartbeat, ours).is_ok());
            }
            Err(error) => error,
        };
        let lasted = options.consumer.patience.is_some_and(|patience| host.now().since(began) >= patience);
        if passing(&error).is_none() || lasted {
            return Err(error);
        }
        failures += 1;
        host.clock.sleep(BACKOFF.delay(failures, &*host.rng)).await;
    }
}

fn member_id(rng: &dyn host::Rng) -> Str {
    loop {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        if let Some(id) = Uuid::from_random(bytes) {
            return Str::from(id.to_string());
        }
    }
}

/// Asks the coordinator. `patience` is for requests that wait for others.
async fn put(coordinator: Coordinator, ask: Ask, patience: Duration) -> Result<Told, Error> {
    let connection = coordinator.connection().await?;
    match ask {
        Ask::Beat(request) => {
            let version = connection.newest::<ConsumerGroupHeartbeatRequest>()?;
            connection.call_in(version, &request, Duration::ZERO).await.map(Told::Beat)
        }
        Ask::Join(request) => call(&connection, &request, patience).await.map(Told::Join),
        Ask::Sync(request) => call(&connection, &request, patience).await.map(Told::Sync),
        Ask::Heartbeat(request) => call(&connection, &request, Duration::ZERO).await.map(Told::Heartbeat),
        Ask::Leave(mut request) => {
            let version = connection.newest::<LeaveGroupRequest>()?;
            if version < LEAVE_WITH_MEMBERS {
                let members = std::mem::take(&mut request.members);
                request.member_id = members.into_iter().next().unwrap_or_default().member_id;
            }
            connection.call_in(version, &request, Duration::ZERO).await.map(Told::Leave)
        }
    }
}

async fn call<R: Request>(
    connection: &Connection,
    request: &R,
    patience: Duration,
) -> Result<R::Response, Error> {
    connection.call_in(connection.newest::<R>()?, request, patience).await
}

/// What brokers know of these topics now.
async fn learn(coordinator: Coordinator, topics: Vec<Str>) -> Vec<Learned> {
    let cluster = coordinator.cluster();
    let (host, mut failures) = (cluster.host(), 0);
    while let Err(error) = cluster.refresh(topics.clone(), false).await {
        tracing::debug!("group {}: {error}", coordinator.group());
        failures += 1;
        host.clock.sleep(BACKOFF.delay(failures, &*host.rng)).await;
    }
    let snapshot = cluster.snapshot();
    let known = topics.iter().filter_map(|name| snapshot.topics.get(name));
    let learned = |topic: &Arc<crate::cluster::Topic>| Learned {
        name: topic.name.clone(),
        id: topic.id.0,
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
    };
    known.filter(|topic| topic.error.is_none()).map(learned).collect()
}

/// Whichever comes first.
async fn first<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> Result<A, B> {
    let (mut one, mut other) = (std::pin::pin!(one), std::pin::pin!(other));
    std::future::poll_fn(|cx| match one.as_mut().poll(cx) {
        Poll::Ready(one) => Poll::Ready(Ok(one)),
        Poll::Pending => other.as_mut().poll(cx).map(Err),
    })
    .await
}
