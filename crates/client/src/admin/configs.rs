//! Configs of topics and brokers.

use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use protocol::{NodeId, Str};

use super::{Admin, Results, in_order, outcome};
use crate::{Error, cluster::refused};

/// Something that has configs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    Topic(Str),
    Broker(NodeId),
}

impl ConfigResource {
    fn key(&self) -> (i8, Str) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, Str::from(id.to_string())),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSource {
    Unknown,
    Topic,
    DynamicBroker,
    DynamicDefaultBroker,
    StaticBroker,
    Default,
    Other(i8),
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            0 | -1 => Self::Unknown,
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    pub name: Str,
    /// `None` for secrets, and for what has no value.
    pub value: Option<Str>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
}

impl Admin {
    /// All configs of one resource, by name.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, Error> {
        let (resource_type, resource_name) = resource.key();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.clone(),
                configuration_keys: None,
            }],
            ..DescribeConfigsRequest::default()
        };
        let response = match resource {
            ConfigResource::Topic(_) => self.cluster.call(&request).await?,
            // Each broker knows its own.
            ConfigResource::Broker(id) => self.cluster.connection(*id).await?.call(&request).await?,
        };
        let answers = response.results.iter().map(|result| {
            let mut entries: Vec<ConfigEntry> = result.configs.iter().map(entry).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            let name = &result.resource_name;
            (name.detached(), outcome(name, result.error_code, result.error_message.as_ref(), entries))
        });
        let all: Results<Vec<ConfigEntry>> = in_order([resource_name.clone()], answers.collect());
        let missing = || Err(refused(resource_name.as_str(), protocol::ErrorCode::UnknownServerError, None));
        all.into_iter().next().map_or_else(missing, |(_, result)| result)
    }
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.detached(),
        value: config.value.as_ref().map(Str::detached),
        source: ConfigSource::from_code(config.config_source),
        is_sensitive: config.is_sensitive,
        is_read_only: config.read_only,
    }
}
