use std::fs::File;
use std::process::{Command, Stdio};

use super::{Done, Node, bourn, fed, with};

#[test]
fn lines_are_bytes_and_no_line_is_no_record() {
    let node = Node::start();
    let done = fed(&node, &["produce", "t"], b"a\xff\n\nlast");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.errors.starts_with("3 records (6 B) written to t in "), "{done:?}");
    let read = with(&node, &["consume", "t", "-o", "json"]);
    let values: Vec<serde_json::Value> =
        read.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(values[0]["value_base64"], "Yf8=");
    assert_eq!((&values[1]["value"], &values[2]["value"]), (&"".into(), &"last".into()));
    let done = fed(&node, &["produce", "t"], b"");
    assert!(done.code == 0 && done.errors.starts_with("0 records"), "{done:?}");
}

#[test]
fn what_is_no_record_is_counted_and_the_others_are_written() {
    let node = Node::start();
    let json =
        fed(&node, &["produce", "t", "--format", "json"], b"{\"a\":\n[1]\n{\"value\":1,\"partition\":9}\n");
    json.fails(&["line 1: not JSON", "line 3: topic t has 1 partitions", "2 records could not be written"]);
    let csv = fed(&node, &["produce", "t", "--format", "csv"], b"a,b\n1\n3,4\n5,\xff\n");
    csv.fails(&["line 2: the row has 1 fields, the header row 2", "line 4: the row is not UTF-8"]);
    let text = fed(&node, &["produce", "t", "--key-separator", ":"], b"k:v\nnone\n");
    text.fails(&["line 2: there is no key separator \":\""]);
    let long = fed(&node, &["produce", "t", "--line-bytes-max", "3"], b"four\nyes\n");
    long.fails(&["line 1: the line is longer than 3 bytes", "--line-bytes-max"]);
    with(&node, &["consume", "t"]).prints("[1]\n{\"a\":\"3\",\"b\":\"4\"}\nv\nyes\n");
}

#[test]
fn input_that_cannot_be_understood_ends_with_a_reason() {
    let node = Node::start();
    let csv = |more: &[&str], input: &[u8]| {
        fed(&node, &[&["produce", "t", "--format", "csv"], more].concat(), input)
    };
    csv(&["--key", "none"], b"a,b\n1,2\n").fails(&["there is no column \"none\"", "a, b"]);
    csv(&[], b"").fails(&["the input is empty", "header row"]);
    csv(&[], b"a,a\n1,2\n").fails(&["\"a\" twice", "--raw"]);
    csv(&[], b"a,b\n1,\"x\n").fails(&["line 2", "a quote is opened and never closed"]);
    let open = csv(&["-o", "json"], b"a,b\n5,6\n1,\"x\n");
    open.fails(&["line 3", "never closed"]);
    assert_eq!(open.json()["records"], 1, "what was written before is told");
    with(&node, &["produce", "t", "--file", "/nonexistent"]).fails(&["/nonexistent", "No such file"]);
    with(&node, &["produce", "t", "--file", "/"]).fails(&["/: it is a directory"]);
    let mut command = bourn(&["produce", "t"]);
    command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).stdin(File::open("/").unwrap());
    Done::of(command.output().unwrap()).fails(&["cannot read the input"]);
}

#[test]
fn refusals_say_what_to_do() {
    let node = Node::with(&["auto.create.topics.enable=false", "message.max.bytes=1000"]);
    fed(&node, &["produce", "a b"], b"x\n").fails(&["INVALID_TOPIC_EXCEPTION", "names have letters"]);
    with(&node, &["topic", "create", "t"]).prints("created topic t with 1 partition\n");
    let large = fed(&node, &["produce", "t"], &[b'x'; 2000]);
    large.fails(&["line 1: t-0", "MESSAGE_TOO_LARGE", "max.message.bytes"]);
    let wrong = fed(&node, &["produce", "t", "--key", "a"], b"x\n");
    wrong.fails(&["--key needs --format csv"]);
}

#[test]
fn closed_streams_are_empty_ones() {
    let node = Node::start();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" produce t <&- >&-", env!("CARGO_BIN_EXE_bourn")]);
    let done = Done::of(shell.env("BOURN_BOOTSTRAP_SERVERS", node.address()).output().unwrap());
    assert!(done.code == 0 && done.errors.starts_with("0 records"), "{done:?}");
}

#[test]
fn whoever_reads_the_summary_may_go_away() {
    let node = Node::start();
    let mut command = bourn(&["produce", "t", "-o", "json"]);
    command.env("BOURN_BOOTSTRAP_SERVERS", node.address()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    drop(process.stdout.take());
    assert!(process.wait().unwrap().success());
}
