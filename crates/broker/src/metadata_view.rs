//! The metadata that request handlers see: the published image, and what is derived from it once per change and
//! not once per request.
//!
//! Invariants:
//! * A view is immutable; a handler takes one and uses it to its end.
//! * A view is published after the shards have carried out what changed, so whoever sees a topic here can use it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::HashMap;
use metadata::Image;
use metadata::config::BrokerConfig;
use metadata::image::Topic;
use metadata::record::BrokerRegistration;
use protocol::records::Rules;
use protocol::{ErrorCode, Str, TopicId};
use storage::LogConfig;
use tokio::sync::watch;

/// What a topic's configs mean for its records.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicSettings {
    pub(crate) log: Arc<LogConfig>,
    pub(crate) rules: Rules,
}

/// One state of the cluster's metadata.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) image: Image,
    /// What this broker goes by, with what was set while it runs.
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) settings: HashMap<TopicId, Arc<TopicSettings>>,
    /// The entry of the metadata log that this view includes.
    pub(crate) index: u64,
}

impl View {
    /// By name, or by id for versions that name topics so; the error is the one that fits.
    pub(crate) fn topic(&self, name: &str, id: TopicId, by_id: bool) -> Result<&Arc<Topic>, ErrorCode> {
        if by_id {
            self.image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.image.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)
        }
    }

    pub(crate) fn settings_of(&self, id: TopicId) -> Option<&Arc<TopicSettings>> {
        self.settings.get(&id)
    }

    /// Brokers that take requests.
    pub(crate) fn live_brokers(&self) -> impl Iterator<Item = &Arc<BrokerRegistration>> {
        self.image.brokers().filter(|broker| !broker.fenced)
    }

    /// Node id, host, port and rack of every live broker that has the listener.
    pub(crate) fn endpoints(&self, listener: &str) -> impl Iterator<Item = (i32, Str, i32, Option<Str>)> {
        self.live_brokers().filter_map(move |broker| {
            let listener = broker.listener(listener)?;
            Some((broker.node_id.0, listener.host.clone(), i32::from(listener.port), broker.rack.clone()))
        })
    }
}

/// Publishes views. Readers never wait.
#[derive(Debug)]
pub(crate) struct MetadataView {
    current: ArcSwap<View>,
    index: watch::Sender<u64>,
}

impl MetadataView {
    /// Of an empty log, on a broker that was started with this configuration.
    pub(crate) fn new(config: BrokerConfig) -> Self {
        let settings = HashMap::new();
        let view = View { image: Image::new(), config: Arc::new(config), settings, index: 0 };
        Self { current: ArcSwap::from_pointee(view), index: watch::Sender::new(0) }
    }

    pub(crate) fn view(&self) -> Arc<View> {
        self.current.load_full()
    }

    pub(crate) fn publish(&self, view: View) {
        let index = view.index;
        self.current.store(Arc::new(view));
        self.index.send_replace(index);
    }

    /// Changes with every view that is published.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }

    /// Resolves once the view includes entry `index` of the metadata log.
    pub(crate) async fn published(&self, index: u64) {
        let mut published = self.index.subscribe();
        // The sender lives as long as self.
        let _ = published.wait_for(|published| *published >= index).await;
    }
}
