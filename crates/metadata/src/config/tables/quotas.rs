//! Quotas and metrics.

use super::reasons::{JAVA, METRICS, QUOTAS};
use super::table;

table! {
    Broker QUOTAS_AND_METRICS
    "quota.window.num": Int = Some("11"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Windows that client quotas are measured over.";
    "quota.window.size.seconds": Int = Some("1"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Length of such a window.";
    "replication.quota.window.num": Int = Some("11"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Windows that replication throttles are measured over.";
    "replication.quota.window.size.seconds": Int = Some("1"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Length of such a window.";
    "alter.log.dirs.replication.quota.window.num": Int = Some("11"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Windows that moves between directories are measured over.";
    "alter.log.dirs.replication.quota.window.size.seconds": Int = Some("1"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Length of such a window.";
    "controller.quota.window.num": Int = Some("11"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Windows that changes of topics are measured over.";
    "controller.quota.window.size.seconds": Int = Some("1"), AtLeast(1), Low, ReadOnly, QUOTAS;
        "Length of such a window.";
    "client.quota.callback.class": Class = None, Any, Low, ReadOnly, JAVA;
        "Java class that gives quotas to clients.";
    "metrics.num.samples": Int = Some("2"), AtLeast(1), Low, ReadOnly, METRICS;
        "Samples that a rate is measured over.";
    "metrics.sample.window.ms": Long = Some("30000"), AtLeast(1), Low, ReadOnly, METRICS;
        "Length of a sample.";
    "metric.reporters": List = Some("org.apache.kafka.common.metrics.JmxReporter"), Any, Low, ClusterWide, JAVA;
        "Java classes that report metrics.";
    "metrics.recording.level": String = Some("INFO"), Any, Low, ReadOnly, METRICS;
        "Detail of the metrics that are kept: INFO, DEBUG or TRACE.";
    "kafka.metrics.reporters": List = Some(""), Any, Low, ReadOnly, JAVA;
        "Java classes that report metrics.";
    "kafka.metrics.polling.interval.secs": Int = Some("10"), AtLeast(1), Low, ReadOnly, JAVA;
        "Time between two looks of those classes.";
}
