//! `cargo xtask fuzz`: runs libFuzzer on one of the targets of `fuzz/`, and keeps what was worth it.
//!
//! Found inputs collect in `fuzz/targets/corpus/TARGET`, which is not committed. `--minimise` leaves the few of them that reach
//! everything that all of them reach, and packs those into `fuzz/corpus/TARGET.zip`, which is.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

const USAGE: &str = "usage: cargo xtask fuzz TARGET [--seconds N] [--minimise]

  TARGET       batches, checkpoint, frames, indexes, journal, messages or segments
  --seconds N  how long [default: 60]
  --minimise   do not look for more, but keep the few inputs that reach everything

cargo-fuzz has to be there: cargo install cargo-fuzz";

/// Longer inputs are cut; all that a target does with one follows from fewer bytes.
const LENGTHS: [&str; 2] = ["-max_len=2048", "-len_control=20"];
/// What one input may take. AddressSanitizer comes on top.
const MEMORY: [&str; 2] = ["-rss_limit_mb=3000", "-malloc_limit_mb=500"];
/// Seconds that one input may take, on a busy machine.
const TIMEOUT: &str = "-timeout=60";

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let Some((target, options)) = arguments.split_first().filter(|(target, _)| !target.starts_with('-'))
    else {
        bail!("{USAGE}");
    };
    let (mut seconds, mut minimise) = (60_u64, false);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.as_str() {
            "--seconds" => {
                seconds =
                    options.next().and_then(|value| value.parse().ok()).context("--seconds takes a number")?
            }
            "--minimise" => minimise = true,
            _ => bail!("{USAGE}"),
        }
    }
    let fuzz = crate::root().join("fuzz");
    let (packed, found) =
        (fuzz.join(format!("corpus/{target}.zip")), fuzz.join(format!("targets/corpus/{target}")));
    fs::create_dir_all(&found)?;
    if packed.exists() {
        unpack(&packed, &found)?;
    }
    if minimise {
        let few = fuzz.join(format!("targets/corpus/{target}.few"));
        fs::create_dir_all(&few)?;
        ensure!(
            libfuzzer(target, &[&few, &found], &["-set_cover_merge=1".to_owned()])?,
            "the inputs could not be merged"
        );
        pack(&few, &packed)?;
        fs::remove_dir_all(&found)?;
        fs::rename(&few, &found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = [format!("-max_total_time={seconds}"), "-print_final_stats=1".to_owned()];
    Ok(if libfuzzer(target, &[&found], &options)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether it came to a good end.
fn libfuzzer(target: &str, corpus: &[&Path], options: &[String]) -> anyhow::Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(crate::root()).args([
        "fuzz",
        "run",
        "--fuzz-dir",
        "fuzz/targets",
        "--target-dir",
        "target/fuzz",
        "--release",
        "-a",
        target,
    ]);
    command.args(corpus).arg("--").args(options).args(MEMORY).args(LENGTHS).arg(TIMEOUT);
    // The instrumentation is not stable, though every toolchain has it.
    command.env("RUSTC_BOOTSTRAP", "1");
    Ok(command.status().context("cargo could not be started")?.success())
}

fn unpack(packed: &Path, to: &Path) -> anyhow::Result<()> {
    let mut archive = ZipArchive::new(File::open(packed)?).with_context(|| packed.display().to_string())?;
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at)?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        fs::write(to.join(&*entry.name()?), bytes)?;
    }
    Ok(())
}

/// The same inputs give the same archive.
fn pack(from: &Path, to: &Path) -> anyhow::Result<()> {
    let files = fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    files.sort();
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut archive = ZipWriter::new(File::create(to)?);
    let mut bytes = 0;
    for file in &files {
        let content = fs::read(file)?;
        bytes += content.len();
        let name = file.file_name().and_then(|name| name.to_str()).context("a name that is not text")?;
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(&content)?;
    }
    archive.finish()?;
    println!("{}: {} inputs, {bytes} bytes, {} packed", to.display(), files.len(), fs::metadata(to)?.len());
    Ok(())
}
