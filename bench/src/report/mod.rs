//! What was measured, raw, and what is made of it.
//!
//! A number is a [`Sample`]; nothing is averaged before the table is made, so a table can be made again from the file.

mod goals;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub(crate) const KAFKA: &str = "kafka";
pub(crate) const BOURN: &str = "bourn";
pub(crate) const FLOOR: &str = "floor";

/// For every case, or every driver, that has no sample of its own.
pub(crate) const ANY: &str = "*";

/// What a number is of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Label {
    pub(crate) work: String,
    pub(crate) case: String,
    /// The program that put the load on.
    pub(crate) driver: String,
}

impl Label {
    pub(crate) fn new(work: &str, case: impl Into<String>, driver: &str) -> Self {
        Self { work: work.to_owned(), case: case.into(), driver: driver.to_owned() }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Sample {
    pub(crate) turn: u32,
    pub(crate) system: String,
    #[serde(flatten)]
    pub(crate) label: Label,
    pub(crate) metric: String,
    pub(crate) value: f64,
}

/// Where and with what a run was made.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct About {
    pub(crate) size: String,
    pub(crate) kafka: String,
    pub(crate) java: String,
    pub(crate) bourn: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) about: About,
    pub(crate) samples: Vec<Sample>,
    /// What could not be measured, and why.
    #[serde(default)]
    pub(crate) failures: Vec<String>,
}

impl Run {
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    pub(crate) fn markdown(&self) -> String {
        table::markdown(self)
    }
}

#[derive(clap::Args)]
pub(crate) struct Again {
    /// What `compare --output` has written; the samples of several files make one table
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Again {
    pub(crate) fn run(self) -> Result<()> {
        let mut all = Run::default();
        for path in &self.files {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            let run: Run = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
            let turns = all.samples.iter().map(|sample| sample.turn).max().unwrap_or(0);
            let later = run.samples.into_iter().map(|sample| Sample { turn: sample.turn + turns, ..sample });
            all.samples.extend(later);
            all.failures.extend(run.failures);
            all.about = run.about;
        }
        print!("{}", all.markdown());
        Ok(())
    }
}
