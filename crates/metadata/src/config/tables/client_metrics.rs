//! Configs of a metrics subscription.

use super::table;

table! {
    ClientMetrics CLIENT_METRICS
    "interval.ms": Int = Some("300000"), Between(100, 3_600_000), Medium, ClusterWide;
        "Time between two pushes of a client.";
    "match": List = Some(""), ClientMatch, Medium, ClusterWide;
        "Which clients push, by what is known of them.";
    "metrics": List = Some(""), Any, Medium, ClusterWide;
        "Prefixes of the metrics to push; * is all.";
}
