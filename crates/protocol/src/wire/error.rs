//! What can be wrong with bytes from a peer, or with a message that is to be written.

use super::VersionRange;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{what}: wanted {wanted} bytes, {left} left")]
    Truncated { what: &'static str, wanted: usize, left: usize },
    #[error("{what}: {length} is no valid length")]
    InvalidLength { what: &'static str, length: i64 },
    #[error("{what}: {count} elements, {limit} allowed")]
    TooMany { what: &'static str, count: usize, limit: usize },
    #[error("{what}: {length} bytes, {limit} allowed")]
    TooLong { what: &'static str, length: usize, limit: usize },
    #[error("varint of more than five bytes")]
    InvalidVarint,
    #[error("{what}: not UTF-8")]
    InvalidUtf8 { what: &'static str },
    #[error("{what} may not be null here")]
    Null { what: &'static str },
    #[error("tagged field {tag}: {left} of its {size} bytes do not belong to it")]
    TagSize { tag: u32, size: usize, left: usize },
    #[error("{what} is set but version {version} has no such field")]
    NotInVersion { what: &'static str, version: i16 },
    #[error("{message} has versions {versions}, not {version}")]
    UnsupportedVersion { message: &'static str, version: i16, versions: VersionRange },
    #[error("api key {key} is not known")]
    UnknownApiKey { key: i16 },
    #[error("{left} bytes follow the message")]
    TrailingBytes { left: usize },
    #[error("the message refers to a file and has no bytes in memory")]
    NotInMemory,
}
