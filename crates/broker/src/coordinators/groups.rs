//! [`Groups`]: the coordinators of groups, which keep memberships and committed offsets.

use coordinator::{Assignor, Options, Request, Search};
use metadata::config::GroupsConfig;
use protocol::records::Codec;
use tokio::sync::mpsc;

use super::TopicsChanged;
use super::kind::{Effect, Kind, Led, TopicPlan};
use crate::metadata_view::View;

/// The kind.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// Where the topics of patterns are searched for.
    pub(crate) searches: mpsc::UnboundedSender<Search>,
}

impl Kind for Groups {
    type Coordinator = coordinator::Groups;

    const TOPIC: &'static str = "__consumer_offsets";
    const TASK: &'static str = "group coordinator";
    const CONTENT: &'static str = "groups and offsets";

    fn topic(view: &View) -> TopicPlan {
        let config = &view.config.groups;
        TopicPlan {
            partitions: config.topic_partitions,
            replication_factor: config.topic_replication_factor,
            min_insync_replicas: None,
            configs: vec![
                ("cleanup.policy", "compact".to_owned()),
                // Compressed by its writers if at all: see `offsets.topic.compression.codec`.
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", config.topic_segment_bytes.to_string()),
            ],
        }
    }

    fn coordinator(&self, view: &View) -> coordinator::Groups {
        let mut groups = coordinator::Groups::new(options(&view.config.groups));
        Self::tell(&mut groups, view);
        groups
    }

    fn load_buffer_bytes(view: &View) -> usize {
        view.config.groups.load_buffer_bytes
    }

    fn codec(view: &View) -> Codec {
        // `offsets.topic.compression.codec`, which names codecs by number.
        Codec::from_id(view.config.groups.topic_codec).unwrap_or(Codec::None)
    }

    fn tell(groups: &mut coordinator::Groups, view: &View) {
        groups.set_options(options(&view.config.groups));
        groups.set_image(view.image.clone(), i64::try_from(view.index).unwrap_or(i64::MAX));
    }

    fn topics_changed(changed: &TopicsChanged) -> Vec<Request> {
        let TopicsChanged { deleted, changed: topics, are_new } = changed.clone();
        let mut requests = Vec::new();
        if !topics.is_empty() {
            requests.push(Request::TopicsChanged { topics, are_new });
        }
        // What was committed for topics that are gone means nothing for topics of the same name.
        if !deleted.is_empty() {
            requests.push(Request::ForgetTopics { topics: deleted });
        }
        requests
    }

    fn carry_out(&self, _led: &Led<Self>, effects: Vec<Effect<Self>>) {
        for search in effects {
            // Nobody searches any more when the broker stops.
            let _ = self.searches.send(search);
        }
    }
}

fn options(config: &GroupsConfig) -> Options {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    let consumer = &config.consumer;
    Options {
        group_min_session_timeout_ms: config.session_timeout_min_ms,
        group_max_session_timeout_ms: config.session_timeout_max_ms,
        group_initial_rebalance_delay_ms: config.initial_rebalance_delay_ms,
        group_max_size: config.size_max,
        consumer_session_timeout_ms: consumer.session_timeout_ms,
        consumer_heartbeat_interval_ms: consumer.heartbeat_interval_ms,
        consumer_assignment_interval_ms: consumer.assignment_interval_ms,
        consumer_group_max_size: consumer.size_max,
        consumer_assignors: consumer.assignors.iter().filter_map(|name| Assignor::named(name)).collect(),
        consumer_migration: consumer.migration_policy,
        consumer_regex_refresh_interval_ms: consumer.regex_refresh_interval_ms,
        offset_metadata_max_bytes: config.offset_metadata_bytes_max,
        offsets_retention_ms: config.offsets_retention_ms,
        offsets_retention_check_interval_ms: ms(config.offsets_retention_check_interval_ms),
    }
}
