use super::{Node, run, with};

#[test]
fn configs_of_a_topic_change_and_say_where_they_come_from() {
    let node = Node::start();
    let config = |words: &[&str]| with(&node, &[&["config"], words].concat());
    with(&node, &["topic", "create", "t", "-c", "retention.ms=5000"]);
    config(&["alter", "topic", "t", "-s", "segment.bytes=2000000", "--delete", "retention.ms"])
        .prints("configs of topic t: altered\n");
    config(&["describe", "topic", "t"])
        .prints("CONFIG         VALUE    FROM   DEFAULT\nsegment.bytes  2000000  topic  1073741824\n");
    config(&["alter", "topic", "t", "--append", "cleanup.policy=compact", "--dry-run"])
        .prints("configs of topic t: could be altered\n");
    let append = config(&["-o", "json", "alter", "topics", "t", "--append", "cleanup.policy=compact"]);
    assert_eq!(append.json(), serde_json::json!({"kind": "topic", "name": "t", "altered": true}));
    let described = config(&["-o", "json", "describe", "topic", "t", "--config", "cleanup.policy"]).json();
    let found = &described["configs"][0];
    assert_eq!((&found["value"], &found["source"]), (&"delete,compact".into(), &"topic".into()));
    assert_eq!((&found["default"], &found["needs_restart"]), (&"delete".into(), &false.into()));
    assert!(found["documentation"].as_str().is_some_and(|text| !text.is_empty()), "{found}");
    config(&["alter", "topic", "t", "--subtract", "cleanup.policy=compact", "--delete", "segment.bytes"]);
    config(&["alter", "topic", "t", "--delete", "cleanup.policy"]);
    let nothing = config(&["describe", "topic", "t"]);
    assert!(nothing.out.is_empty() && nothing.errors.contains("--all"), "{nothing:?}");
    let all = config(&["describe", "topic", "t", "--all"]);
    assert!(all.out.lines().any(|line| line.starts_with("min.insync.replicas ")), "{all:?}");
}

#[test]
fn configs_of_brokers_say_which_need_a_restart_and_survive_one() {
    let mut node = Node::with(&["num.io.threads=3"]);
    let config = |node: &Node, words: &[&str]| with(node, &[&["config"], words].concat());
    config(&node, &["alter", "broker", "--set", "message.max.bytes=70000"])
        .prints("configs of all brokers: altered\n");
    config(&node, &["alter", "broker", "1", "--set", "message.max.bytes=80000"])
        .prints("configs of broker 1: altered\n");
    node.kill_and_restart();
    config(&node, &["describe", "broker"])
        .prints("CONFIG             VALUE  FROM         DEFAULT\nmessage.max.bytes  70000  all-brokers\n");
    let one = config(&node, &["describe", "broker", "1"]);
    let row = |name: &str| one.out.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace();
    assert_eq!(
        row("message.max.bytes").collect::<Vec<_>>(),
        ["message.max.bytes", "80000", "broker", "1048588"]
    );
    assert!(row("log.dirs").any(|word| word == "restart"), "{one:?}");
    config(&node, &["alter", "broker", "1", "--set", "log.dirs=/tmp"]).fails(&["log.dirs", "need a restart"]);
    config(&node, &["alter", "broker", "--delete", "message.max.bytes"]);
    let nothing = config(&node, &["describe", "broker"]);
    assert!(nothing.errors.contains("no config of all brokers was set"), "{nothing:?}");
}

#[test]
fn subscriptions_of_metrics_are_listed_when_somebody_makes_some() {
    let node = Node::start();
    let config = |words: &[&str]| with(&node, &[&["config"], words].concat());
    with(&node, &["topic", "create", "t"]);
    config(&["list"]).prints("KIND    NAME\ntopic   t\nbroker  1\n");
    config(&["alter", "client-metrics", "m", "--set", "interval.ms=5000"])
        .prints("configs of metrics subscription m: altered\n");
    let listed = config(&["-o", "json", "list", "client-metrics", "topic"]).json();
    assert_eq!(
        listed,
        serde_json::json!([{"kind": "topic", "name": "t"}, {"kind": "client-metrics", "name": "m"}])
    );
    let described = config(&["-o", "json", "describe", "client-metrics", "m"]).json();
    assert_eq!(described["configs"][0]["name"], "interval.ms", "{described}");
    assert_eq!(described["configs"][0]["source"], "client-metrics", "{described}");
    config(&["alter", "group", "g", "--set", "consumer.session.timeout.ms=50000"])
        .prints("configs of group g: altered\n");
    config(&["describe", "group", "g"])
        .prints("CONFIG                       VALUE  FROM   DEFAULT\nconsumer.session.timeout.ms  50000  group  45000\n");
}

#[test]
fn what_is_refused_says_why() {
    let node = Node::start();
    let config = |words: &[&str]| with(&node, &[&["config"], words].concat());
    config(&["describe", "topic", "none"]).fails(&["none", "bourn topic create none"]);
    config(&["describe", "topic"]).fails(&["which topic?", "bourn config list"]);
    config(&["describe", "broker", "one"]).fails(&["\"one\" is no id of a broker"]);
    config(&["describe", "broker", "9"]).fails(&["9"]);
    config(&["describe", "broker", "1", "-c", "no.such"]).fails(&["no.such", "--all"]);
    config(&["alter", "broker", "1"]).fails(&["nothing to change"]);
    config(&["alter", "broker", "1", "--set", "message.max.bytes=many"])
        .fails(&["message.max.bytes", "many"]);
    let failed = config(&["-o", "json", "alter", "topic", "none", "--set", "retention.ms=1"]);
    assert_eq!((failed.code, &failed.json()["altered"]), (1, &false.into()), "{failed:?}");
    assert_eq!(config(&["alter", "planet", "x"]).code, 2, "wrong usage");
}

#[test]
fn topics_are_altered_one_by_one() {
    let node = Node::start();
    let alter = |words: &[&str]| with(&node, &[&["topic", "alter"], words].concat());
    with(&node, &["topic", "create", "a", "b", "-p", "2"]);
    alter(&["a", "-p", "4", "-c", "retention.ms=7000"]).prints("altered topic a\n");
    let described = with(&node, &["-o", "json", "topic", "describe", "a"]).json();
    assert_eq!(described[0]["configs"], serde_json::json!({"retention.ms": "7000"}));
    assert_eq!(described[0]["partitions"].as_array().unwrap().len(), 4);
    alter(&["a", "--delete-config", "retention.ms"]).prints("altered topic a\n");
    alter(&["b", "-p", "9", "--dry-run"]).prints("topic b could be altered\n");
    let some = alter(&["b", "none", "-c", "retention.ms=1"]);
    some.fails(&["none: ", "bourn topic create none", "1 of 2 topics could not be altered"]);
    assert_eq!(some.out, "altered topic b\n");
    alter(&["b", "-p", "1"]).fails(&["b: ", "INVALID_PARTITIONS"]);
    alter(&["b"]).fails(&["nothing to change", "--partitions"]);
}

#[test]
fn shells_get_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell]);
        assert_eq!(script.code, 0);
        assert!(
            ["bench", "bootstrap-server", "alter"].iter().all(|word| script.out.contains(word)),
            "{shell}"
        );
    }
    assert_eq!(run(&["completion", "cmd"]).code, 2);
}
