//! Writes what this crate believes about the protocol, one fact a line, for another implementation to check:
//! random messages in every version, the table of APIs, error codes and uuids. See `compat/codec`.

use std::io::{BufWriter, Write};

use bytes::Bytes;
use protocol::testing::{Gen, catalog};
use protocol::{ApiKey, ErrorCode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut seed = 1_u64;
    let mut count = 20_u64;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or("an option wants a value")?.parse()?;
        match argument.as_str() {
            "--seed" => seed = value,
            "--count" => count = value,
            other => return Err(format!("{other}: usage is codec_vectors [--seed N] [--count N]").into()),
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    apis(&mut out)?;
    for error in ErrorCode::all() {
        writeln!(out, "error {} {} {}", error.code(), error.name(), error.is_retriable())?;
    }
    let mut g = Gen::new(seed);
    for _ in 0..count {
        let uuid = g.uuid();
        writeln!(out, "uuid {} {uuid}", hex(uuid.as_bytes()))?;
    }
    for entry in catalog() {
        for version in entry.versions.iter() {
            for _ in 0..count {
                let bytes: Bytes = (entry.random)(&mut g, version)?;
                writeln!(out, "message {} {version} {}", entry.name, hex(&bytes))?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

fn apis(out: &mut impl Write) -> std::io::Result<()> {
    for key in ApiKey::all() {
        let info = key.info();
        let (versions, on) = (info.versions, info.listeners);
        writeln!(
            out,
            "api {} {key} {} {} {} {} {}",
            key.code(),
            versions.min,
            versions.max,
            info.stable_max,
            on.broker,
            on.controller
        )?;
        for version in versions.iter() {
            let (request, response) =
                (key.request_header_version(version), key.response_header_version(version));
            writeln!(out, "header {} {version} {request} {response}", key.code())?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
