//! The metadata log, the quorum and the life of a broker in it.

use super::reasons::{CLUSTER, QUORUM};
use super::table;

table! {
    Broker QUORUM_CONFIGS
    "controller.quorum.voters": List = Some(""), Any, High, ReadOnly, QUORUM;
        "Voters of the quorum, id@host:port,...";
    "controller.quorum.bootstrap.servers": List = Some(""), Any, High, ReadOnly, QUORUM;
        "Where to find the quorum.";
    "controller.quorum.election.timeout.ms": Int = Some("1000"), AtLeast(0), High, ReadOnly, QUORUM;
        "Silence after which a voter starts an election.";
    "controller.quorum.fetch.timeout.ms": Int = Some("2000"), AtLeast(0), High, ReadOnly, QUORUM;
        "Silence of a leader after which a follower gives up on it.";
    "controller.quorum.election.backoff.max.ms": Int = Some("1000"), AtLeast(0), High, ReadOnly, QUORUM;
        "Longest random wait before another election.";
    "controller.quorum.append.linger.ms": Int = Some("25"), AtLeast(0), Medium, ReadOnly, QUORUM;
        "How long the leader gathers entries before it writes them.";
    "controller.quorum.request.timeout.ms": Int = Some("2000"), AtLeast(0), Medium, ReadOnly, QUORUM;
        "How long a request within the quorum may take.";
    "controller.quorum.retry.backoff.ms": Int = Some("20"), AtLeast(0), Low, ReadOnly, QUORUM;
        "Wait before a request within the quorum is tried again.";
    "controller.quorum.auto.join.enable": Boolean = Some("false"), Any, Low, ReadOnly, QUORUM;
        "Let a controller add itself to the voters.";
    "controller.quorum.fetch.max.bytes": Int = Some("1048576"), AtLeast(1), Low, ReadOnly, QUORUM;
        "Most bytes of one answer within the quorum.";
    "controller.quorum.fetch.snapshot.max.bytes": Int = Some("1048576"), AtLeast(1), Low, ReadOnly, QUORUM;
        "Most bytes of one piece of a snapshot.";
    "controller.socket.timeout.ms": Int = Some("30000"), Any, Medium, ReadOnly, CLUSTER;
        "How long a request to the controller may take.";
    "initial.broker.registration.timeout.ms": Int = Some("60000"), Any, Medium, ReadOnly, CLUSTER;
        "How long a starting broker tries to register before it gives up.";
    "broker.heartbeat.interval.ms": Int = Some("2000"), Any, Medium, ReadOnly, CLUSTER;
        "Time between two heartbeats of a broker.";
    "broker.session.timeout.ms": Int = Some("9000"), Any, Medium, ReadOnly, CLUSTER;
        "Silence after which a broker is fenced.";
    "metadata.log.dir": String = None, Any, High, ReadOnly;
        "Directory of the metadata log; the first data directory when not set.";
    "metadata.log.max.record.bytes.between.snapshots": Long = Some("20971520"), AtLeast(1), High, ReadOnly, QUORUM;
        "Bytes of metadata records after which a snapshot is written.";
    "metadata.log.max.snapshot.interval.ms": Long = Some("3600000"), AtLeast(0), High, ReadOnly, QUORUM;
        "Time after which a snapshot is written if anything changed; 0 is never.";
    "metadata.log.segment.bytes": Int = Some("1073741824"), AtLeast(8_388_608), High, ReadOnly, QUORUM;
        "Size at which a segment of the metadata log is closed.";
    "metadata.log.segment.ms": Long = Some("604800000"), Any, High, ReadOnly, QUORUM;
        "Age at which a segment of the metadata log is closed.";
    "metadata.max.retention.bytes": Long = Some("104857600"), Any, High, ReadOnly, QUORUM;
        "Size at which old snapshots and segments of the metadata log are deleted.";
    "metadata.max.retention.ms": Long = Some("604800000"), Any, High, ReadOnly, QUORUM;
        "Age at which old snapshots and segments of the metadata log are deleted.";
    "metadata.max.idle.interval.ms": Int = Some("500"), AtLeast(0), Low, ReadOnly, QUORUM;
        "Time between empty entries of an idle controller; 0 writes none.";
}
