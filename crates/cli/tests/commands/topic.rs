use super::{Node, run, with};

#[test]
fn topics_from_beginning_to_end() {
    let node = Node::start();
    with(&node, &["topic", "create", "t", "-p", "2"]).prints("created topic t with 2 partitions\n");
    with(&node, &["topic", "create", "t", "--if-not-exists"]).prints("topic t exists already\n");
    with(&node, &["topic", "create", "t"]).fails(&["t: ", "TOPIC_ALREADY_EXISTS", "--if-not-exists"]);
    with(&node, &["topic", "list"]).prints("TOPIC  PARTITIONS  REPLICATION\nt      2           1\n");
    with(&node, &["topic", "delete", "t"]).prints("deleted topic t\n");
    with(&node, &["topic", "delete", "t", "--if-exists"]).prints("there is no topic t\n");
    with(&node, &["topic", "delete", "t"]).fails(&["t: there is no such topic", "--if-exists"]);
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let node = Node::start();
    let create = |rest: &[&str]| with(&node, &[&["topic", "create", "t"], rest].concat());
    with(&node, &["topic", "create", "a b"]).fails(&["INVALID_TOPIC_EXCEPTION", "are allowed"]);
    create(&["-r", "3"]).fails(&["INVALID_REPLICATION_FACTOR", "than there are brokers"]);
    create(&["-c", "retention.ms=soon"]).fails(&["retention.ms", "soon", "--all-configs"]);
    create(&["-c", "no.such=1"]).fails(&["no.such", "INVALID_CONFIG", "--all-configs"]);
    with(&node, &["topic", "describe", "none"]).fails(&[
        "none",
        "bourn topic list",
        "bourn topic create none",
    ]);
    assert_eq!(create(&["-p", "0"]).code, 2, "wrong usage");
    assert_eq!(create(&["-c", "retention.ms"]).code, 2);
}

#[test]
fn a_broker_that_is_not_there_is_named_once_with_what_to_do() {
    let nobody = |server: &str| run(&["-b", server, "topic", "list"]);
    nobody("127.0.0.1:1").fails(&["127.0.0.1:1", "connection refused", "bourn start"]);
    let unknown = nobody("nowhere.invalid:9092");
    unknown.fails(&["check --bootstrap-server"]);
    assert_eq!(unknown.errors.matches("nowhere.invalid").count(), 1, "{unknown:?}");
    nobody("127.0.0.1:none").fails(&["127.0.0.1:none", "HOST:PORT"]);
    nobody("").fails(&["--bootstrap-server is empty", "HOST:PORT"]);
}

#[test]
fn json_is_json_whatever_happens() {
    let node = Node::start();
    let json = |arguments: &[&str]| with(&node, &[&["-o", "json"], arguments].concat()).json();
    assert_eq!(json(&["topic", "list"]), serde_json::json!([]));
    assert_eq!(json(&["topic", "create", "t"])[0]["created"], true);
    assert_eq!(json(&["topic", "create", "t"])[0]["created"], false);
    assert_eq!(json(&["topic", "list"])[0]["topic"], "t");
    let described = json(&["topic", "describe", "t", "--all-configs"]);
    assert_eq!(described[0]["partitions"][0]["partition"], 0);
    assert_eq!(described[0]["configs"]["cleanup.policy"], "delete");
    assert_eq!(json(&["topic", "describe", "none"]), serde_json::json!([]));
    assert_eq!(json(&["topic", "delete", "none"])[0]["deleted"], false);
    assert_eq!(json(&["topic", "delete", "t"])[0]["deleted"], true);
}
