//! [`Loggers`]: how much each part of the broker says in its own log, and how that changes while it runs (KIP-412).
//!
//! Invariants:
//! * Levels are those of this process: a restart goes back to `bourn.log.level`.
//! * A logger without a level of its own has that of `root`.
//! * Changes of one request are made together or not at all.
//!
//! Does not know: where the log goes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use metadata::controller::{AlterOp, Refusal};
use protocol::{ErrorCode, Str};

/// The logger that the others go by.
const ROOT: &str = "root";
/// Parts of the broker that log, and what clients push.
const PARTS: [&str; 7] =
    ["broker", crate::telemetry::LOGGER, "host", "metadata", "openraft", "quorum", "storage"];
/// Kafka's names for levels, and ours.
const LEVELS: [(&str, &str); 6] = [
    ("FATAL", "error"),
    ("ERROR", "error"),
    ("WARN", "warn"),
    ("INFO", "info"),
    ("DEBUG", "debug"),
    ("TRACE", "trace"),
];

/// Takes directives such as `info,broker=debug`; says why it cannot.
type Apply = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// The levels of a process's own log.
pub struct Loggers {
    /// By logger, in Kafka's names.
    levels: Mutex<BTreeMap<String, &'static str>>,
    apply: Apply,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loggers").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl Loggers {
    /// `directives` are those of `bourn.log.level`; `apply` puts others in their place.
    pub fn new(
        directives: &str,
        apply: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static,
    ) -> Loggers {
        let mut levels = BTreeMap::from([(ROOT.to_owned(), "INFO"), ("openraft".to_owned(), "WARN")]);
        for directive in directives.split(',').map(str::trim) {
            let (logger, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            // FATAL is another name for what comes next, so it is looked at last.
            let ours = |(_, ours): &&(&str, &str)| ours.eq_ignore_ascii_case(level);
            if let Some((name, _)) = LEVELS.iter().rev().find(ours) {
                levels.insert(logger.to_owned(), *name);
            }
        }
        Loggers { levels: Mutex::new(levels), apply: Box::new(apply) }
    }

    fn levels(&self) -> MutexGuard<'_, BTreeMap<String, &'static str>> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every logger with its level, by name.
    pub(crate) fn all(&self) -> BTreeMap<String, &'static str> {
        let mut all = self.levels().clone();
        let root = all.get(ROOT).copied().unwrap_or("INFO");
        for part in PARTS {
            all.entry(part.to_owned()).or_insert(root);
        }
        all
    }

    /// Changes levels, or with `validate_only` says what would become of it.
    pub(crate) fn alter(&self, ops: &[(Str, AlterOp)], validate_only: bool) -> Result<(), Refusal> {
        let known = self.all();
        let mut levels = self.levels();
        let mut next = levels.clone();
        for (logger, op) in ops {
            let logger = logger.as_str();
            if !known.contains_key(logger) {
                return refuse(ErrorCode::InvalidConfig, format!("there is no logger {logger}"));
            }
            match op {
                AlterOp::Set(level) => drop(next.insert(logger.to_owned(), named(logger, level)?)),
                AlterOp::Delete if logger == ROOT => {
                    return refuse(ErrorCode::InvalidRequest, "the level of root cannot be removed");
                }
                AlterOp::Delete => drop(next.remove(logger)),
                AlterOp::Append(_) | AlterOp::Subtract(_) => {
                    let message = format!("{logger}: a level is set or deleted, not added to or taken from");
                    return refuse(ErrorCode::InvalidRequest, message);
                }
            }
        }
        if validate_only {
            return Ok(());
        }
        (self.apply)(&directives(&next)).map_err(|why| Refusal::new(ErrorCode::UnknownServerError, why))?;
        tracing::info!(levels = directives(&next), "the levels of the log have changed");
        *levels = next;
        Ok(())
    }
}

impl Default for Loggers {
    /// Of a process whose log is not ours.
    fn default() -> Loggers {
        Loggers::new("info", |_| Ok(()))
    }
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, message))
}

fn named(logger: &str, level: &str) -> Result<&'static str, Refusal> {
    let known = LEVELS.iter().find(|(name, _)| *name == level);
    known.map(|(name, _)| *name).ok_or_else(|| {
        let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
        let message = format!("{logger}: {level:?} is not one of {}", names.join(", "));
        Refusal::new(ErrorCode::InvalidConfig, message)
    })
}

fn directives(levels: &BTreeMap<String, &'static str>) -> String {
    let ours = |level: &str| LEVELS.iter().find(|(name, _)| *name == level).map_or("info", |(_, ours)| *ours);
    let one = |(logger, level): (&String, &&'static str)| match logger.as_str() {
        ROOT => ours(level).to_owned(),
        logger => format!("{logger}={}", ours(level)),
    };
    levels.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ops(pairs: &[(&str, Option<&str>)]) -> Vec<(Str, AlterOp)> {
        let op = |level: &Option<&str>| level.map_or(AlterOp::Delete, |level| AlterOp::Set(level.into()));
        pairs.iter().map(|(logger, level)| (Str::from(*logger), op(level))).collect()
    }

    #[test]
    fn levels_change_and_go_back_to_that_of_root() {
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = said.clone();
        let loggers = Loggers::new("warn,storage=debug", move |directives| {
            heard.lock().unwrap().push(directives.to_owned());
            Ok(())
        });
        let level = |logger: &str| loggers.all().get(logger).copied();
        assert_eq!(
            (level("root"), level("storage"), level("broker")),
            (Some("WARN"), Some("DEBUG"), Some("WARN"))
        );
        loggers.alter(&ops(&[("broker", Some("TRACE")), ("storage", None)]), false).unwrap();
        assert_eq!((level("broker"), level("storage")), (Some("TRACE"), Some("WARN")));
        loggers.alter(&ops(&[("root", Some("ERROR"))]), true).unwrap();
        assert_eq!(level("root"), Some("WARN"));
        loggers.alter(&ops(&[("root", Some("FATAL"))]), false).unwrap();
        assert_eq!(level("quorum"), Some("FATAL"));
        assert_eq!(
            *said.lock().unwrap(),
            ["broker=trace,openraft=warn,warn", "broker=trace,openraft=warn,error"]
        );
    }

    #[test]
    fn levels_that_cannot_be_are_refused() {
        let loggers = Loggers::default();
        for (changes, code, message) in [
            (ops(&[("nobody", Some("INFO"))]), ErrorCode::InvalidConfig, "there is no logger nobody"),
            (
                ops(&[("broker", Some("loud"))]),
                ErrorCode::InvalidConfig,
                "broker: \"loud\" is not one of FATAL, ERROR, WARN, INFO, DEBUG, TRACE",
            ),
            (ops(&[("root", None)]), ErrorCode::InvalidRequest, "the level of root cannot be removed"),
            (
                vec![("broker".into(), AlterOp::Append("INFO".into()))],
                ErrorCode::InvalidRequest,
                "broker: a level is set or deleted, not added to or taken from",
            ),
        ] {
            let with_a_good_one = [&ops(&[("storage", Some("TRACE"))])[..], &changes].concat();
            assert_eq!(loggers.alter(&with_a_good_one, false), Err(Refusal::new(code, message)));
            assert_eq!(loggers.all().get("storage"), Some(&"INFO"));
        }
    }
}
