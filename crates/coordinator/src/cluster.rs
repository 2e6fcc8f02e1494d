//! [`Cluster`]: what decisions know of the cluster.

use metadata::Image;
use metadata::config::GroupConfig;
use metadata::record::{ConfigResource, ResourceKind};

/// The metadata, as it was last told.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    pub image: Image,
    /// Grows with every image.
    pub version: i64,
    /// The version of the newest image with new topics.
    pub topics_made_at: i64,
    /// Whether any group has configs of its own. Nearly always none has.
    has_group_configs: bool,
}

impl Cluster {
    pub(crate) fn set(&mut self, image: Image, version: i64) {
        self.has_group_configs = image.configs_of_kind(ResourceKind::Group).next().is_some();
        self.image = image;
        self.version = version;
    }

    /// What a group has chosen for itself.
    pub(crate) fn config_of_group(&self, group: &str) -> GroupConfig {
        if !self.has_group_configs {
            return GroupConfig::default();
        }
        let own = self.image.configs_of(&ConfigResource::group(group));
        own.map(GroupConfig::of).unwrap_or_default()
    }
}
