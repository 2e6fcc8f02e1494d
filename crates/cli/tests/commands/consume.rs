use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Done, Node, bourn, fed, with};

fn node_with(records: usize) -> Node {
    let node = Node::start();
    let lines: String = (0..records).map(|number| format!("{number}\n")).collect();
    assert_eq!(fed(&node, &["produce", "t"], lines.as_bytes()).code, 0);
    node
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let node = node_with(5);
    let from = |start: &str| with(&node, &["consume", "t", "--from", start]);
    from("earliest").prints("0\n1\n2\n3\n4\n");
    from("3").prints("3\n4\n");
    from("-1").prints("4\n");
    from("latest").prints("");
    from("5").prints("");
    from("@0").prints("0\n1\n2\n3\n4\n");
    from("2999-01-01").prints("");
    from("6").fails(&["there is no offset 6 yet", "t-0, 5", "--from earliest"]);
    assert_eq!(from("soon").code, 2);
    with(&node, &["consume", "t", "-n", "2"]).prints("0\n1\n");
}

/// It printed what is in front of the damage and then nothing, without an end.
#[test]
fn a_damaged_batch_is_named() {
    let mut node = Node::with(&["log.segment.bytes=1048576"]);
    let lines: Vec<String> = (0..3).map(|number| number.to_string().repeat(700_000) + "\n").collect();
    for line in &lines {
        assert_eq!(fed(&node, &["produce", "t"], line.as_bytes()).code, 0);
    }
    node.stop();
    // The second record, in a segment of its own.
    let path = node.data().join("t-0").join(format!("{:020}.log", 1));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    node.restart();
    let words = ["at offset 1: t-0: ", "KAFKA_STORAGE_ERROR", "bourn log verify"];
    let done = with(&node, &["consume", "t"]);
    done.fails(&words);
    assert_eq!(done.out, lines[0]);
    with(&node, &["consume", "t", "--from", "2"]).prints(&lines[2]);
    let mut command = bourn(&["consume", "t", "--follow", "--from", "1"]);
    command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut warning = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut warning).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(words.iter().all(|word| warning.contains(word)) && warning.contains("trying again"), "{warning}");
}

#[test]
fn what_is_not_there_is_named() {
    let node = node_with(1);
    with(&node, &["consume", "none"]).fails(&["none: ", "UNKNOWN_TOPIC_OR_PARTITION", "bourn topic list"]);
    with(&node, &["consume", "t", "-p", "7"]).fails(&["topic t has 1 partitions", "no partition 7"]);
    assert_eq!(with(&node, &["topic", "list"]).out.lines().count(), 2, "reading makes no topic");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let node = node_with(50_000);
    let mut command = bourn(&["consume", "t"]);
    command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::with_capacity(16, process.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let done = Done::of(process.wait_with_output().unwrap());
    assert_eq!((first.as_str(), done.code, done.errors.as_str()), ("0\n", 0, ""));
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let node = node_with(1);
    for arguments in [&["consume", "t"][..], &["topic", "list"], &["-o", "json", "topic", "describe"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = bourn(arguments);
        command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).stdout(full);
        Done::of(command.output().unwrap()).fails(&["cannot write to standard output", "No space left"]);
    }
}
