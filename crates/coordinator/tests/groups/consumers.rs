//! The way of members through a group of the consumer protocol (KIP-848): joining, giving up, getting, leaving.

use coordinator::Options;
use protocol::ErrorCode;

use crate::steps::{beat, joins};
use crate::talk::{GROUP, Talk};

const ORDERS: &[(&str, i32)] = &[("orders", 4)];

/// A clock step after which a group may be assigned again.
const INTERVAL_MS: u64 = 1_000;

/// "a" and "b" with two partitions each, at epoch 3.
pub(crate) fn two(talk: &mut Talk) {
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    talk.pass(INTERVAL_MS);
    talk.hears(&joins("b", &["orders"]), (3, Some("")));
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("b", 3), (3, Some("orders:2,3")));
    talk.is("Stable", 3);
    talk.pass(INTERVAL_MS);
}

#[test]
fn the_first_member_gets_everything() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    talk.is("Stable", 2);
    // Nothing is written when nothing happens.
    let written = talk.records.len();
    for _ in 0..5 {
        talk.pass(5_000);
        talk.hears(&beat("a", 2), (2, None));
    }
    talk.hears(&beat("a", 2).owning("orders:0,1,2,3"), (2, None));
    assert_eq!(talk.records.len(), written);
    // Who says all of itself again is told all of it again.
    let mut again = joins("a", &["orders"]).owning("orders:0,1,2,3");
    again.request.member_epoch = 2;
    talk.hears(&again, (2, Some("orders:0,1,2,3")));
    assert_eq!(talk.records.len(), written);
}

#[test]
fn a_second_member_gets_what_the_first_has_given_up() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    talk.pass(INTERVAL_MS);
    talk.hears(&joins("b", &["orders"]), (3, Some("")));
    talk.is("Reconciling", 3);
    talk.hears(&beat("b", 3), (3, None));
    // "a" hears that it must give up; until it says that it has, nobody gets anything.
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.hears(&beat("a", 2).owning("orders:0,1,2,3"), (2, None));
    talk.hears(&beat("b", 3), (3, None));
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("b", 3), (3, Some("orders:2,3")));
    talk.is("Stable", 3);
    let described = talk.described();
    assert_eq!((described.assignment_epoch, described.assignor_name.as_str()), (3, "uniform"));
    let of = |n: usize| {
        let topics = &described.members[n].assignment.topic_partitions;
        (topics[0].topic_name.clone(), topics[0].partitions.clone())
    };
    assert_eq!((of(0), of(1)), (("orders".into(), vec![0, 1]), ("orders".into(), vec![2, 3])));
}

#[test]
fn what_a_member_leaves_is_free_at_once() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    talk.hears(&beat("b", -1), (-1, None));
    talk.refuses(&beat("b", 3), ErrorCode::UnknownMemberId);
    talk.refuses(&beat("b", -1), ErrorCode::UnknownMemberId);
    talk.hears(&beat("a", 3), (4, Some("orders:0,1,2,3")));
    talk.hears(&beat("a", -1), (-1, None));
    talk.is("Empty", 5);
    // The next one does not wait for the time between two assignments.
    talk.hears(&joins("c", &["orders"]), (6, Some("orders:0,1,2,3")));
}

#[test]
fn a_silent_member_is_given_up_after_its_session() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    talk.pass(40_000);
    talk.hears(&beat("a", 3), (3, None));
    talk.pass(10_000);
    talk.hears(&beat("a", 3), (4, Some("orders:0,1,2,3")));
    talk.refuses(&beat("b", 3), ErrorCode::UnknownMemberId);
}

#[test]
fn a_member_that_keeps_what_it_must_give_up_loses_its_place() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    talk.pass(INTERVAL_MS);
    talk.hears(&joins("b", &["orders"]), (3, Some("")));
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    for _ in 0..12 {
        talk.hears(&beat("a", 2).owning("orders:0,1,2,3"), (2, None));
        talk.hears(&beat("b", 3), (3, None));
        talk.pass(5_000);
    }
    talk.refuses(&beat("a", 2), ErrorCode::UnknownMemberId);
    talk.hears(&beat("b", 3), (4, Some("orders:0,1,2,3")));
}

#[test]
fn assignments_come_no_faster_than_they_may() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    // The second one comes at once: it is in the group and waits for the next assignment.
    talk.hears(&joins("b", &["orders"]), (2, Some("")));
    talk.hears(&joins("c", &["orders"]), (2, Some("")));
    talk.is("Assigning", 4);
    talk.hears(&beat("a", 2), (2, None));
    talk.pass(INTERVAL_MS);
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.is("Reconciling", 4);
    talk.hears(&beat("a", 2).owning("orders:0,1"), (4, None));
    talk.hears(&beat("b", 2), (4, Some("orders:2")));
    talk.hears(&beat("c", 2), (4, Some("orders:3")));
    talk.is("Stable", 4);
}

#[test]
fn everything_survives_the_coordinator() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let written = talk.records.len();
    let before = talk.described();
    talk.fail_over(Options::default());
    assert_eq!(talk.described(), before);
    talk.hears(&beat("a", 3), (3, None));
    talk.hears(&beat("b", 3).owning("orders:2,3"), (3, None));
    assert_eq!(talk.records.len(), written, "nobody is disturbed");
    // Sessions begin anew.
    talk.pass(44_000);
    talk.hears(&beat("a", 3), (3, None));
    talk.pass(2_000);
    talk.refuses(&beat("b", 3), ErrorCode::UnknownMemberId);

    // In the middle of a rebalance, too.
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2,3")));
    talk.pass(INTERVAL_MS);
    talk.hears(&joins("b", &["orders"]), (3, Some("")));
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.fail_over(Options::default());
    talk.hears(&beat("b", 3), (3, None));
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("b", 3), (3, Some("orders:2,3")));
    // Who was to give something up when the coordinator changed has its time again.
    talk.pass(INTERVAL_MS);
    talk.hears(&joins("c", &["orders"]), (4, Some("")));
    talk.hears(&beat("b", 3), (3, Some("orders:2")));
    talk.fail_over(Options::default());
    for _ in 0..12 {
        talk.hears(&beat("b", 3), (3, None));
        talk.pass(5_000);
    }
    talk.refuses(&beat("b", 3), ErrorCode::UnknownMemberId);
}

#[test]
fn members_come_one_after_the_other_and_go_again() {
    let mut talk = Talk::about(&[("orders", 30), ("users", 12)]);
    let names: Vec<String> = (0..7).map(|n| format!("m{n}")).collect();
    let both = ["orders", "users"];
    let mut inside: Vec<(String, i32)> = Vec::new();
    for step in 0..14 {
        match names.get(step) {
            Some(name) => {
                let epoch = talk.beats(&joins(name, &both)).member_epoch;
                inside.push((name.clone(), epoch));
            }
            None => {
                let (name, _) = inside.remove(step * 5 % inside.len());
                talk.beats(&beat(&name, -1));
            }
        }
        talk.pass(INTERVAL_MS);
        // Everybody does what it hears, until nobody hears anything new.
        for _ in 0..4 {
            for (name, epoch) in &mut inside {
                let heard = talk.beats(&beat(name, *epoch));
                assert_eq!(heard.error_code, 0, "{:?}", heard.error_message);
                *epoch = heard.member_epoch;
                if let Some(assignment) = heard.assignment {
                    let mut acknowledged = beat(name, *epoch).owning("");
                    let owned = assignment.topic_partitions.iter().map(|topic| {
                        protocol::messages::consumer_group_heartbeat_request::TopicPartitions {
                            topic_id: topic.topic_id,
                            partitions: topic.partitions.clone(),
                        }
                    });
                    acknowledged.request.topic_partitions = Some(owned.collect());
                    *epoch = talk.beats(&acknowledged).member_epoch;
                }
            }
        }
        let described = talk.described();
        let state = if inside.is_empty() { "Empty" } else { "Stable" };
        assert_eq!(described.group_state, state);
        let sizes: Vec<usize> = described
            .members
            .iter()
            .map(|member| member.assignment.topic_partitions.iter().map(|topic| topic.partitions.len()).sum())
            .collect();
        assert_eq!(sizes.iter().sum::<usize>(), if inside.is_empty() { 0 } else { 42 });
        let uneven = sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0);
        assert!(uneven <= 1, "{sizes:?}");
    }
    assert_eq!(talk.described().group_id, GROUP);
}
