//! Configs of a metrics subscription.

use super::reasons::METRICS;
use super::table;

table! {
    ClientMetrics CLIENT_METRICS
    "interval.ms": Int = Some("300000"), Between(100, 3_600_000), Medium, ClusterWide, METRICS;
        "Time between two pushes of a client.";
    "match": List = Some(""), ClientMatch, Medium, ClusterWide, METRICS;
        "Which clients push, by what is known of them.";
    "metrics": List = Some(""), Any, Medium, ClusterWide, METRICS;
        "Prefixes of the metrics to push; * is all.";
}
