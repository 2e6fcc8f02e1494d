//! `bourn start` as a process, and what is around it.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn start(directory: &Path, sets: &[&str]) -> Child {
    command(directory, sets).spawn().unwrap()
}

fn command(directory: &Path, sets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bourn"));
    command.args(["start", "--set", "listeners=PLAINTEXT://127.0.0.1:0", "--data-dir"]).arg(directory);
    for set in sets {
        command.args(["--set", set]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits until it is ready and ends it; it does so cleanly.
fn stop(process: &mut Child) {
    let mut ready = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let terminate = Command::new("kill").arg(process.id().to_string()).status().unwrap();
    assert!(terminate.success());
    let status = process.wait().unwrap();
    assert!(status.success(), "{ready:?}, then {status}");
}

/// The reader of the log may go away (`bourn start 2>&1 | head`), or its disk may be full: lines are lost then, and
/// nothing else. A panic of the logger once ended shards and kept a stop from being clean.
#[test]
fn goes_on_and_stops_cleanly_when_nobody_reads_its_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = start(directory.path(), &[]);
    drop(process.stderr.take());
    stop(&mut process);
}

#[test]
fn the_log_is_text_unless_json_is_asked_for() {
    for (sets, json) in
        [(&[][..], false), (&["bourn.log.format=human"], false), (&["bourn.log.format=json"], true)]
    {
        let directory = tempfile::tempdir().unwrap();
        let mut process = start(directory.path(), sets);
        let mut stderr = process.stderr.take().unwrap();
        stop(&mut process);
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        assert!(log.contains("SIGTERM: stopping") && !log.contains('\u{1b}'), "{log}");
        for line in log.lines() {
            let parsed = serde_json::from_str::<serde_json::Value>(line);
            assert_eq!(parsed.is_ok_and(|line| line["level"].is_string()), json, "{line}");
        }
    }
}

/// The Docker image of Kafka takes its configs from the environment, and files refer to secrets.
#[test]
fn the_environment_goes_over_the_file_and_arguments_over_both() {
    const PROVIDER: &str = "config.providers=secrets\n\
        config.providers.secrets.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n";
    let variable = [("KAFKA_BOURN_LOG_FORMAT", "json")];
    let argument = ["bourn.log.format=human"];
    for (file, variables, sets, json) in [
        ("bourn.log.format=json", &[][..], &[][..], true),
        ("bourn.log.format=human", &variable[..], &[][..], true),
        ("bourn.log.format=json", &variable[..], &argument[..], false),
        ("bourn.log.format=${secrets:FORMAT}", &[("FORMAT", "json")], &[], true),
        ("", &[("KAFKA_BOURN_LOG_FORMAT", "${secrets:FORMAT}"), ("FORMAT", "json")], &[], true),
        ("bourn.log.format=json", &[("KAFKA_OPTS", "-Dx"), ("KAFKA_PORT", "tcp://10.0.0.1:9092")], &[], true),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.properties");
        std::fs::write(&path, format!("{PROVIDER}{file}\n")).unwrap();
        let mut command = command(&directory.path().join("data"), sets);
        let mut process = command.arg("--config").arg(&path).envs(variables.iter().copied()).spawn().unwrap();
        let mut stderr = process.stderr.take().unwrap();
        stop(&mut process);
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        let parsed = log.lines().map(serde_json::from_str::<serde_json::Value>);
        assert_eq!(
            parsed.map(|line| line.is_ok()).collect::<Vec<_>>().contains(&true),
            json,
            "{file}: {log}"
        );
        let named = log.contains("set by KAFKA_ variables: bourn.log.format");
        assert_eq!(named, variables.iter().any(|(name, _)| *name == "KAFKA_BOURN_LOG_FORMAT"), "{log}");
        assert!(!log.contains("WARN") && !log.contains("tcp://"), "{log}");
    }
}

/// The argument counted and the config was forgotten, without a word: half of the directories were not used.
#[test]
fn two_ways_to_say_where_data_is_kept_are_not_taken_together() {
    let directory = tempfile::tempdir().unwrap();
    let both = format!("log.dirs={0},{0}/b", directory.path().display());
    let output = command(directory.path(), &[&both]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("--data-dir") && errors.contains(&both) && errors.contains("one of them"),
        "{errors}"
    );
}
