//! What is known about each API: versions, header versions, where it is served.
//!
//! Owns: the rules about API keys that the schemas do not carry.
//!
//! Does not know: which of them this broker serves.

pub use crate::generated::api::ApiKey;
use crate::generated::api::{ROWS, TABLE};
use crate::wire::{Error, VersionRange};

#[derive(Clone, Copy, Debug)]
pub struct ApiInfo {
    pub key: ApiKey,
    pub name: &'static str,
    /// Those that the schema describes.
    pub versions: VersionRange,
    /// The newest version that is not marked unstable.
    pub stable_max: i16,
    pub flexible_from: Option<i16>,
    pub listeners: Listeners,
}

/// Where Kafka serves an API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listeners {
    pub broker: bool,
    pub controller: bool,
}

impl ApiInfo {
    pub(crate) const fn new(
        key: ApiKey,
        name: &'static str,
        versions: (i16, i16),
        stable_max: i16,
        flexible_from: Option<i16>,
        broker: bool,
        controller: bool,
    ) -> ApiInfo {
        let versions = VersionRange::new(versions.0, versions.1);
        let listeners = Listeners { broker, controller };
        ApiInfo { key, name, versions, stable_max, flexible_from, listeners }
    }
}

impl ApiKey {
    /// `None` if no live API has this number.
    pub fn known(key: i16) -> Option<ApiKey> {
        let row = ROWS.get(usize::try_from(key).ok()?)?;
        TABLE.get(usize::from(*row)).map(|info| info.key)
    }

    /// Every live API by ascending key.
    pub fn all() -> impl Iterator<Item = ApiKey> {
        TABLE.iter().map(|info| info.key)
    }

    pub const fn code(self) -> i16 {
        self as i16
    }

    pub const fn info(self) -> &'static ApiInfo {
        #[expect(clippy::indexing_slicing, reason = "the generator writes keys, rows and table together")]
        &TABLE[ROWS[self as usize] as usize]
    }

    /// Kafka's name, without `Request`.
    pub const fn name(self) -> &'static str {
        self.info().name
    }

    /// The versions that can be encoded and decoded.
    pub const fn versions(self) -> VersionRange {
        self.info().versions
    }

    /// The versions that a server which implements all of them tells clients: no unstable one, and Produce from 0 although
    /// 0-2 are refused, since older librdkafka gives up compression otherwise (KAFKA-18659).
    pub const fn advertised(self) -> VersionRange {
        let info = self.info();
        match self {
            ApiKey::Produce => VersionRange::new(0, info.stable_max),
            _ => VersionRange::new(info.versions.min, info.stable_max),
        }
    }

    pub const fn is_flexible(self, version: i16) -> bool {
        match self.info().flexible_from {
            Some(from) => version >= from,
            None => false,
        }
    }

    /// Also right for versions that are not supported, so that such a request can still be answered.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// ApiVersions always answers with header 0: the client does not know yet what the server understands (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

impl TryFrom<i16> for ApiKey {
    type Error = Error;

    fn try_from(key: i16) -> Result<ApiKey, Error> {
        ApiKey::known(key).ok_or(Error::UnknownApiKey { key })
    }
}

impl From<ApiKey> for i16 {
    fn from(key: ApiKey) -> i16 {
        key.code()
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_91_live_keys() {
        assert_eq!(ApiKey::all().count(), 91);
        for key in ApiKey::all() {
            assert_eq!(key.info().key, key);
            assert_eq!(ApiKey::try_from(key.code()), Ok(key));
            assert_eq!(format!("{key:?}"), key.name());
        }
        // ZooKeeper's, removed in 4.0, and the one after the last.
        for key in [4, 5, 6, 7, 95, -1] {
            assert_eq!(ApiKey::try_from(key), Err(Error::UnknownApiKey { key }));
        }
    }

    #[test]
    fn what_is_advertised_differs_from_the_schema_twice() {
        let differing: Vec<_> = ApiKey::all().filter(|key| key.advertised() != key.versions()).collect();
        assert_eq!(differing, [ApiKey::Produce, ApiKey::InitProducerId]);
        assert_eq!(ApiKey::Produce.advertised(), VersionRange::new(0, 13));
        assert_eq!(ApiKey::InitProducerId.advertised(), VersionRange::new(0, 5));
    }

    #[test]
    fn header_versions() {
        for (key, version, request, response) in [
            (ApiKey::Produce, 8, 1, 0),
            (ApiKey::Produce, 9, 2, 1),
            (ApiKey::ApiVersions, 2, 1, 0),
            (ApiKey::ApiVersions, 3, 2, 0),
            (ApiKey::ApiVersions, 99, 2, 0),
            (ApiKey::SaslHandshake, 1, 1, 0),
            (ApiKey::OffsetDelete, 0, 1, 0),
        ] {
            let versions = (key.request_header_version(version), key.response_header_version(version));
            assert_eq!(versions, (request, response), "{key} {version}");
        }
    }
}
