use super::{Done, Node, run, with};

/// With JSON as output, of a run that succeeds.
#[track_caller]
fn report(node: &Node, arguments: &[&str]) -> serde_json::Value {
    let done: Done = with(node, &[&["-o", "json", "bench"], arguments].concat());
    assert_eq!(done.code, 0, "{done:?}");
    done.json()
}

#[test]
fn what_is_written_is_read() {
    let node = Node::start();
    let wrote = report(&node, &["produce", "t", "-p", "3", "-n", "2000", "-s", "100", "--warmup", "0"]);
    assert_eq!(
        (&wrote["records"], &wrote["bytes"], &wrote["failed"]),
        (&2000.into(), &200_000.into(), &0.into())
    );
    assert_eq!((&wrote["partitions"], &wrote["written"]["acks"]), (&3.into(), &"all".into()));
    let percentiles = wrote["ack_ms"].as_object().unwrap();
    assert!(percentiles["p50"].as_f64().unwrap() <= percentiles["max"].as_f64().unwrap(), "{wrote}");
    assert!(wrote.get("late_ms").is_none(), "nothing is due without a rate: {wrote}");
    let read = report(&node, &["consume", "t", "--connections", "2"]);
    assert_eq!(
        (&read["records"], &read["bytes"], &read["failed"]),
        (&2000.into(), &200_000.into(), &0.into())
    );
    let tail = report(&node, &["consume", "t", "--from", "-10"]);
    assert_eq!(tail["records"], 30, "the last ten of each partition");
}

#[test]
fn a_rate_is_kept_by_several_producers_whatever_acks_and_codec() {
    let node = Node::start();
    for (acks, codec) in [("0", "none"), ("1", "lz4"), ("all", "zstd")] {
        let wrote = report(
            &node,
            &[
                "produce",
                "t",
                "-n",
                "500",
                "--rate",
                "5000",
                "--warmup",
                "0.05",
                "--connections",
                "2",
                "--acks",
                acks,
                "-z",
                codec,
            ],
        );
        assert_eq!((&wrote["records"], &wrote["written"]["rate"]), (&500.into(), &5000.into()), "{wrote}");
        assert!(wrote["late_ms"]["max"].is_number(), "{wrote}");
    }
    let read = report(&node, &["consume", "t"]);
    assert_eq!(read["records"], 3 * (500 + 250), "also what was written while warming up");
}

#[test]
fn latency_is_that_of_the_records_of_this_run() {
    let node = Node::start();
    for _ in 0..2 {
        let found = report(
            &node,
            &["latency", "-p", "2", "-n", "300", "--rate", "3000", "--warmup", "0.1", "-s", "1"],
        );
        assert_eq!((&found["records"], &found["written"]["record_size"]), (&300.into(), &16.into()));
        let p50 = |name: &str| found[name]["p50"].as_f64().unwrap();
        assert!(p50("end_to_end_ms") > 0.0 && p50("ack_ms") > 0.0, "{found}");
    }
}

#[test]
fn failures_are_counted_and_named() {
    let node = Node::start();
    let words =
        ["-c", "max.message.bytes=1000", "-n", "3", "--warmup", "0", "--linger-ms", "0", "-s", "2000"];
    let table = with(&node, &[&["bench", "produce", "t"][..], &words].concat());
    table.fails(&["3 records failed"]);
    assert!(table.out.contains("3 x t-") || table.out.contains("1 x t-"), "{table:?}");
    assert!(table.out.contains("MESSAGE_TOO_LARGE") && table.out.contains("0 records"), "{table:?}");
    with(&node, &["bench", "consume", "nothing"]).fails(&["UNKNOWN_TOPIC_OR_PARTITION", "bourn topic list"]);
    with(&node, &["bench", "consume", "t", "--follow"]).fails(&["--follow needs --records or --duration"]);
    run(&["-b", "127.0.0.1:1", "bench", "produce"]).fails(&["connection refused", "bourn start"]);
    assert_eq!(with(&node, &["bench", "produce", "--rate", "0"]).code, 2, "wrong usage");
}
