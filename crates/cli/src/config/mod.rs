//! `bourn config`: configs of topics, brokers, metrics subscriptions and groups; one module a subcommand.

mod alter;
mod describe;
mod list;

use anyhow::{Context, bail};
use client::admin::{ConfigKind, ConfigResource};
use protocol::{NodeId, Str};

use crate::context::Globals;

#[derive(clap::Subcommand)]
pub(crate) enum Config {
    /// Show configs with where each value comes from and what it would be otherwise
    Describe(describe::Describe),
    /// Change configs; whatever is not named stays as it is
    Alter(alter::Alter),
    /// List what has configs
    List(list::List),
}

impl Config {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        match self {
            Self::Describe(describe) => describe.run(globals),
            Self::Alter(alter) => alter.run(globals),
            Self::List(list) => list.run(globals),
        }
    }
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[value(alias = "topics")]
    Topic,
    #[value(alias = "brokers")]
    Broker,
    ClientMetrics,
    #[value(alias = "groups")]
    Group,
}

impl Kind {
    fn of(kind: ConfigKind) -> Self {
        match kind {
            ConfigKind::Topic => Self::Topic,
            ConfigKind::Broker => Self::Broker,
            ConfigKind::ClientMetrics => Self::ClientMetrics,
            ConfigKind::Group => Self::Group,
        }
    }

    fn kind(self) -> ConfigKind {
        match self {
            Self::Topic => ConfigKind::Topic,
            Self::Broker => ConfigKind::Broker,
            Self::ClientMetrics => ConfigKind::ClientMetrics,
            Self::Group => ConfigKind::Group,
        }
    }

    /// As users write it.
    fn name(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Broker => "broker",
            Self::ClientMetrics => "client-metrics",
            Self::Group => "group",
        }
    }
}

/// What has the configs.
#[derive(clap::Args)]
struct Target {
    /// What has the configs
    #[arg(value_enum, value_name = "KIND")]
    kind: Kind,
    /// Its name, or the id of a broker; without one, what is set on all brokers at once
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl Target {
    fn resource(&self) -> anyhow::Result<ConfigResource> {
        let Some(name) = &self.name else {
            if self.kind == Kind::Broker {
                return Ok(ConfigResource::BrokerDefaults);
            }
            bail!("which {}? `bourn config list` shows what there is", self.kind.name());
        };
        Ok(match self.kind {
            Kind::Topic => ConfigResource::Topic(Str::from(name)),
            Kind::ClientMetrics => ConfigResource::ClientMetrics(Str::from(name)),
            Kind::Group => ConfigResource::Group(Str::from(name)),
            Kind::Broker => {
                let id = name.parse().with_context(|| format!("{name:?} is no id of a broker"))?;
                ConfigResource::Broker(NodeId(id))
            }
        })
    }
}

/// What has no name is all brokers.
fn name_of(resource: &ConfigResource) -> Option<String> {
    match resource {
        ConfigResource::Topic(name) | ConfigResource::ClientMetrics(name) | ConfigResource::Group(name) => {
            Some(name.to_string())
        }
        ConfigResource::Broker(id) => Some(id.to_string()),
        ConfigResource::BrokerDefaults => None,
    }
}
