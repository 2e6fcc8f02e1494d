//! Consumer groups and their offsets.

use super::reasons::{GROUPS, THREADS};
use super::table;

table! {
    Broker GROUPS_CONFIGS
    "group.min.session.timeout.ms": Int = Some("6000"), Any, Medium, ReadOnly, GROUPS;
        "Shortest session timeout a classic member may ask for.";
    "group.max.session.timeout.ms": Int = Some("1800000"), Any, Medium, ReadOnly, GROUPS;
        "Longest session timeout a classic member may ask for.";
    "group.initial.rebalance.delay.ms": Int = Some("3000"), Any, Medium, ReadOnly, GROUPS;
        "How long a new classic group waits for more members.";
    "group.max.size": Int = Some("2147483647"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Most members of a classic group.";
    "group.coordinator.rebalance.protocols": List = Some("classic,consumer,streams"), EachOf(&["consumer", "classic", "share", "streams"]), Medium, ReadOnly, GROUPS;
        "Kinds of groups that are served.";
    "group.coordinator.threads": Int = Some("4"), AtLeast(1), High, ReadOnly, THREADS;
        "Threads of the group coordinator.";
    "group.coordinator.background.threads": Int = Some("2"), AtLeast(1), High, ReadOnly, THREADS;
        "Threads for chores of the group coordinator.";
    "group.coordinator.append.linger.ms": Int = Some("-1"), AtLeast(-1), Medium, ReadOnly, GROUPS;
        "How long the group coordinator gathers records before it writes them; -1 adapts.";
    "group.coordinator.cached.buffer.max.bytes": Int = Some("1048588"), AtLeast(524_288), Medium, ClusterWide, GROUPS;
        "Largest write buffer the group coordinator keeps.";
    "group.consumer.session.timeout.ms": Int = Some("45000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Silence after which a consumer is taken out of its group.";
    "group.consumer.min.session.timeout.ms": Int = Some("45000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Shortest session timeout a group may set.";
    "group.consumer.max.session.timeout.ms": Int = Some("60000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Longest session timeout a group may set.";
    "group.consumer.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Time between two heartbeats of a consumer.";
    "group.consumer.min.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Shortest heartbeat interval a group may set.";
    "group.consumer.max.heartbeat.interval.ms": Int = Some("15000"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Longest heartbeat interval a group may set.";
    "group.consumer.max.size": Int = Some("2147483647"), AtLeast(1), Medium, ReadOnly, GROUPS;
        "Most members of a consumer group.";
    "group.consumer.assignors": List = Some("uniform,range"), Any, Medium, ReadOnly, GROUPS;
        "Assignors of the server, the default first.";
    "group.consumer.migration.policy": String = Some("bidirectional"), OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), Medium, ReadOnly, GROUPS;
        "Which changes between the classic and the consumer protocol a group may make.";
    "group.consumer.assignment.interval.ms": Int = Some("1000"), AtLeast(0), Medium, ClusterWide, GROUPS;
        "Least time between two assignments of a consumer group.";
    "group.consumer.min.assignment.interval.ms": Int = Some("0"), AtLeast(0), Medium, ReadOnly, GROUPS;
        "Least value of it that a group may set.";
    "group.consumer.max.assignment.interval.ms": Int = Some("15000"), AtLeast(0), Medium, ReadOnly, GROUPS;
        "Largest value of it that a group may set.";
    "offset.metadata.max.bytes": Int = Some("4096"), Any, High, ReadOnly, GROUPS;
        "Longest metadata text of an offset commit.";
    "offsets.load.buffer.size": Int = Some("5242880"), AtLeast(1), High, ReadOnly, GROUPS;
        "Bytes read at a time when offsets are loaded.";
    "offsets.topic.replication.factor": Short = Some("3"), AtLeast(1), High, ReadOnly, GROUPS;
        "Replicas of __consumer_offsets.";
    "offsets.topic.num.partitions": Int = Some("50"), AtLeast(1), High, ReadOnly, GROUPS;
        "Partitions of __consumer_offsets.";
    "offsets.topic.segment.bytes": Int = Some("104857600"), AtLeast(1), High, ReadOnly, GROUPS;
        "Segment size of __consumer_offsets.";
    "offsets.topic.compression.codec": Int = Some("0"), Any, High, ReadOnly, GROUPS;
        "Compression of __consumer_offsets by number, 0 for none.";
    "offsets.retention.minutes": Int = Some("10080"), AtLeast(1), High, ReadOnly, GROUPS;
        "How long the offsets of an empty group are kept.";
    "offsets.retention.check.interval.ms": Long = Some("600000"), AtLeast(1), High, ReadOnly, GROUPS;
        "Time between looks for offsets to forget.";
    "offsets.commit.timeout.ms": Int = Some("5000"), AtLeast(1), High, ReadOnly, GROUPS;
        "How long an offset commit may wait for its replicas.";
}
