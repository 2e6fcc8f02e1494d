//! The traits of generated messages.

use std::fmt;

use bytes::Bytes;

use super::{Error, Frame, Reader, Writer};
use crate::ApiKey;

/// An inclusive range of versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    pub min: i16,
    pub max: i16,
}

impl VersionRange {
    pub const fn new(min: i16, max: i16) -> VersionRange {
        VersionRange { min, max }
    }

    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }

    pub fn iter(self) -> impl DoubleEndedIterator<Item = i16> {
        self.min..=self.max
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// A struct of some message: its fields as they are in a version, without header or checks of the version.
pub trait Codec: Default {
    /// Reads into the default. In place: a struct that is returned is moved at every level, each time right behind the
    /// writes of its fields, for which the processor has to wait. That was a quarter of the time of a small request.
    fn read_into(&mut self, r: &mut Reader<'_>, version: i16) -> Result<(), Error>;

    fn read(r: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        let mut this = Self::default();
        this.read_into(r, version)?;
        Ok(this)
    }

    /// Errors stay in the writer until [`Writer::finish`].
    fn write(&self, w: &mut Writer, version: i16);
}

/// A whole message: request, response, header, or data that is kept in records.
pub trait Message: Codec + Clone + fmt::Debug + PartialEq + Send + Sync + 'static {
    /// Kafka's name, for example `FetchRequest`.
    const NAME: &'static str;
    const VERSIONS: VersionRange;
    /// The first version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: Option<i16>;

    fn check_version(version: i16) -> Result<(), Error> {
        let versions = Self::VERSIONS;
        if versions.contains(version) {
            return Ok(());
        }
        Err(Error::UnsupportedVersion { message: Self::NAME, version, versions })
    }

    /// Reads the message and leaves in `r` what follows it.
    fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, Error> {
        Self::check_version(version)?;
        Self::read(r, version)
    }

    /// Appends the message to what `w` holds.
    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), Error> {
        Self::check_version(version)?;
        self.write(w, version);
        w.status()
    }

    /// The message alone, without length or header.
    fn to_bytes(&self, version: i16) -> Result<Bytes, Error> {
        self.to_frame(version)?.into_bytes()
    }

    fn to_frame(&self, version: i16) -> Result<Frame, Error> {
        let mut w = Writer::new();
        self.encode(&mut w, version)?;
        w.finish()
    }

    /// The inverse of [`Message::to_bytes`]; nothing may follow the message.
    fn from_bytes(bytes: &Bytes, version: i16) -> Result<Self, Error> {
        let mut r = Reader::new(bytes);
        let message = Self::decode(&mut r, version)?;
        r.finish()?;
        Ok(message)
    }

    /// The message after its version as an `int16`: keys and values of internal topics, subscriptions and assignments.
    fn to_versioned_bytes(&self, version: i16) -> Result<Bytes, Error> {
        let mut w = Writer::new();
        w.i16(version);
        self.encode(&mut w, version)?;
        w.finish()?.into_bytes()
    }

    /// The inverse of [`Message::to_versioned_bytes`].
    fn from_versioned_bytes(bytes: &Bytes) -> Result<(i16, Self), Error> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        let message = Self::decode(&mut r, version)?;
        r.finish()?;
        Ok((version, message))
    }

    /// As [`Message::from_versioned_bytes`], for data whose newer versions contain the older ones: what is newer than we
    /// know is read as our newest, and what follows is left.
    fn read_versioned(bytes: &Bytes) -> Result<(i16, Self), Error> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?.min(Self::VERSIONS.max);
        Ok((version, Self::decode(&mut r, version)?))
    }
}

/// A message that a client sends.
pub trait Request: Message {
    const KEY: ApiKey;
    type Response: Response<Request = Self>;
}

/// The answer to a [`Request`].
pub trait Response: Message {
    const KEY: ApiKey;
    type Request: Request<Response = Self>;
}
