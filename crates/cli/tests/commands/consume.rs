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
