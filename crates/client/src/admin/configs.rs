//! Configs of topics, brokers and whatever else has some.

use std::collections::BTreeMap;
use std::fmt;

use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsSynonym};
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::wire::Request;
use protocol::{ErrorCode, NodeId, Str};

use super::{Admin, Results, in_order, outcome};
use crate::Error;
use crate::cluster::refused;

/// Something that has configs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigResource {
    Topic(Str),
    Broker(NodeId),
    /// What is set on all brokers at once.
    BrokerDefaults,
    /// A metrics subscription (KIP-714).
    ClientMetrics(Str),
    Group(Str),
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigKind {
    Topic,
    Broker,
    ClientMetrics,
    Group,
}

impl ConfigKind {
    pub const ALL: [Self; 4] = [Self::Topic, Self::Broker, Self::ClientMetrics, Self::Group];

    fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }
}

impl ConfigResource {
    fn key(&self) -> (i8, Str) {
        let name = match self {
            Self::Topic(name) | Self::ClientMetrics(name) | Self::Group(name) => name.clone(),
            Self::Broker(id) => Str::from(id.to_string()),
            Self::BrokerDefaults => Str::EMPTY,
        };
        (self.kind().code(), name)
    }

    /// `None` for what this client has no word for.
    fn from_key(code: i8, name: &Str) -> Option<Self> {
        let kind = ConfigKind::ALL.into_iter().find(|kind| kind.code() == code)?;
        Some(match kind {
            ConfigKind::Topic => Self::Topic(name.detached()),
            ConfigKind::ClientMetrics => Self::ClientMetrics(name.detached()),
            ConfigKind::Group => Self::Group(name.detached()),
            ConfigKind::Broker if name.is_empty() => Self::BrokerDefaults,
            ConfigKind::Broker => Self::Broker(NodeId(name.parse().ok()?)),
        })
    }

    pub fn kind(&self) -> ConfigKind {
        match self {
            Self::Topic(_) => ConfigKind::Topic,
            Self::Broker(_) | Self::BrokerDefaults => ConfigKind::Broker,
            Self::ClientMetrics(_) => ConfigKind::ClientMetrics,
            Self::Group(_) => ConfigKind::Group,
        }
    }
}

/// As errors name it.
impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(name) => write!(f, "{name}"),
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::BrokerDefaults => write!(f, "all brokers"),
            Self::ClientMetrics(name) => write!(f, "metrics subscription {name}"),
            Self::Group(name) => write!(f, "group {name}"),
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
    BrokerLogger,
    ClientMetrics,
    Group,
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
            6 => Self::BrokerLogger,
            7 => Self::ClientMetrics,
            8 => Self::Group,
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
    /// Changes by a restart only.
    pub is_read_only: bool,
    /// If asked for: where a value was looked for, first to last, this one's included.
    pub synonyms: Vec<ConfigSynonym>,
    /// If asked for.
    pub documentation: Option<Str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    pub name: Str,
    pub value: Option<Str>,
    pub source: ConfigSource,
}

/// What else is told of each config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConfigDetails {
    pub synonyms: bool,
    pub documentation: bool,
}

/// What is to become of one config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterOp {
    Set(Str),
    /// Back to the default.
    Delete,
    /// Adds to a list.
    Append(Str),
    /// Takes from a list.
    Subtract(Str),
}

impl AlterOp {
    fn code(&self) -> i8 {
        match self {
            Self::Set(_) => 0,
            Self::Delete => 1,
            Self::Append(_) => 2,
            Self::Subtract(_) => 3,
        }
    }

    fn value(&self) -> Option<&Str> {
        match self {
            Self::Set(value) | Self::Append(value) | Self::Subtract(value) => Some(value),
            Self::Delete => None,
        }
    }
}

impl Admin {
    /// All configs of one resource, by name.
    pub async fn describe_configs(&self, resource: &ConfigResource) -> Result<Vec<ConfigEntry>, Error> {
        self.describe_configs_with(resource, ConfigDetails::default()).await
    }

    /// All configs of one resource, by name.
    pub async fn describe_configs_with(
        &self,
        resource: &ConfigResource,
        details: ConfigDetails,
    ) -> Result<Vec<ConfigEntry>, Error> {
        let (resource_type, resource_name) = resource.key();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: resource_name.clone(),
                configuration_keys: None,
            }],
            include_synonyms: details.synonyms,
            include_documentation: details.documentation,
        };
        let response = self.call_about(resource, &request).await?;
        let subject = Str::from(resource.to_string());
        let answers = response.results.iter().map(|result| {
            let mut entries: Vec<ConfigEntry> = result.configs.iter().map(entry).collect();
            entries.sort_by(|a, b| a.name.cmp(&b.name));
            let result = outcome(&subject, result.error_code, result.error_message.as_ref(), entries);
            (subject.clone(), result)
        });
        only(&subject, answers.collect())
    }

    /// Changes some configs of one resource, all of them or none; the others stay as they are.
    pub async fn incremental_alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[(Str, AlterOp)],
        validate_only: bool,
    ) -> Result<(), Error> {
        let (resource_type, resource_name) = resource.key();
        let config = |(name, op): &(Str, AlterOp)| AlterableConfig {
            name: name.clone(),
            config_operation: op.code(),
            value: op.value().cloned(),
        };
        let configs = changes.iter().map(config).collect();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource { resource_type, resource_name, configs }],
            validate_only,
        };
        let response = self.call_about(resource, &request).await?;
        let subject = Str::from(resource.to_string());
        let answers = response.responses.iter().map(|answer| {
            let result = outcome(&subject, answer.error_code, answer.error_message.as_ref(), ());
            (subject.clone(), result)
        });
        only(&subject, answers.collect())
    }

    /// What has configs, or could have: topics and brokers always, the others when some were set (KIP-1142). All kinds
    /// if none is given. Brokers before Kafka 4.1 know no other kind than client metrics.
    pub async fn list_config_resources(&self, kinds: &[ConfigKind]) -> Result<Vec<ConfigResource>, Error> {
        /// Before it, metrics subscriptions are all that is listed.
        const WITH_KINDS: i16 = 1;
        let asked = if kinds.is_empty() { &ConfigKind::ALL[..] } else { kinds };
        let connection = self.cluster.any().await?;
        let resource_types = match connection.newest::<ListConfigResourcesRequest>()? {
            version if version >= WITH_KINDS => asked.iter().map(|kind| kind.code()).collect(),
            _ if asked == [ConfigKind::ClientMetrics] => Vec::new(),
            _ => {
                return Err(Error::Unsupported {
                    address: connection.address().to_owned(),
                    api: ListConfigResourcesRequest::KEY,
                });
            }
        };
        let response = connection.call(&ListConfigResourcesRequest { resource_types }).await?;
        match ErrorCode::from(response.error_code) {
            ErrorCode::None => {}
            code => return Err(refused("ListConfigResources", code, None)),
        }
        let resource = |one: &protocol::messages::list_config_resources_response::ConfigResource| {
            ConfigResource::from_key(one.resource_type, &one.resource_name)
        };
        let mut resources: Vec<ConfigResource> =
            response.config_resources.iter().filter_map(resource).collect();
        resources.sort();
        Ok(resources)
    }

    /// A broker knows and changes its own configs only; about all else any broker can be asked.
    async fn call_about<R: Request>(
        &self,
        resource: &ConfigResource,
        request: &R,
    ) -> Result<R::Response, Error> {
        match resource {
            ConfigResource::Broker(id) => self.cluster.connection(*id).await?.call(request).await,
            _ => self.cluster.call(request).await,
        }
    }
}

/// The answer to a question about one thing.
fn only<T>(subject: &Str, answers: BTreeMap<Str, Result<T, Error>>) -> Result<T, Error> {
    let all: Results<T> = in_order([subject.clone()], answers);
    let missing = || Err(refused(subject.as_str(), ErrorCode::UnknownServerError, None));
    all.into_iter().next().map_or_else(missing, |(_, result)| result)
}

fn entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.detached(),
        value: config.value.as_ref().map(Str::detached),
        source: ConfigSource::from_code(config.config_source),
        is_sensitive: config.is_sensitive,
        is_read_only: config.read_only,
        synonyms: config.synonyms.iter().map(synonym).collect(),
        documentation: config.documentation.as_ref().map(Str::detached),
    }
}

fn synonym(synonym: &DescribeConfigsSynonym) -> ConfigSynonym {
    ConfigSynonym {
        name: synonym.name.detached(),
        value: synonym.value.as_ref().map(Str::detached),
        source: ConfigSource::from_code(synonym.source),
    }
}
