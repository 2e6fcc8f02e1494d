//! Followers, leaders and throttles.

use super::reasons::{CLUSTER, JOURNAL};
use super::table;

table! {
    Broker REPLICATION
    "replica.lag.time.max.ms": Long = Some("30000"), Any, High, ReadOnly, CLUSTER;
        "How long a follower may lag before it leaves the in-sync set.";
    "replica.socket.timeout.ms": Int = Some("30000"), Any, High, ReadOnly, CLUSTER;
        "How long a fetch of a follower may take.";
    "replica.socket.receive.buffer.bytes": Int = Some("65536"), Any, High, ReadOnly, CLUSTER;
        "SO_RCVBUF of a follower's connections.";
    "replica.fetch.max.bytes": Int = Some("1048576"), AtLeast(0), Medium, ReadOnly, CLUSTER;
        "Bytes a follower asks of one partition.";
    "replica.fetch.wait.max.ms": Int = Some("500"), Any, High, ReadOnly, CLUSTER;
        "How long a follower's fetch may wait for bytes.";
    "replica.fetch.backoff.ms": Int = Some("1000"), AtLeast(0), Medium, ReadOnly, CLUSTER;
        "Wait before a failed fetch is tried again.";
    "replica.fetch.min.bytes": Int = Some("1"), Any, High, ReadOnly, CLUSTER;
        "Bytes a follower's fetch waits for.";
    "replica.fetch.response.max.bytes": Int = Some("10485760"), AtLeast(0), Medium, ReadOnly, CLUSTER;
        "Bytes a follower asks of one broker.";
    "num.replica.fetchers": Int = Some("1"), AtLeast(1), High, ClusterWide, CLUSTER;
        "Connections to each broker that is followed.";
    "num.replica.alter.log.dirs.threads": Int = None, Any, High, ReadOnly, CLUSTER;
        "Threads that move replicas between directories.";
    "replica.high.watermark.checkpoint.interval.ms": Long = Some("5000"), Any, High, ReadOnly, JOURNAL;
        "Time between writes of the high watermarks.";
    "auto.leader.rebalance.enable": Boolean = Some("true"), Any, High, ReadOnly, CLUSTER;
        "Give leadership back to preferred replicas.";
    "leader.imbalance.check.interval.seconds": Long = Some("300"), AtLeast(1), High, ReadOnly, CLUSTER;
        "Time between looks for leaders to give back.";
    "replica.selector.class": String = None, Any, Medium, ReadOnly, CLUSTER;
        "How the replica is chosen that a consumer reads from.";
    "leader.replication.throttled.rate": Long = Some("9223372036854775807"), AtLeast(0), Medium, PerBroker, CLUSTER;
        "Bytes a second that leaders send for throttled replicas.";
    "follower.replication.throttled.rate": Long = Some("9223372036854775807"), AtLeast(0), Medium, PerBroker, CLUSTER;
        "Bytes a second that followers take for throttled replicas.";
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(0), Medium, PerBroker, CLUSTER;
        "Bytes a second for moving replicas between directories.";
}
