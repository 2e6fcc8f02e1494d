//! [`Work`]: what goes on behind a [`GroupConsumer`](super::GroupConsumer) while records are read; it outlives the calls of `next`.

use std::collections::BTreeSet;
use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use host::{BoxFuture, Host};
use protocol::Offset;
use tokio::sync::oneshot;

use super::Input;
use super::offsets::{Committed, Offsets};
use super::options::GroupOptions;
use crate::connection::within;
use crate::consumer::starts::{self, Place};
use crate::consumer::{OutOfRange, Start};
use crate::{Cluster, Error, TopicPartition};

/// Where partitions go on, and what is committed of them.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) places: Vec<Place>,
    pub(super) committed: Offsets,
}

#[derive(Default)]
pub(super) struct Work {
    letting_go: Option<BoxFuture<'static, ()>>,
    placing: Option<BoxFuture<'static, Result<Placed, Error>>>,
    committing: Option<BoxFuture<'static, (Offsets, Result<(), Error>)>>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Work");
        shown.field("letting_go", &self.is_letting_go());
        shown.field("placing", &self.is_placing());
        shown.field("committing", &self.is_committing()).finish()
    }
}

impl Work {
    pub(super) fn is_letting_go(&self) -> bool {
        self.letting_go.is_some()
    }

    pub(super) fn is_placing(&self) -> bool {
        self.placing.is_some()
    }

    pub(super) fn is_committing(&self) -> bool {
        self.committing.is_some()
    }

    pub(super) fn stop_placing(&mut self) {
        self.placing = None;
    }

    pub(super) fn stop_committing(&mut self) {
        self.committing = None;
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Input> {
        if let Some(work) = &mut self.letting_go
            && work.as_mut().poll(cx).is_ready()
        {
            self.letting_go = None;
            return Poll::Ready(Input::LetGo);
        }
        if let Some(work) = &mut self.placing
            && let Poll::Ready(result) = work.as_mut().poll(cx)
        {
            self.placing = None;
            return Poll::Ready(Input::Placed(result));
        }
        if let Some(work) = &mut self.committing
            && let Poll::Ready((offsets, result)) = work.as_mut().poll(cx)
        {
            self.committing = None;
            return Poll::Ready(Input::Committed(offsets, result));
        }
        Poll::Pending
    }

    /// Commits partitions that go to others, and says so. They go, whatever comes of it: the group does not wait.
    pub(super) fn let_go(
        &mut self,
        host: &Host,
        limit: Duration,
        committed: Committed,
        offsets: Offsets,
        changed: oneshot::Sender<()>,
    ) {
        // An older commit that is tried again must not come behind this one.
        self.stop_committing();
        let host = host.clone();
        self.letting_go = Some(Box::pin(async move {
            let group = committed.coordinator.group().clone();
            match within(&host, limit, committed.write(offsets)).await {
                Some(Ok(())) => {}
                Some(Err(error)) => tracing::warn!("group {group}: what was read is not committed: {error}"),
                None => tracing::warn!("group {group}: what was read is not committed: no answer in time"),
            }
            let _ = changed.send(());
        }));
    }

    pub(super) fn commit(&mut self, committed: Committed, offsets: Offsets) {
        self.committing = Some(Box::pin(async move {
            let result = committed.write(offsets.clone()).await;
            (offsets, result)
        }));
    }

    /// Finds out where partitions go on.
    pub(super) fn place(
        &mut self,
        cluster: &Cluster,
        options: &GroupOptions,
        mut committed: Committed,
        partitions: BTreeSet<TopicPartition>,
    ) {
        let (cluster, options) = (cluster.clone(), options.consumer.clone());
        self.placing = Some(Box::pin(async move {
            let found = committed.read(&partitions, options.patience).await?;
            let known = |(key, offset): (&TopicPartition, &Option<Offset>)| Some((key.clone(), (*offset)?));
            let committed = found.iter().filter_map(known).collect();
            let start = |(partition, offset): (TopicPartition, Option<Offset>)| {
                let start = match (offset, options.out_of_range) {
                    (Some(offset), _) => Start::Offset(offset),
                    (None, OutOfRange::Earliest) => Start::Earliest,
                    (None, OutOfRange::Latest) => Start::Latest,
                    (None, OutOfRange::Fail) => {
                        return Err(Error::Invalid(format!("nothing is committed of {partition}")));
                    }
                };
                Ok((partition, start))
            };
            let starts = found.into_iter().map(start).collect::<Result<Vec<_>, Error>>()?;
            Ok(Placed { places: starts::resolve(&cluster, &options, starts).await?, committed })
        }));
    }
}
