//! Tiered storage.

use super::reasons::{JAVA, TIERED};
use super::table;

table! {
    Broker REMOTE
    "remote.log.storage.system.enable": Boolean = Some("false"), Any, Medium, ReadOnly, TIERED;
        "Keep old segments in remote storage.";
    "remote.log.storage.manager.class.name": String = None, NotEmpty, Medium, ReadOnly, JAVA;
        "Java class of the remote storage.";
    "remote.log.storage.manager.class.path": String = None, Any, Medium, ReadOnly, JAVA;
        "Class path of it.";
    "remote.log.storage.manager.impl.prefix": String = Some("rsm.config."), NotEmpty, Medium, ReadOnly, JAVA;
        "Prefix of its own configs.";
    "remote.log.metadata.manager.class.name": String = Some("org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager"), NotEmpty, Medium, ReadOnly, JAVA;
        "Java class that keeps track of remote segments.";
    "remote.log.metadata.manager.class.path": String = None, Any, Medium, ReadOnly, JAVA;
        "Class path of it.";
    "remote.log.metadata.manager.impl.prefix": String = Some("rlmm.config."), NotEmpty, Medium, ReadOnly, JAVA;
        "Prefix of its own configs.";
    "remote.log.metadata.manager.listener.name": String = None, NotEmpty, Medium, ReadOnly, TIERED;
        "Listener that it connects to.";
    "remote.log.metadata.custom.metadata.max.bytes": Int = Some("128"), AtLeast(0), Low, ReadOnly, TIERED;
        "Longest metadata the remote storage may add to a segment.";
    "remote.log.index.file.cache.total.size.bytes": Long = Some("1073741824"), AtLeast(1), Low, ClusterWide, TIERED;
        "Disk space for indexes of remote segments.";
    "remote.log.manager.thread.pool.size": Int = Some("2"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Threads for remote segments.";
    "remote.log.manager.copier.thread.pool.size": Int = Some("10"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Threads that copy segments to remote storage.";
    "remote.log.manager.expiration.thread.pool.size": Int = Some("10"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Threads that delete remote segments.";
    "remote.log.manager.follower.thread.pool.size": Int = Some("2"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Threads that follow remote segments.";
    "remote.log.manager.task.interval.ms": Long = Some("30000"), AtLeast(1), Low, ReadOnly, TIERED;
        "Time between two looks for segments to copy or delete.";
    "remote.log.reader.threads": Int = Some("10"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Threads that read remote segments.";
    "remote.log.reader.max.pending.tasks": Int = Some("100"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Reads of remote segments that may wait.";
    "remote.log.manager.copy.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Bytes a second copied to remote storage.";
    "remote.log.manager.copy.quota.window.num": Int = Some("11"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Windows that copies are measured over.";
    "remote.log.manager.copy.quota.window.size.seconds": Int = Some("1"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Length of such a window.";
    "remote.log.manager.fetch.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(1), Medium, ClusterWide, TIERED;
        "Bytes a second read from remote storage.";
    "remote.log.manager.fetch.quota.window.num": Int = Some("11"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Windows that reads are measured over.";
    "remote.log.manager.fetch.quota.window.size.seconds": Int = Some("1"), AtLeast(1), Medium, ReadOnly, TIERED;
        "Length of such a window.";
    "remote.fetch.max.wait.ms": Int = Some("500"), AtLeast(1), Medium, ClusterWide, TIERED;
        "How long a fetch may wait for remote storage.";
    "remote.list.offsets.request.timeout.ms": Long = Some("30000"), AtLeast(1), Medium, ClusterWide, TIERED;
        "How long a look-up of an offset may wait for remote storage.";
    "log.local.retention.ms": Long = Some("-2"), AtLeast(-2), Medium, ClusterWide, TIERED;
        "Age at which a copied segment is deleted here; -2 is that of the topic.";
    "log.local.retention.bytes": Long = Some("-2"), AtLeast(-2), Medium, ClusterWide, TIERED;
        "Size at which copied segments are deleted here; -2 is that of the topic.";
    "log.remote.copy.lag.ms": Long = Some("0"), AtLeast(-1), Medium, ClusterWide, TIERED;
        "Age at which a closed segment is copied.";
    "log.remote.copy.lag.bytes": Long = Some("-1"), AtLeast(-1), Medium, ClusterWide, TIERED;
        "Bytes behind the end at which a closed segment is copied.";
    "follower.fetch.last.tiered.offset.enable": Boolean = Some("false"), Any, Medium, ClusterWide, TIERED;
        "Let new followers begin at the last copied offset.";
}
