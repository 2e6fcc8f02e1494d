//! Static members, subscriptions by pattern and by changing topics, assignors, and configs of a group.

use coordinator::{Assignor, Options, Request};
use metadata::record::{ConfigResource, Record};
use protocol::ErrorCode;

use crate::consumers::two;
use crate::steps::{Beat, beat, image, joins};
use crate::talk::{GROUP, Talk};

const ORDERS: &[(&str, i32)] = &[("orders", 4)];

impl Talk {
    /// Carries out the search that was asked for, if any.
    #[track_caller]
    pub(crate) fn search(&mut self) {
        let search = self.searches.pop().expect("a search was asked for");
        assert!(self.searches.is_empty());
        self.ask(0, "", Request::Found(search.run()));
    }
}

#[test]
fn a_static_member_keeps_its_place_while_it_is_away() {
    let mut talk = Talk::about(ORDERS);
    talk.hears(&joins("a", &["orders"]).instance("ia"), (2, Some("orders:0,1,2,3")));
    talk.pass(1_000);
    talk.hears(&joins("b", &["orders"]).instance("ib"), (3, Some("")));
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("b", 3), (3, Some("orders:2,3")));

    // Nobody else may use the id of one that is there.
    talk.refuses(&joins("a2", &["orders"]).instance("ia"), ErrorCode::UnreleasedInstanceId);
    // The same process may try again when it has not heard the answer.
    talk.hears(&joins("a", &["orders"]).instance("ia"), (3, Some("orders:0,1")));
    talk.refuses(&beat("a2", 3).instance("ia"), ErrorCode::FencedInstanceId);
    talk.refuses(&beat("a2", -2).instance("ia"), ErrorCode::FencedInstanceId);
    talk.refuses(&beat("a", 3).instance("ic"), ErrorCode::UnknownMemberId);
    talk.refuses(&beat("a", -1).instance("ib"), ErrorCode::FencedInstanceId);

    talk.hears(&beat("a", -2).instance("ia"), (-2, None));
    talk.hears(&beat("b", 3), (3, None));
    talk.pass(30_000);
    talk.hears(&beat("b", 3), (3, None));
    // The new process has what the old one had, and "b" does not notice.
    talk.hears(&joins("a2", &["orders"]).instance("ia"), (3, Some("orders:0,1")));
    talk.hears(&beat("b", 3), (3, None));
    talk.is("Stable", 3);
    talk.refuses(&beat("a", 3), ErrorCode::UnknownMemberId);
    talk.fail_over(Options::default());
    talk.hears(&beat("a2", 3).instance("ia"), (3, None));

    // Who stays away too long is given up.
    talk.hears(&beat("a2", -2).instance("ia"), (-2, None));
    for _ in 0..5 {
        talk.pass(10_000);
        talk.beats(&beat("b", 3));
    }
    talk.hears(&beat("b", 4), (4, None));
    assert_eq!(talk.described().members.len(), 1);
    talk.hears(&joins("a3", &["orders"]).instance("ia"), (4, Some("")));
    talk.hears(&beat("a3", -1).instance("ia"), (-1, None));
    assert_eq!(talk.described().members.len(), 1);
}

#[test]
fn a_pattern_is_searched_for_and_then_read() {
    let topics = &[("orders", 2), ("orders-eu", 1), ("users", 3)];
    let mut talk = Talk::about(topics);
    // It is in the group, and has nothing until it is known what it reads.
    talk.hears(&joins("a", &[]).matching("orders.*"), (1, Some("")));
    talk.hears(&beat("a", 1), (1, None));
    talk.search();
    talk.hears(&beat("a", 1), (2, Some("orders-eu:0 orders:0,1")));
    talk.is("Stable", 2);
    assert!(talk.searches.is_empty());

    // Another member with the same pattern needs no search.
    talk.pass(11_000);
    talk.hears(&joins("b", &[]).matching("orders.*"), (3, Some("")));
    assert!(talk.searches.is_empty());
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.hears(&beat("a", 2).owning("orders:0,1"), (3, None));
    talk.hears(&beat("b", 3), (3, Some("orders-eu:0")));

    // A new topic that matches.
    talk.pass(11_000);
    let more = &[("orders", 2), ("orders-eu", 1), ("orders-us", 1), ("users", 3)];
    talk.change_topics(more, &["orders-us"], true);
    talk.hears(&beat("a", 3), (3, None));
    talk.hears(&beat("b", 3), (3, None));
    talk.search();
    talk.hears(&beat("b", 3), (4, Some("orders-eu:0 orders-us:0")));
    talk.hears(&beat("a", 3), (4, None));

    // It survives the coordinator. The next one does not know what is new, and looks again.
    talk.set_image(more);
    talk.fail_over(Options::default());
    talk.hears(&beat("a", 4), (4, None));
    talk.search();
    talk.hears(&beat("a", 4), (4, None));
    talk.is("Stable", 4);

    // From a pattern to a name.
    talk.pass(1_000);
    let mut by_name = beat("a", 4).reading(&["users"]);
    by_name.request.subscribed_topic_regex = Some("".into());
    talk.hears(&by_name, (4, Some("")));
    talk.hears(&beat("a", 4).owning(""), (5, Some("users:0,1,2")));
    talk.hears(&beat("b", 4), (5, Some("orders-eu:0 orders-us:0 orders:0,1")));
    assert_eq!(talk.described().members[0].subscribed_topic_regex.as_deref(), Some(""));
    talk.hears(&beat("b", -1), (-1, None));
    // Nobody subscribes by the pattern any more, so nobody searches for it.
    talk.pass(700_000);
    // A group without members and offsets was forgotten meanwhile.
    assert_eq!(talk.described().error_code, ErrorCode::GroupIdNotFound.code());
    talk.hears(&joins("c", &["users"]), (2, Some("users:0,1,2")));
    assert!(talk.searches.is_empty());
}

#[test]
fn patterns_are_looked_at_again_from_time_to_time() {
    let mut talk = Talk::about(&[("orders", 1)]);
    talk.hears(&joins("a", &[]).matching("o.*"), (1, Some("")));
    talk.search();
    talk.hears(&beat("a", 1), (2, Some("orders:0")));
    for _ in 0..20 {
        talk.pass(30_000);
        talk.hears(&beat("a", 2), (2, None));
    }
    assert!(talk.searches.is_empty());
    talk.pass(30_000);
    talk.hears(&beat("a", 2), (2, None));
    // One search at a time.
    talk.hears(&beat("a", 2), (2, None));
    talk.search();
    talk.hears(&beat("a", 2), (2, None));
    assert!(talk.searches.is_empty());

    // Whoever changes its pattern with every heartbeat causes one search in a second.
    let mut searches = 0;
    for n in 0..30 {
        talk.beats(&beat("a", 2).matching(&format!("o{{1,{}}}.*", n + 1)));
        if !talk.searches.is_empty() {
            searches += 1;
            talk.search();
        }
        talk.pass(100);
    }
    assert!((2..=4).contains(&searches), "{searches}");
}

#[test]
fn members_that_read_different_topics_get_only_those() {
    let mut talk = Talk::about(&[("orders", 2), ("users", 2)]);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1")));
    talk.pass(1_000);
    talk.hears(&joins("b", &["users", "missing"]), (3, Some("users:0,1")));
    talk.hears(&beat("a", 2), (3, None));
    talk.pass(1_000);
    talk.hears(&beat("a", 3).reading(&["orders", "users"]), (4, None));
    talk.is("Reconciling", 4);
    // "b" reads something else: what it had of users it must give up before "a" gets it.
    talk.pass(1_000);
    talk.hears(&beat("b", 3).reading(&["missing"]), (3, Some("")));
    talk.hears(&beat("a", 4), (5, None));
    talk.hears(&beat("b", 3).owning(""), (5, None));
    talk.hears(&beat("a", 5), (5, Some("orders:0,1 users:0,1")));
    talk.is("Stable", 5);
}

#[test]
fn topics_that_change_are_assigned_anew() {
    let mut talk = Talk::about(ORDERS);
    two(&mut talk);
    let written = talk.records.len();
    talk.change_topics(&[("orders", 4), ("users", 1)], &["users"], true);
    talk.hears(&beat("a", 3), (3, None));
    assert_eq!(talk.records.len(), written, "nobody reads it");
    // More partitions.
    talk.change_topics(&[("orders", 6)], &["orders"], false);
    talk.hears(&beat("a", 3), (4, Some("orders:0,1,4")));
    talk.hears(&beat("b", 3), (4, Some("orders:2,3,5")));
    talk.is("Stable", 4);
    // The topic is gone: what members had of it they give up.
    talk.pass(1_000);
    talk.change_topics(&[], &["orders"], false);
    talk.hears(&beat("a", 4), (4, Some("")));
    talk.hears(&beat("a", 4).owning(""), (5, None));
    // A coordinator that was away when a topic came sees it, too.
    talk.set_image(&[("orders", 2)]);
    talk.pass(1_000);
    talk.fail_over(Options::default());
    talk.set_image(&[("orders", 2)]);
    talk.hears(&beat("b", 4).owning(""), (6, Some("orders:1")));
    talk.hears(&beat("a", 5), (6, Some("orders:0")));
}

#[test]
fn members_vote_for_an_assignor() {
    let mut talk = Talk::about(&[("orders", 3), ("users", 3)]);
    let both = ["orders", "users"];
    talk.hears(&joins("a", &both).assignor("range"), (2, Some("orders:0,1,2 users:0,1,2")));
    assert_eq!(talk.described().assignor_name, "range");
    talk.pass(1_000);
    talk.hears(&joins("b", &both).assignor("uniform"), (3, Some("")));
    // As many for the one as for the other.
    assert_eq!(talk.described().assignor_name, "uniform");
    talk.pass(1_000);
    talk.hears(&beat("b", 3).assignor("range"), (4, None));
    assert_eq!(talk.described().assignor_name, "range");
    talk.hears(&beat("a", 2), (2, Some("orders:0,1 users:0,1")));
    talk.hears(&beat("a", 2).owning("orders:0,1 users:0,1"), (4, None));
    talk.hears(&beat("b", 4), (4, Some("orders:2 users:2")));

    let options = Options { consumer_assignors: vec![Assignor::Range], ..Options::default() };
    let mut talk = Talk::with(options);
    talk.set_image(&[("orders", 3)]);
    talk.refuses(&joins("a", &["orders"]).assignor("uniform"), ErrorCode::UnsupportedAssignor);
    talk.hears(&joins("a", &["orders"]), (2, Some("orders:0,1,2")));
    assert_eq!(talk.described().assignor_name, "range");
}

#[test]
fn a_group_goes_by_its_own_configs() {
    let mut talk = Talk::new();
    let mut image = image(ORDERS);
    let mut set = |name: &str, key: &str, value: &str| {
        let resource = ConfigResource::group(name);
        let record = Record::Config { resource, key: key.into(), value: Some(value.into()) };
        image.apply(&record).unwrap();
    };
    set(GROUP, "consumer.heartbeat.interval.ms", "7000");
    set(GROUP, "consumer.session.timeout.ms", "50000");
    set(GROUP, "consumer.assignment.interval.ms", "0");
    // Beyond what the brokers allow by now.
    set("other", "consumer.heartbeat.interval.ms", "1");
    talk.groups.set_image(image.clone(), 1);
    talk.image = image;
    let of = |talk: &mut Talk, beat: &Beat| talk.beats(beat).heartbeat_interval_ms;
    assert_eq!(of(&mut talk, &joins("a", &["orders"])), 7_000);
    let mut other = joins("a", &["orders"]);
    other.request.group_id = "other".into();
    assert_eq!(of(&mut talk, &other), 5_000);
    talk.hears(&joins("b", &["orders"]), (3, Some("")));
    talk.pass(49_999);
    talk.hears(&beat("a", 2), (2, Some("orders:0,1")));
    talk.pass(1);
    talk.refuses(&beat("b", 3), ErrorCode::UnknownMemberId);
    other.request.member_epoch = 2;
    talk.refuses(&other, ErrorCode::UnknownMemberId);
}

/// Who has room is told of a rebalance sooner; who has many members is asked as seldom as the configs say.
#[test]
fn small_groups_are_asked_more_often() {
    let mut talk = Talk::about(ORDERS);
    let of = |talk: &mut Talk, beat: &Beat| talk.beats(beat).heartbeat_interval_ms;
    assert_eq!(of(&mut talk, &joins("a", &["orders"])), 1_000);
    talk.pass(1_000);
    // It waits for what the other has to give up.
    assert_eq!(of(&mut talk, &joins("b", &["orders"])), 500);
    talk.beats(&beat("a", 2));
    assert_eq!(of(&mut talk, &beat("a", 2).owning("orders:0,1")), 1_000);
    assert_eq!(of(&mut talk, &beat("b", 3)), 1_000);
    for number in 0..498 {
        talk.beats(&joins(&format!("m{number}"), &["orders"]));
    }
    assert_eq!(of(&mut talk, &joins("c", &["orders"])), 2_505);
    // As many groups share what there is.
    let mut other = joins("a", &["orders"]);
    other.request.group_id = "other".into();
    talk.beats(&other);
    assert_eq!(of(&mut talk, &joins("d", &["orders"])), 5_000);
}
