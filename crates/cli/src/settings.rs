//! What a node is started with: the file, the environment over it, the arguments over both, and then what references
//! in values stand for.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, bail};
use metadata::config::{Note, Outside, StaticConfig, decode_properties, from_environment};

/// The configs, and what is worth saying about them.
pub(crate) struct Settings {
    pub(crate) statics: StaticConfig,
    pub(crate) notes: Vec<Note>,
    /// Names of configs that environment variables have set.
    pub(crate) from_environment: Vec<String>,
}

pub(crate) fn load(
    file: Option<&Path>,
    sets: &[String],
    data_dir: Option<&Path>,
) -> anyhow::Result<Settings> {
    let mut statics = match file {
        Some(path) => {
            let bytes = std::fs::read(path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            StaticConfig::from_properties(&decode_properties(bytes))
                .with_context(|| format!("cannot parse the configuration {}", path.display()))?
        }
        None => StaticConfig::new(),
    };
    // What is not UTF-8 is the name or value of something else.
    let variables: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables = from_environment(variables)?;
    let from_environment = variables.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in variables {
        statics.set(name, value);
    }
    for set in sets {
        let Some((name, value)) = set.split_once('=') else {
            bail!("--set {set}: expected NAME=VALUE, for example --set num.partitions=3");
        };
        statics.set(name.trim(), value.trim());
    }
    if let Some(data_dir) = data_dir {
        let Some(path) = data_dir.to_str() else {
            bail!("--data-dir {}: the path is not UTF-8", data_dir.display());
        };
        let is_directory =
            |set: &&String| matches!(set.split('=').next().map(str::trim), Some("log.dirs" | "log.dir"));
        if let Some(set) = sets.iter().find(is_directory) {
            bail!("--data-dir {path} and --set {set} both say where data is kept: give one of them");
        }
        statics.set("log.dirs", path);
    }
    let notes = statics.replace_references(&Machine).map_err(|errors| unusable(&errors))?;
    Ok(Settings { statics, notes, from_environment })
}

/// All that is wrong with a configuration, a line each.
pub(crate) fn unusable(errors: &[impl std::fmt::Display]) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(|error| format!("\n  {error}")).collect();
    anyhow::anyhow!("the configuration cannot be used:{}", lines.concat())
}

struct Machine;

impl Outside for Machine {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn text(&self, path: &Path) -> Result<Option<String>, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
}
