//! UpdateFeatures: the levels at which all of the cluster works (KIP-584).
//!
//! Invariants:
//! - a level is finalized only if every registered broker works at it;
//! - a level goes down only when whoever asks says so.

use std::collections::BTreeSet;

use protocol::{ErrorCode, Str};

use super::{Decision, Refusal};
use crate::Image;
use crate::record::Record;

/// The features of Kafka that can be at level 0.
const FEATURES: [&str; 5] = [
    "eligible.leader.replicas.version",
    "group.version",
    "share.version",
    "streams.version",
    "transaction.version",
];

/// Which way a level may go; the numbers are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade = 1,
    /// Without loss.
    SafeDowngrade = 2,
    UnsafeDowngrade = 3,
}

impl UpgradeType {
    pub fn from_id(id: i8) -> Option<UpgradeType> {
        let all = [UpgradeType::Upgrade, UpgradeType::SafeDowngrade, UpgradeType::UnsafeDowngrade];
        all.into_iter().find(|kind| *kind as i8 == id)
    }
}

/// The level that a feature is to have; 0 takes it back.
#[derive(Clone, Debug)]
pub struct FeatureUpdate {
    pub name: Str,
    pub level: i16,
    /// `None` for one that is not known.
    pub upgrade_type: Option<UpgradeType>,
}

/// Changes levels, all of them or none, or with `validate_only` says what would become of it.
pub fn update_features(
    image: &Image,
    updates: &[FeatureUpdate],
    validate_only: bool,
) -> Decision<Result<(), Refusal>> {
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for update in updates {
        let checked = match seen.insert(&update.name) {
            true => check(image, update),
            false => {
                let message = format!("{} is there twice in the request", update.name);
                Err(Refusal::new(ErrorCode::InvalidRequest, message))
            }
        };
        if let Err(refusal) = checked {
            return (Vec::new(), Err(refusal));
        }
        if image.feature_level(&update.name) != update.level {
            records.push(Record::FeatureLevel { name: update.name.detached(), level: update.level });
        }
    }
    (if validate_only { Vec::new() } else { records }, Ok(()))
}

fn check(image: &Image, update: &FeatureUpdate) -> Result<(), Refusal> {
    let FeatureUpdate { name, level, upgrade_type } = update;
    let refuse = |why: String| {
        let message = format!("{name} cannot be set to level {level}: {why}");
        Err(Refusal::new(ErrorCode::InvalidUpdateVersion, message))
    };
    let Some(upgrade_type) = upgrade_type else {
        return refuse("the upgrade type is not known".to_owned());
    };
    if *level < 0 {
        return refuse("a level is not negative".to_owned());
    }
    let now = image.feature_level(name);
    let mut known = image.brokers().flat_map(|broker| &broker.features);
    // Kafka takes back what it knows, whether it was ever finalized or not, and refuses other names.
    if *level == 0
        && now == 0
        && !FEATURES.contains(&name.as_str())
        && !known.any(|feature| feature.name == *name)
    {
        return refuse("there is no such feature".to_owned());
    }
    for broker in image.brokers().filter(|_| *level > 0) {
        let known = broker.features.iter().find(|feature| feature.name == *name);
        let Some(known) = known else {
            return refuse(format!("broker {} does not know this feature", broker.node_id));
        };
        if !(known.min_level..=known.max_level).contains(level) {
            let (min, max) = (known.min_level, known.max_level);
            return refuse(format!("broker {} works at levels {min} to {max}", broker.node_id));
        }
    }
    match upgrade_type {
        UpgradeType::Upgrade if *level < now => {
            refuse(format!("it is at {now}, and going down must be asked for as a downgrade"))
        }
        UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if *level > now => {
            refuse(format!("it is at {now}, and a downgrade does not go up"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{broker, cluster};
    use super::*;
    use crate::record::{BrokerFeature, BrokerRegistration};

    fn update(name: &str, level: i16, upgrade_type: i8) -> FeatureUpdate {
        FeatureUpdate { name: name.into(), level, upgrade_type: UpgradeType::from_id(upgrade_type) }
    }

    /// Two brokers, of which the second is older.
    fn image() -> Image {
        let mut image = cluster(&[]);
        for (node, max_level) in [(1, 3), (2, 2)] {
            let feature = BrokerFeature { name: "f".into(), min_level: 1, max_level };
            let registration = BrokerRegistration { features: vec![feature], ..broker(node, 1) };
            image.apply(&Record::RegisterBroker(registration)).unwrap();
        }
        image
    }

    #[test]
    fn levels_go_up_and_down_as_far_as_all_brokers_work() {
        let mut image = image();
        for (level, upgrade_type) in [(1, 1), (2, 1), (2, 1), (1, 2), (2, 1), (0, 3), (0, 1)] {
            let before = image.feature_level("f");
            let updates = [update("f", level, upgrade_type)];
            let (records, result) = update_features(&image, &updates, true);
            assert_eq!((records, result), (vec![], Ok(())));
            let (records, result) = update_features(&image, &updates, false);
            assert_eq!((records.len(), result), (usize::from(before != level), Ok(())));
            for record in &records {
                image.apply(record).unwrap();
            }
            assert_eq!(image.feature_level("f"), level);
        }
    }

    #[test]
    fn levels_that_cannot_be_are_refused_and_nothing_changes() {
        let mut image = image();
        image.apply(&Record::FeatureLevel { name: "f".into(), level: 2 }).unwrap();
        for (name, level, upgrade_type, why) in [
            ("f", 3, 1, "f cannot be set to level 3: broker 2 works at levels 1 to 2"),
            ("g", 1, 1, "g cannot be set to level 1: broker 1 does not know this feature"),
            ("g", 0, 1, "g cannot be set to level 0: there is no such feature"),
            ("g", 0, 3, "g cannot be set to level 0: there is no such feature"),
            ("f", -1, 1, "f cannot be set to level -1: a level is not negative"),
            (
                "f",
                1,
                1,
                "f cannot be set to level 1: it is at 2, and going down must be asked for as a downgrade",
            ),
            ("f", 1, 0, "f cannot be set to level 1: the upgrade type is not known"),
        ] {
            let good = update("f", 2, 1);
            let updates = if name == "f" { vec![] } else { vec![good] };
            let updates = [updates, vec![update(name, level, upgrade_type)]].concat();
            let (records, result) = update_features(&image, &updates, false);
            assert_eq!((records, result), (vec![], Err(Refusal::new(ErrorCode::InvalidUpdateVersion, why))));
        }
        image.apply(&Record::FeatureLevel { name: "f".into(), level: 1 }).unwrap();
        let (_, result) = update_features(&image, &[update("f", 2, 2)], false);
        let why = "f cannot be set to level 2: it is at 1, and a downgrade does not go up";
        assert_eq!(result, Err(Refusal::new(ErrorCode::InvalidUpdateVersion, why)));
        let twice = [update("f", 2, 1), update("f", 2, 1)];
        let (_, result) = update_features(&image, &twice, false);
        assert_eq!(result.unwrap_err().code, ErrorCode::InvalidRequest);
    }
}
