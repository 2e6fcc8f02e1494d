//! The `kafka-clients` jar: where it is and the definitions in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

pub(super) const COORDINATES: &str = "org.apache.kafka:kafka-clients:4.4.0";
const FILE: &str = "kafka-clients-4.4.0.jar";
/// Ignored by git; shared with the tests against Kafka's own tools.
const CACHE: &str = "compat/.cache/codec";
const DEFINITIONS: &str = "common/message/";
/// No definition comes near it.
const DEFINITION_BYTES_MAX: u64 = 1 << 20;

/// The jar that was asked for, the one in the cache, or the one of Maven's own cache; else Maven fetches it, if it may.
pub(super) fn locate(root: &Path, given: Option<PathBuf>, fetch: bool) -> anyhow::Result<Option<PathBuf>> {
    if let Some(given) = given {
        ensure!(given.is_file(), "no jar at {}", given.display());
        return Ok(Some(given));
    }
    let cache = root.join(CACHE);
    let cached = cache.join(FILE);
    if cached.is_file() {
        return Ok(Some(cached));
    }
    if let Some(home) = std::env::home_dir() {
        let local = home.join(".m2/repository/org/apache/kafka/kafka-clients/4.4.0").join(FILE);
        if local.is_file() {
            return Ok(Some(local));
        }
    }
    if !fetch {
        return Ok(None);
    }
    std::fs::create_dir_all(&cache)?;
    let status = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "dependency:copy"])
        .arg(format!("-Dartifact={COORDINATES}"))
        .arg(format!("-DoutputDirectory={}", cache.display()))
        .current_dir(&cache)
        .status()
        .with_context(|| format!("mvn, to fetch {COORDINATES}; or give the jar with --jar"))?;
    ensure!(status.success() && cached.is_file(), "mvn did not fetch {COORDINATES}: {status}");
    Ok(Some(cached))
}

/// Names and texts of the message definitions.
pub(super) fn definitions(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut archive = zip::ZipArchive::new(File::open(path)?)?;
    let mut definitions = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if name.starts_with(DEFINITIONS) && name.ends_with(".json") {
            let mut text = String::new();
            entry.take(DEFINITION_BYTES_MAX).read_to_string(&mut text).with_context(|| name.clone())?;
            definitions.insert(name, text);
        }
    }
    ensure!(!definitions.is_empty(), "no {DEFINITIONS}*.json");
    Ok(definitions)
}
