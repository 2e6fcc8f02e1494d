//! What can go wrong between a client and a cluster.

use protocol::{ApiKey, ErrorCode, Offset, records, wire};

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {address}: {reason}")]
    Connect { address: String, reason: String },
    #[error("the connection to {address} is gone: {reason}")]
    Disconnected { address: String, reason: String },
    #[error("{address} did not answer {api} within {ms} ms")]
    TimedOut { address: String, api: &'static str, ms: u64 },
    #[error("{address} does not speak {api:?} in a version that this client knows")]
    Unsupported { address: String, api: ApiKey },
    #[error("{address} sent something that is no answer: {error}")]
    Malformed { address: String, error: wire::Error },
    /// The broker's own words; `subject` is the topic, partition or setting it is about.
    #[error("{subject}: {} ({})", message.as_deref().unwrap_or(code.message()), code.name())]
    Refused { subject: String, code: ErrorCode, message: Option<String> },
    /// What a broker has sent, or a disk has kept, is not what was written.
    #[error("{subject} at offset {offset}: {error}")]
    Corrupt { subject: String, offset: Offset, error: records::Error },
    #[error("{what} after {ms} ms")]
    Expired { what: String, ms: u64 },
    #[error("the client has been closed")]
    Closed,
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// The broker's code, if it was a broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the same request may succeed later, here or at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Disconnected { .. } | Self::TimedOut { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Unsupported { .. }
            | Self::Malformed { .. }
            | Self::Corrupt { .. }
            | Self::Expired { .. }
            | Self::Closed
            | Self::Invalid(_) => false,
        }
    }
}
