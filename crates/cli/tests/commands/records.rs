use super::{Node, fed, with};

#[test]
fn records_are_deleted_from_the_beginning() {
    let node = Node::start();
    let delete = |words: &[&str]| with(&node, &[&["topic", "delete-records", "t"], words].concat());
    with(&node, &["topic", "create", "t", "-p", "2"]);
    let lines: String = (0..20).map(|n| format!("{n}\n")).collect();
    for partition in ["0", "1"] {
        fed(&node, &["produce", "t", "-p", partition], lines.as_bytes());
    }
    delete(&["--before", "7", "-p", "1"]).prints("TOPIC  PARTITION  FIRST OFFSET\nt      1          7\n");
    delete(&["--before", "-5"])
        .prints("TOPIC  PARTITION  FIRST OFFSET\nt      0          15\nt      1          15\n");
    let all = delete(&["-o", "json", "--before", "latest", "-p", "0"]).json();
    assert_eq!(all, serde_json::json!([{"topic": "t", "partition": 0, "first_offset": 20}]));
    let left = with(&node, &["consume", "t", "--format", "%p %o\\n"]);
    left.prints("1 15\n1 16\n1 17\n1 18\n1 19\n");
    delete(&["--before", "21", "-p", "1"]).fails(&["t-1", "OFFSET_OUT_OF_RANGE", "1 partition"]);
    delete(&["--before", "1", "-p", "2"]).fails(&["there is no partition 2"]);
    delete(&["--before", "earliest"]).fails(&["--before latest"]);
    with(&node, &["topic", "delete-records", "none", "--before", "1"]).fails(&["none", "bourn topic list"]);
}

#[test]
fn log_directories_tell_what_they_hold_and_how_full_they_are() {
    let node = Node::start();
    let dirs = |words: &[&str]| with(&node, &[&["log", "dirs"], words].concat());
    with(&node, &["topic", "create", "t", "-p", "2"]);
    with(&node, &["topic", "create", "other"]);
    fed(&node, &["produce", "t", "-p", "1"], b"some bytes\n");
    let found = dirs(&["-o", "json"]).json();
    let one = &found[0];
    assert_eq!((found.as_array().unwrap().len(), &one["broker"]), (1, &1.into()), "{found}");
    assert!(one["directory"].as_str().unwrap().ends_with("data"), "{one}");
    assert!(
        one["bytes"].as_u64() > Some(0) && one["usable_bytes"].as_u64() <= one["total_bytes"].as_u64(),
        "{one}"
    );
    assert_eq!((one["partitions"].as_array().unwrap().len(), &one["cordoned"]), (3, &false.into()), "{one}");
    let some = dirs(&["--topic", "t", "--partitions"]);
    let rows: Vec<&str> = some.out.lines().filter(|line| line.contains(" t-")).collect();
    assert_eq!((some.code, rows.len(), some.out.contains("other")), (0, 2, false), "{some:?}");
    assert!(some.out.starts_with("BROKER  DIRECTORY") && some.out.contains("online"), "{some:?}");
    dirs(&["--broker", "7"]).fails(&["there is no broker 7"]);
    dirs(&["--topic", "none"]).fails(&["none", "bourn topic list"]);
}
