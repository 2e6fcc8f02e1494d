//! What a broker speaks: asked first on every connection (KIP-35).

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::api_versions_response::ApiVersionsResponse;
use protocol::{ApiKey, ErrorCode, Str, VersionRange};

use crate::{Connection, Error};

/// The versions that one broker speaks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Versions {
    by_key: BTreeMap<i16, VersionRange>,
}

impl Versions {
    pub(crate) fn of(&self, api: ApiKey) -> Option<VersionRange> {
        self.by_key.get(&api.code()).copied()
    }
}

/// Our newest version of ApiVersions that does not name the node we expect.
const NEWEST: i16 = 4;
/// What every broker answers.
const OLDEST: i16 = 0;

pub(crate) async fn versions(connection: &Connection) -> Result<Versions, Error> {
    let request = ApiVersionsRequest {
        client_software_name: Str::from("bourn"),
        client_software_version: Str::from(env!("CARGO_PKG_VERSION")),
        ..Default::default()
    };
    let mut response = ask(connection, NEWEST, &request).await?;
    if ErrorCode::from(response.error_code) == ErrorCode::UnsupportedVersion {
        response = ask(connection, OLDEST, &request).await?;
    }
    match ErrorCode::from(response.error_code) {
        ErrorCode::None => {}
        code => {
            let subject = format!("ApiVersions at {}", connection.address());
            return Err(Error::Refused { subject, code, message: None });
        }
    }
    let range = |api: &protocol::messages::api_versions_response::ApiVersion| {
        (api.api_key, VersionRange::new(api.min_version, api.max_version))
    };
    Ok(Versions { by_key: response.api_keys.iter().map(range).collect() })
}

/// A broker that does not know the version answers in version 0, whatever was asked.
async fn ask(
    connection: &Connection,
    version: i16,
    request: &ApiVersionsRequest,
) -> Result<ApiVersionsResponse, Error> {
    let frame = connection.send(version, request).await?.frame(Duration::ZERO).await?;
    let decode = |version| protocol::rpc::decode_response::<ApiVersionsRequest>(&frame, version);
    let oldest = decode(OLDEST).map(|(_, response)| response);
    if let Ok(response) = &oldest
        && ErrorCode::from(response.error_code) == ErrorCode::UnsupportedVersion
    {
        return oldest.map_err(|error| connection.malformed(error));
    }
    decode(version).map(|(_, response)| response).map_err(|error| connection.malformed(error))
}
