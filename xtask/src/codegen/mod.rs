//! `cargo xtask codegen`: Kafka's message definitions into `crates/protocol/src/generated/`.
//!
//! Owns: reading the definitions out of the `kafka-clients` jar and writing Rust for each of them.
//!
//! Invariants:
//! * Only facts are carried over: names, types, versions, defaults. No prose.
//! * The same jar gives the same bytes.
//!
//! Does not know: how the primitives are encoded; that is `protocol::wire`.

mod emit;
mod emit_codec;
mod emit_index;
mod extensions;
mod jar;
mod model;
mod names;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use model::Message;

const OUTPUT: &str = "crates/protocol/src/generated";

/// `codegen [--jar PATH] [--check]`
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let mut path = None;
    let mut check = false;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--jar" => path = Some(PathBuf::from(arguments.next().context("--jar wants a path")?)),
            "--check" => check = true,
            other => anyhow::bail!("{other:?}: usage is cargo xtask codegen [--jar PATH] [--check]"),
        }
    }
    let root = crate::root();
    let Some(path) = jar::locate(&root, path, !check)? else {
        println!("codegen: {} is not here, nothing to compare with", jar::COORDINATES);
        return Ok(ExitCode::SUCCESS);
    };
    let files = generate(&path).with_context(|| format!("definitions in {}", path.display()))?;
    let fresh = root.join("target").join("codegen");
    write_formatted(&root, &fresh, &files)?;
    let output = root.join(OUTPUT);
    if check {
        return compare(&fresh, &output, &files);
    }
    if output.is_dir() {
        std::fs::remove_dir_all(&output)?;
    }
    std::fs::create_dir_all(&output)?;
    for name in files.keys() {
        std::fs::copy(fresh.join(name), output.join(name))?;
    }
    println!("codegen: {} files in {OUTPUT}", files.len());
    Ok(ExitCode::SUCCESS)
}

/// File names and contents, not yet formatted.
fn generate(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut messages: Vec<Message> = Vec::new();
    for (name, text) in jar::definitions(path)? {
        let definition = schema::parse(&text).with_context(|| name.clone())?;
        messages.extend(Message::resolve(&definition).with_context(|| name.clone())?);
    }
    messages.sort_by(|one, other| one.name.cmp(&other.name));
    let structs = messages.iter().flat_map(|message| &message.structs);
    let sensitive = structs.flat_map(|structure| &structure.fields).filter(|field| field.sensitive).count();
    ensure!(
        sensitive >= names::sensitive_count(),
        "{sensitive} sensitive fields found, {} are listed: one was renamed",
        names::sensitive_count()
    );
    let mut files = BTreeMap::new();
    for message in &messages {
        files.insert(format!("{}.rs", names::snake_case(&message.name)), emit::message(message)?);
    }
    files.insert("mod.rs".to_owned(), emit_index::module(&messages));
    files.insert("api.rs".to_owned(), emit_index::api(&messages)?);
    files.insert("catalog.rs".to_owned(), emit_index::catalog(&messages));
    Ok(files)
}

fn write_formatted(root: &Path, directory: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    if directory.is_dir() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.arg("--edition").arg("2024").arg("--config-path").arg(root);
    for (name, text) in files {
        let path = directory.join(name);
        std::fs::write(&path, text)?;
        rustfmt.arg(path);
    }
    let status = rustfmt.status().context("rustfmt")?;
    ensure!(status.success(), "rustfmt: {status}");
    Ok(())
}

fn compare(fresh: &Path, output: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<ExitCode> {
    let mut differences = Vec::new();
    for name in files.keys() {
        if std::fs::read(output.join(name)).ok() != Some(std::fs::read(fresh.join(name))?) {
            differences.push(name.clone());
        }
    }
    for entry in std::fs::read_dir(output)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !files.contains_key(&name) {
            differences.push(name);
        }
    }
    if differences.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("codegen: {OUTPUT} is not what the generator writes: {}", differences.join(", "));
    Ok(ExitCode::FAILURE)
}
