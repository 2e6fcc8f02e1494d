//! [`Supervisor`]: starts and ends coordinators as the leadership of their partitions comes and goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use coordinator::Caller;
use host::{Host, Place};
use protocol::ids::LeaderEpoch;
use protocol::{NodeId, Str};
use storage::PartitionKey;
use tokio::sync::{mpsc, watch};

use super::handle::Mailboxes;
use super::kind::{Kind, Led};
use super::partition::{Message, PartitionTask};
use super::{Coordinators, TopicsChanged};
use crate::metadata_view::MetadataView;
use crate::shard::Shards;
use crate::wait::until;

/// The task.
pub(crate) struct Supervisor<K: Kind> {
    pub(crate) kind: K,
    pub(crate) host: Host,
    pub(crate) node_id: NodeId,
    pub(crate) shards: Shards,
    pub(crate) view: Arc<MetadataView>,
    pub(crate) coordinators: Coordinators<K>,
    /// What becomes of topics, for kinds that go by it.
    pub(crate) topics: Option<mpsc::UnboundedReceiver<TopicsChanged>>,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// What a coordinator was started for.
type Leadership = (PartitionKey, LeaderEpoch);

enum Event {
    Changed,
    Topics(TopicsChanged),
    Stop,
}

impl<K: Kind> Supervisor<K> {
    pub(crate) async fn run(mut self) {
        let mut changes = self.view.changes();
        let lane = self.host.disk.lane(K::TASK);
        let mut led: BTreeMap<i32, Leadership> = BTreeMap::new();
        loop {
            changes.mark_unchanged();
            self.follow(&mut led, &lane);
            match self.next(&mut changes).await {
                Event::Changed => {}
                Event::Topics(changed) => self.pass_on(&changed),
                Event::Stop => break,
            }
        }
        // Coordinators refuse whoever waits and end when nobody can ask them any more.
        self.coordinators.mailboxes.store(Arc::default());
        self.coordinators.followed.send_replace(u64::MAX);
    }

    async fn next(&mut self, changes: &mut watch::Receiver<u64>) -> Event {
        let changed = async { changes.changed().await.map_or(Event::Stop, |()| Event::Changed) };
        let topics = async {
            match &mut self.topics {
                Some(topics) => topics.recv().await.map_or(Event::Stop, Event::Topics),
                None => std::future::pending().await,
            }
        };
        // An error means that the broker is gone.
        let stop = async {
            let _ = self.stopping.wait_for(|stopping| *stopping).await;
            Event::Stop
        };
        until(stop, until(topics, changed)).await
    }

    /// Has exactly those coordinators run whose partitions are led here.
    fn follow(&self, led: &mut BTreeMap<i32, Leadership>, lane: &host::LaneRef) {
        let view = self.view.view();
        let followed = &self.coordinators.followed;
        let mut now: BTreeMap<i32, Leadership> = BTreeMap::new();
        if let Some(topic) = view.image.topic(K::TOPIC) {
            let here = topic.partitions().filter(|(_, state)| state.leader == self.node_id);
            now.extend(here.map(|(partition, state)| {
                (partition, (PartitionKey { topic_id: topic.id(), partition }, state.leader_epoch))
            }));
        }
        if *led == now {
            followed.send_replace(view.index);
            return;
        }
        let mut mailboxes = Mailboxes::<K>::clone(&self.coordinators.mailboxes.load());
        mailboxes.retain(|partition, _| led.get(partition) == now.get(partition));
        for (partition, (key, leader_epoch)) in &now {
            if mailboxes.contains_key(partition) {
                continue;
            }
            let (send, inbox) = mpsc::unbounded_channel();
            let task = PartitionTask {
                host: self.host.clone(),
                shards: self.shards.clone(),
                view: self.view.clone(),
                lane: lane.clone(),
                key: *key,
                led: Led { partition: *partition, leader_epoch: *leader_epoch, mailbox: send.downgrade() },
                kind: self.kind.clone(),
                inbox,
            };
            let place = Place::Shard(usize::try_from(*partition).unwrap_or(0));
            self.host.spawn(place, K::TASK, task.run());
            mailboxes.insert(*partition, send);
        }
        *led = now;
        self.coordinators.mailboxes.store(Arc::new(mailboxes));
        followed.send_replace(view.index);
    }

    fn pass_on(&self, changed: &TopicsChanged) {
        let caller = Caller { version: 0, client_id: Str::EMPTY, client_host: Str::EMPTY };
        for mailbox in self.coordinators.mailboxes.load().values() {
            for request in K::topics_changed(changed) {
                // Nobody waits for the answer.
                let (message, _) = Message::ask(caller.clone(), request);
                let _ = mailbox.send(message);
            }
        }
    }
}
