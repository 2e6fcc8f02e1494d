//! What Kafka has no config for.

use super::table;

table! {
    Broker BROKER
    "bourn.durability": String = Some("synced"), OneOf(&["synced", "buffered"]), High, ClusterWide;
        "What acknowledged means: synced to disk on every in-sync replica, or buffered as in Kafka. For topics that do not say.";
    "bourn.memory.max.bytes": Long = Some("268435456"), AtLeast(16_777_216), High, ReadOnly;
        "Memory for requests, for the newest records and for what clients make the broker hold.";
    "bourn.journal.max.bytes": Long = Some("268435456"), AtLeast(16_777_216), Medium, ReadOnly;
        "Size that the journal of a data directory may grow to. A batch that is larger than each of its files makes it grow beyond that, and it does not shrink.";
    "bourn.disk.reserve.bytes": Long = Some("268435456"), AtLeast(0), Medium, ReadOnly;
        "Free space of a disk below which writes to its data directories are refused. Topics are created there all the same, and deletion, retention and reads go on; writes do, too, once there is room.";
    "bourn.scrub.interval.ms": Long = Some("604800000"), AtLeast(-1), Low, ReadOnly;
        "From the beginning of one check of all segments for damage to that of the next; -1 for never.";
    "bourn.scrub.max.bytes.per.second": Long = Some("8388608"), AtLeast(1), Low, ReadOnly;
        "Bytes that the check of the segments reads in a second.";
    "bourn.shards": Int = Some("0"), AtLeast(0), Low, ReadOnly;
        "Shards that partitions are spread over; 0 is one a core.";
    "bourn.shutdown.timeout.ms": Long = Some("30000"), AtLeast(0), Low, ReadOnly;
        "How long a stop waits for requests in work.";
    "bourn.log.level": String = Some("info"), Any, Low, ReadOnly;
        "What the broker's own log shows: error, warn, info, debug, trace, or module=level,...";
    "bourn.log.format": String = Some("human"), OneOf(&["human", "json"]), Low, ReadOnly;
        "How the broker's own log is written to standard error: as text for people, with colours on a terminal, or as one JSON object a line.";
}

pub(in crate::config) use topic::TOPIC;

mod topic {
    use super::super::table;

    table! {
        Topic TOPIC
        "bourn.durability": String = Some("synced"), OneOf(&["synced", "buffered"]), Medium, ClusterWide;
            "What acknowledged means: synced to disk on every in-sync replica, or buffered as in Kafka.";
    }
}
