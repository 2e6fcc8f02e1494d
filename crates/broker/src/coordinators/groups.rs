//! [`Groups`]: the coordinators of groups, which keep memberships and committed offsets.

use coordinator::{Options, Request};
use metadata::config::GroupsConfig;
use protocol::Str;
use protocol::records::Codec;

use super::kind::{Effect, Kind, TopicPlan};
use crate::metadata_view::View;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Groups;

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
            configs: vec![
                ("cleanup.policy", "compact".to_owned()),
                // Compressed by its writers if at all: see `offsets.topic.compression.codec`.
                ("compression.type", "producer".to_owned()),
                ("segment.bytes", config.topic_segment_bytes.to_string()),
            ],
        }
    }

    fn coordinator(&self, view: &View) -> coordinator::Groups {
        coordinator::Groups::new(options(&view.config.groups))
    }

    fn load_buffer_bytes(view: &View) -> usize {
        view.config.groups.load_buffer_bytes
    }

    fn codec(view: &View) -> Codec {
        // `offsets.topic.compression.codec`, which names codecs by number.
        Codec::from_id(view.config.groups.topic_codec).unwrap_or(Codec::None)
    }

    /// What was committed for topics that are gone means nothing for topics of the same name.
    fn topics_deleted(topics: Vec<Str>) -> Option<Request> {
        Some(Request::ForgetTopics { topics })
    }

    fn carry_out(&self, effects: Vec<Effect<Self>>) {
        // There is no effect of a group.
        if let Some(effect) = effects.into_iter().next() {
            match effect {}
        }
    }
}

fn options(config: &GroupsConfig) -> Options {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    Options {
        group_min_session_timeout_ms: config.session_timeout_min_ms,
        group_max_session_timeout_ms: config.session_timeout_max_ms,
        group_initial_rebalance_delay_ms: config.initial_rebalance_delay_ms,
        group_max_size: config.size_max,
        offset_metadata_max_bytes: config.offset_metadata_bytes_max,
        offsets_retention_ms: config.offsets_retention_ms,
        offsets_retention_check_interval_ms: ms(config.offsets_retention_check_interval_ms),
    }
}
