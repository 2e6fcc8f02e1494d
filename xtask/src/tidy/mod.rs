//! `cargo xtask tidy`: the rules of the repository that the compiler does not check.
//!
//! Owns: which crate may use which, what a pure crate must not touch, sizes of files and functions, manners of tests.
//! The rules that name crates and paths are data, in `layers.toml`.
//!
//! Does not know: Rust's grammar. It reads source as text with comments and strings blanked out, which is enough for
//! the questions asked here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

mod layers;
mod manners;
mod paths;
mod sizes;
mod source;

use layers::Layers;
use source::Source;

/// One breach of a rule, or (as advice) one that is near.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from one; the whole file is line one.
    line: usize,
    advice: bool,
    /// What is there.
    what: String,
    /// Why it is not wanted.
    why: String,
    /// What to do.
    fix: String,
}

impl Finding {
    fn new(
        path: &str,
        line: usize,
        what: impl Into<String>,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) -> Finding {
        let (what, why, fix) = (what.into(), why.into(), fix.into());
        Finding { path: path.to_owned(), line, advice: false, what, why, fix }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.advice { "advice: " } else { "" };
        write!(f, "{}:{}: {kind}{}: {}; {}", self.path, self.line, self.what, self.why, self.fix)
    }
}

/// A crate of the workspace: its folder in the repository and its manifest.
#[derive(Debug)]
struct Package {
    name: String,
    folder: String,
    manifest: toml::Table,
}

/// Runs every check over the workspace and prints what it finds.
pub(crate) fn run(_arguments: &[String]) -> anyhow::Result<ExitCode> {
    let root = crate::root();
    let files = tracked_files(&root)?;
    let layers = Layers::parse(&read(&root, "layers.toml")?).context("layers.toml")?;
    let packages = packages(&root, &files)?;
    let sources = sources(&root, &files, &packages)?;

    let mut findings = layers.check(&packages);
    for source in &sources {
        findings.extend(paths::check(source, &layers));
        findings.extend(sizes::check(source));
        findings.extend(manners::check_source(source));
    }
    findings.extend(sizes::check_median(&sources));
    for file in &files {
        // Compiled classes, pictures and the like are not text.
        if let Ok(text) = std::fs::read_to_string(root.join(file)) {
            findings.extend(manners::check_text(file, &text));
        }
    }
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    let refused = findings.iter().filter(|finding| !finding.advice).count();
    println!(
        "tidy: {} crates, {} source files, median {} lines, {refused} findings, {} pieces of advice",
        packages.len(),
        sources.len(),
        sizes::median(&sources),
        findings.len() - refused
    );
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What git tracks and what it would track: a file that was just made counts, build output does not.
fn tracked_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .context("git ls-files")?;
    anyhow::ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let names: BTreeSet<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
    Ok(names.into_iter().filter(|name| root.join(name).is_file()).map(str::to_owned).collect())
}

fn packages(root: &Path, files: &[String]) -> anyhow::Result<Vec<Package>> {
    let mut packages = Vec::new();
    for file in files.iter().filter(|file| file.ends_with("/Cargo.toml")) {
        let manifest: toml::Table = read(root, file)?.parse().with_context(|| file.clone())?;
        let name =
            manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
        let Some(name) = name.map(str::to_owned) else { continue };
        let folder = file.trim_end_matches("/Cargo.toml").to_owned();
        packages.push(Package { name, folder, manifest });
    }
    Ok(packages)
}

fn sources(root: &Path, files: &[String], packages: &[Package]) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for file in files.iter().filter(|file| file.ends_with(".rs")) {
        // One may lie in another: the innermost.
        let owner = packages
            .iter()
            .filter(|package| {
                file.strip_prefix(&package.folder).is_some_and(|inside| inside.starts_with('/'))
            })
            .max_by_key(|package| package.folder.len());
        if let Some(owner) = owner {
            sources.push(Source::new(&owner.name, file, read(root, file)?));
        }
    }
    source::mark_test_modules(&mut sources);
    Ok(sources)
}

fn read(root: &Path, file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| file.to_owned())
}
