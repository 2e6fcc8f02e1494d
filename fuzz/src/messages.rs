//! Every message in every version that it has: requests, responses, headers, and what is kept in records.
//!
//! Checked: what can be read can be written, and what was written is read and written as the same bytes.

use bytes::Bytes;
use protocol::ApiKey;
use protocol::testing::{Entry, catalog};
use protocol::wire::Error;

use crate::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let entry = input.pick(catalog());
    let versions: Vec<i16> = entry.versions.iter().collect();
    let version = input.pick(&versions);
    recode(&entry, version, &Bytes::copy_from_slice(input.rest()));
}

/// The same for the request of a frame, whose version is whatever the frame says.
pub(crate) fn recode_request(key: ApiKey, version: i16, body: &Bytes) {
    let is_it = |entry: &&Entry| entry.api_key == Some(key.code()) && entry.name.ends_with("Request");
    let entry = catalog().iter().find(is_it).expect("every key has a request");
    recode(entry, version, body);
}

fn recode(entry: &Entry, version: i16, bytes: &Bytes) {
    let written = match (entry.recode)(bytes, version) {
        Ok(written) => written,
        Err(error) => {
            let is_of_writing = matches!(error, Error::NotInVersion { .. } | Error::NotInMemory);
            assert!(
                !is_of_writing,
                "{} version {version} was read and cannot be written: {error}",
                entry.name
            );
            return;
        }
    };
    let again = (entry.recode)(&written, version);
    assert_eq!(again.as_ref(), Ok(&written), "{} version {version}", entry.name);
}
