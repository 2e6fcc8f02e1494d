//! What this software can do at which level of Kafka's features, and at which level a new cluster begins. A level is here only
//! if all that Kafka has at it works.

use metadata::record::BrokerFeature;
use protocol::Str;

struct Feature {
    name: &'static str,
    /// 0 is without.
    max_level: i16,
}

const FEATURES: [Feature; 2] = [
    // Groups of the consumer protocol (KIP-848).
    Feature { name: "group.version", max_level: 1 },
    // 1: tagged fields in records; 2: an epoch a transaction, to which partitions are added by their first batch (KIP-890).
    Feature { name: "transaction.version", max_level: 2 },
];

/// What a broker tells of itself.
pub(crate) fn supported() -> Vec<BrokerFeature> {
    let supported = |feature: &Feature| BrokerFeature {
        name: Str::from_static(feature.name),
        min_level: 0,
        max_level: feature.max_level,
    };
    FEATURES.iter().map(supported).collect()
}

/// What a new cluster has.
pub(crate) fn newest() -> Vec<(Str, i16)> {
    FEATURES.iter().map(|feature| (Str::from_static(feature.name), feature.max_level)).collect()
}
