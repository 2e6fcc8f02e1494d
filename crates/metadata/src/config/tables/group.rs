//! Configs of a group.

use super::reasons::{SHARE, STREAMS};
use super::table;

table! {
    Group GROUP
    "consumer.assignment.interval.ms": Int = Some("1000"), AtLeast(0), Medium, ClusterWide;
        "Least time between two assignments.";
    "consumer.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1), Medium, ClusterWide;
        "Time between two heartbeats of a member.";
    "consumer.session.timeout.ms": Int = Some("45000"), AtLeast(1), Medium, ClusterWide;
        "Silence after which a member is taken out.";
    "errors.deadletterqueue.copy.record.enable": Boolean = Some("false"), Any, Medium, ClusterWide, SHARE;
        "Copy given up records into the dead letter topic.";
    "errors.deadletterqueue.topic.name": String = Some(""), Any, Medium, ClusterWide, SHARE;
        "Topic for what the group gives up.";
    "share.assignment.interval.ms": Int = Some("1000"), AtLeast(0), Medium, ClusterWide, SHARE;
        "Least time between two assignments.";
    "share.auto.offset.reset": String = Some("latest"), OffsetReset, Medium, ClusterWide, SHARE;
        "Where a share group begins: latest, earliest or by_duration:<ISO 8601>.";
    "share.delivery.count.limit": Int = Some("5"), AtLeast(2), Medium, ClusterWide, SHARE;
        "How often a record is delivered before it is given up.";
    "share.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1), Medium, ClusterWide, SHARE;
        "Time between two heartbeats of a member.";
    "share.isolation.level": String = Some("read_uncommitted"), OneOf(&["read_committed", "read_uncommitted"]), Medium, ClusterWide, SHARE;
        "Whether records of open and aborted transactions are delivered.";
    "share.partition.max.record.locks": Int = Some("2000"), AtLeast(100), Medium, ClusterWide, SHARE;
        "Most locked records of a partition.";
    "share.record.lock.duration.ms": Int = Some("30000"), AtLeast(1000), Medium, ClusterWide, SHARE;
        "How long a delivered record is locked.";
    "share.renew.acknowledge.enable": Boolean = Some("true"), Any, Medium, ClusterWide, SHARE;
        "Let consumers renew locks.";
    "share.session.timeout.ms": Int = Some("45000"), AtLeast(1), Medium, ClusterWide, SHARE;
        "Silence after which a member is taken out.";
    "streams.assignment.interval.ms": Int = Some("1000"), AtLeast(0), Medium, ClusterWide, STREAMS;
        "Least time between two assignments.";
    "streams.assignor.name": String = None, Any, Medium, ClusterWide, STREAMS;
        "Assignor of the group.";
    "streams.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1), Medium, ClusterWide, STREAMS;
        "Time between two heartbeats of a member.";
    "streams.initial.rebalance.delay.ms": Int = Some("3000"), AtLeast(0), Medium, ClusterWide, STREAMS;
        "How long a new group waits for more members.";
    "streams.num.standby.replicas": Int = Some("0"), AtLeast(0), Medium, ClusterWide, STREAMS;
        "Standby copies of each stateful task.";
    "streams.rack.aware.assignment.tags": List = Some(""), Any, Low, ClusterWide, STREAMS;
        "Client tags by which standby copies are spread.";
    "streams.session.timeout.ms": Int = Some("45000"), AtLeast(1), Medium, ClusterWide, STREAMS;
        "Silence after which a member is taken out.";
}
