//! The list itself, one table a theme.
//!
//! Invariant: a name is there once in its scope.

mod bourn;
mod client_metrics;
mod group;
mod groups;
mod log;
mod quorum;
mod quotas;
mod reasons;
mod replication;
mod security;
mod server;
mod share;
mod sockets;
mod synonyms;
mod tiered;
mod topics;
mod transactions;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Definition, Scope};

pub use synonyms::broker_synonyms;

/// `"name": Kind = default, valid values, importance, update[, why it has no effect]; "documentation";`
macro_rules! table {
    ($scope:ident $table:ident $($name:literal: $kind:ident = $default:expr, $valid:expr, $importance:ident,
        $update:ident $(, $reason:expr)?; $doc:literal;)*) => {
        #[allow(unused_imports)]
        use crate::config::Valid::*;

        pub(in crate::config) const $table: &[crate::config::Definition] = &[$(crate::config::Definition {
            name: $name,
            scope: crate::config::Scope::$scope,
            kind: crate::config::Kind::$kind,
            default: $default,
            valid: $valid,
            importance: crate::config::Importance::$importance,
            update: crate::config::Update::$update,
            doc: $doc,
            no_effect: table!(@reason $($reason)?),
        }),*];
    };
    (@reason) => { None };
    (@reason $reason:expr) => { Some($reason) };
}
use table;

/// The tables in the order of the page, each with its title.
pub(super) const TABLES: &[(&str, &[Definition])] = &[
    ("Ours", bourn::BROKER),
    ("Server", server::SERVER),
    ("Listeners and connections", sockets::SOCKETS),
    ("Logs", log::LOG),
    ("Metadata and quorum", quorum::QUORUM_CONFIGS),
    ("Replication", replication::REPLICATION),
    ("Consumer groups", groups::GROUPS_CONFIGS),
    ("Share and streams groups", share::SHARE_GROUPS),
    ("Transactions", transactions::TRANSACTION_LOG),
    ("Quotas and metrics", quotas::QUOTAS_AND_METRICS),
    ("Security", security::SECURITY_CONFIGS),
    ("Tiered storage", tiered::REMOTE),
    ("Topics", topics::TOPICS),
    ("Topics, ours", bourn::TOPIC),
    ("Groups", group::GROUP),
    ("Client metrics", client_metrics::CLIENT_METRICS),
];

/// Every config there is.
pub fn definitions() -> impl Iterator<Item = &'static Definition> {
    TABLES.iter().flat_map(|(_, table)| table.iter())
}

/// The config called `name` of that kind of resource.
pub fn find(scope: Scope, name: &str) -> Option<&'static Definition> {
    static BY_NAME: LazyLock<HashMap<(Scope, &'static str), &'static Definition>> = LazyLock::new(|| {
        definitions().map(|definition| ((definition.scope, definition.name), definition)).collect()
    });
    BY_NAME.get(&(scope, name)).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_there_once_in_its_scope() {
        let mut seen = BTreeSet::new();
        for definition in definitions() {
            assert!(seen.insert((definition.scope, definition.name)), "{} is there twice", definition.name);
        }
    }

    #[test]
    fn synonyms_exist() {
        for definition in definitions() {
            for (synonym, factor) in broker_synonyms(definition) {
                assert!(find(Scope::Broker, synonym).is_some(), "{synonym}");
                assert!(*factor >= 1);
            }
        }
    }

    #[test]
    fn documentation_is_one_sentence_or_two() {
        for definition in definitions() {
            assert!(definition.doc.ends_with('.') && definition.doc.len() <= 200, "{}", definition.name);
            assert!(definition.no_effect.is_none_or(|reason| !reason.ends_with('.')), "{}", definition.name);
        }
    }
}
