//! [`Definition`]: all there is to know about one config.

/// The type of a value; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

impl Kind {
    pub const fn id(self) -> i8 {
        self as i8
    }

    pub const fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::String => "string",
            Kind::Int => "int",
            Kind::Short => "short",
            Kind::Long => "long",
            Kind::Double => "double",
            Kind::List => "list",
            Kind::Class => "class",
            Kind::Password => "password",
        }
    }
}

/// Which values of its type a config takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// Anything below 0 is no limit.
    PositiveOrUnlimited,
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// A list of these.
    EachOf(&'static [&'static str]),
    NotEmpty,
    /// 1 to 9, or -1 for the default of the library.
    GzipLevel,
    /// `*`, or `partition:broker` elements.
    ThrottledReplicas,
    /// `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    OffsetReset,
    /// `address:number` elements.
    PerIpOverrides,
    /// A list of `what=pattern`, what being something that is known of a client (KIP-714).
    ClientMatch,
    /// Nothing: who sets it would rely on what is not there.
    NoAuthorizer,
}

/// What kind of resource has the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Broker,
    Topic,
    Group,
    ClientMetrics,
}

impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Broker => "broker",
            Scope::Topic => "topic",
            Scope::Group => "group",
            Scope::ClientMetrics => "client metrics",
        }
    }
}

/// How a value changes while the broker runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Only by a restart.
    ReadOnly,
    /// For one broker at a time.
    PerBroker,
    /// For one broker or for all of them.
    ClusterWide,
}

impl Update {
    pub const fn name(self) -> &'static str {
        match self {
            Update::ReadOnly => "read-only",
            Update::PerBroker => "per-broker",
            Update::ClusterWide => "cluster-wide",
        }
    }
}

/// How soon somebody will want to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl Importance {
    pub const fn name(self) -> &'static str {
        match self {
            Importance::High => "high",
            Importance::Medium => "medium",
            Importance::Low => "low",
        }
    }
}

/// One config.
#[derive(Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: &'static str,
    pub scope: Scope,
    pub kind: Kind,
    /// As it would be written; `None` for no value at all.
    pub default: Option<&'static str>,
    pub valid: Valid,
    pub importance: Importance,
    pub update: Update,
    pub doc: &'static str,
    /// Why it is accepted and does nothing here, if so.
    pub no_effect: Option<&'static str>,
}

impl Definition {
    /// Whether the value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// What DescribeConfigs tells of it.
    pub fn documentation(&self) -> String {
        match self.no_effect {
            None => self.doc.to_owned(),
            Some(reason) => format!("{} Has no effect here: {reason}.", self.doc),
        }
    }

    /// Whether one of ours, not of Kafka.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("bourn.")
    }
}
