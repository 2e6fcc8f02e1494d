//! Members of one group in one process, against a whole broker, under virtual time.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::time::Duration;

use broker::Node;
use client::admin::NewTopic;
use client::{
    Admin, Assignor, Cluster, ClusterOptions, GroupConsumer, GroupOptions, GroupProtocol, OutOfRange,
    Producer, ProducerOptions, ProducerRecord, TopicPartition,
};
use host::sim::{Control, NodeOptions, Sim};
use host::{Host, Place};
use metadata::config::{BrokerConfig, StaticConfig};

const PARTITIONS: i32 = 4;
const TICK: Duration = Duration::from_millis(100);

struct World {
    sim: Control,
    clients: Host,
}

/// What the members of a group have been handed, by partition, in the order in which it came.
type Seen = BTreeMap<TopicPartition, Vec<i64>>;

impl World {
    fn start_broker(&self, host: &Host) {
        let on = host.clone();
        host.spawn(Place::Control, "broker", async move {
            let mut statics = StaticConfig::new();
            statics.set("listeners", "PLAINTEXT://server:9092");
            statics.set("log.dirs", "/data");
            statics.set("bourn.journal.max.bytes", (64 << 20).to_string());
            statics.set("group.initial.rebalance.delay.ms", "0");
            let (config, _) = BrokerConfig::load(&statics).unwrap();
            let node = Node::start(on, statics, config).await.unwrap();
            node.failed().await;
        });
    }

    fn cluster(&self) -> Cluster {
        Cluster::start(&self.clients, ClusterOptions::new(["server:9092"])).unwrap()
    }

    fn member(&self, style: Style) -> GroupConsumer {
        let mut options = GroupOptions::new("g", ["t"]);
        options.protocol = style.0;
        options.assignors = style.1.to_vec();
        options.consumer.out_of_range = OutOfRange::Earliest;
        GroupConsumer::start(&self.cluster(), options).unwrap()
    }

    /// Writes so many records to each partition.
    async fn write(&self, producer: &Producer, count: usize) {
        let mut deliveries = Vec::new();
        for number in 0..count {
            for partition in 0..PARTITIONS {
                let record = ProducerRecord::new("t").partition(partition).value(number.to_string());
                deliveries.push(producer.send(record).await.unwrap());
            }
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Style(GroupProtocol, &'static [Assignor]);

const STYLES: [Style; 5] = [
    Style(GroupProtocol::Auto, &[Assignor::Range]),
    Style(GroupProtocol::Consumer, &[Assignor::Range]),
    Style(GroupProtocol::Classic, &[Assignor::Range, Assignor::CooperativeSticky]),
    Style(GroupProtocol::Classic, &[Assignor::RoundRobin]),
    Style(GroupProtocol::Classic, &[Assignor::CooperativeSticky]),
];

fn run(test: impl AsyncFn(&World, &Producer)) {
    let sim = Sim::new(11);
    let server = sim.node("server", NodeOptions::default());
    let clients = sim.node("clients", NodeOptions::default());
    let world = World { sim: (*sim).clone(), clients };
    world.start_broker(&server);
    sim.block_on_node("clients", async {
        let cluster = world.cluster();
        // The broker may not listen yet.
        while cluster.refresh(Vec::new(), false).await.is_err() {
            world.sim.sleep(TICK).await;
        }
        let topic = NewTopic { name: "t".into(), partitions: Some(PARTITIONS), ..NewTopic::default() };
        Admin::new(&cluster).create_topics(&[topic], false).await.unwrap();
        let producer = Producer::start(&cluster, ProducerOptions::default()).unwrap();
        test(&world, &producer).await;
    });
}

/// Polls the members in turn until `is_done`.
async fn read(
    members: &mut [GroupConsumer],
    seen: &mut Seen,
    is_done: impl Fn(&[GroupConsumer], &Seen) -> bool,
) {
    for _ in 0..3000 {
        if is_done(members, seen) {
            return;
        }
        for member in members.iter_mut() {
            if let Some(chunk) = member.poll(TICK).await.unwrap() {
                assert!(member.assignment().contains(&chunk.partition));
                let offsets = chunk.records.iter().map(|record| record.offset.get());
                seen.entry(chunk.partition).or_default().extend(offsets);
            }
        }
    }
    let owned: Vec<_> = members.iter().map(GroupConsumer::assignment).collect();
    panic!("it does not come to that: {owned:?}, {seen:?}");
}

fn shares(members: &[GroupConsumer]) -> Vec<usize> {
    members.iter().map(|member| member.assignment().len()).collect()
}

fn count(seen: &Seen) -> usize {
    seen.values().map(Vec::len).sum()
}

/// Every offset of every partition once, in order.
fn assert_each_once(seen: &Seen, count: i64, style: Style) {
    let all: Vec<i64> = (0..count).collect();
    let expected: Seen =
        (0..PARTITIONS).map(|index| (TopicPartition::new("t", index), all.clone())).collect();
    assert_eq!(*seen, expected, "{style:?}");
}

#[test]
fn members_share_a_topic_and_nothing_is_read_twice_or_left_out_when_they_come_and_go() {
    for style in STYLES {
        run(async |world, producer| {
            let mut seen = Seen::new();
            world.write(producer, 5).await;
            let mut members = vec![world.member(style)];
            read(&mut members, &mut seen, |_, seen| count(seen) == 20).await;
            members.push(world.member(style));
            read(&mut members, &mut seen, |members, _| shares(members) == [2, 2]).await;
            world.write(producer, 5).await;
            read(&mut members, &mut seen, |_, seen| count(seen) == 40).await;
            members.remove(0).close().await.unwrap();
            world.write(producer, 5).await;
            read(&mut members, &mut seen, |members, seen| shares(members) == [4] && count(seen) == 60).await;
            assert_each_once(&seen, 15, style);
            members.remove(0).close().await.unwrap();
            // The group goes on where it was.
            world.write(producer, 1).await;
            members.push(world.member(style));
            read(&mut members, &mut seen, |_, seen| count(seen) == 64).await;
            assert_each_once(&seen, 16, style);
        });
    }
}

#[test]
fn a_group_goes_on_after_its_coordinator_was_killed() {
    for style in STYLES {
        run(async |world, producer| {
            let mut seen = Seen::new();
            let mut members = vec![world.member(style), world.member(style)];
            world.write(producer, 5).await;
            read(&mut members, &mut seen, |members, seen| shares(members) == [2, 2] && count(seen) == 20)
                .await;
            world.sim.kill("server");
            let host = world.sim.restart("server");
            world.start_broker(&host);
            world.write(producer, 5).await;
            read(&mut members, &mut seen, |members, seen| shares(members) == [2, 2] && count(seen) >= 40)
                .await;
            for member in members {
                member.close().await.unwrap();
            }
            // Who was a member before is one still, so that nothing was read twice.
            assert_each_once(&seen, 10, style);
        });
    }
}

#[test]
fn members_of_both_protocols_share_a_group() {
    run(async |world, producer| {
        let mut seen = Seen::new();
        world.write(producer, 5).await;
        let mut members = vec![world.member(STYLES[2])];
        read(&mut members, &mut seen, |_, seen| count(seen) == 20).await;
        members.push(world.member(STYLES[1]));
        read(&mut members, &mut seen, |members, _| shares(members) == [2, 2]).await;
        world.write(producer, 5).await;
        read(&mut members, &mut seen, |_, seen| count(seen) == 40).await;
        assert_each_once(&seen, 10, STYLES[1]);
    });
}

#[test]
fn what_was_not_committed_is_read_again() {
    run(async |world, producer| {
        let mut seen = Seen::new();
        world.write(producer, 5).await;
        let mut members = vec![world.member(STYLES[0])];
        read(&mut members, &mut seen, |_, seen| count(seen) == 20).await;
        let first = TopicPartition::new("t", 0);
        members[0].seek(&first, protocol::Offset(2));
        members.remove(0).close().await.unwrap();
        members.push(world.member(STYLES[0]));
        let mut again = Seen::new();
        read(&mut members, &mut again, |_, seen| count(seen) == 3).await;
        assert_eq!(again, Seen::from([(first, vec![2, 3, 4])]));
        // Dropped: it leaves, and the others need not wait for its session to end.
        drop(members.pop());
        members.push(world.member(STYLES[0]));
        read(&mut members, &mut again, |_, seen| count(seen) == 6).await;
    });
}

#[test]
fn a_static_member_comes_back_to_what_it_had() {
    for protocol in [GroupProtocol::Consumer, GroupProtocol::Classic] {
        run(async |world, producer| {
            let member = |name: &str| {
                let mut options = GroupOptions::new("g", ["t"]);
                options.protocol = protocol;
                options.instance_id = Some(name.into());
                options.consumer.out_of_range = OutOfRange::Earliest;
                GroupConsumer::start(&world.cluster(), options).unwrap()
            };
            let mut seen = Seen::new();
            world.write(producer, 1).await;
            let mut members = vec![member("a"), member("b")];
            read(&mut members, &mut seen, |members, seen| shares(members) == [2, 2] && count(seen) == 4)
                .await;
            let had = members[0].assignment().clone();
            members.remove(0).close().await.unwrap();
            members.insert(0, member("a"));
            read(&mut members, &mut seen, |members, _| shares(members) == [2, 2]).await;
            assert_eq!(*members[0].assignment(), had);
            // A second one of that name takes its place, and the first one hears that.
            let mut second = member("a");
            let mut ended = None;
            for _ in 0..1000 {
                second.poll(TICK).await.err().inspect(|error| ended = error.code());
                members[0].poll(TICK).await.err().inspect(|error| ended = error.code());
                members[1].poll(TICK).await.unwrap();
                if ended.is_some() {
                    break;
                }
            }
            let expected = match protocol {
                GroupProtocol::Consumer => protocol::ErrorCode::UnreleasedInstanceId,
                _ => protocol::ErrorCode::FencedInstanceId,
            };
            assert_eq!(ended, Some(expected));
        });
    }
}
