//! [`LogDirectories`]: where data is kept, and where nothing new goes.

use super::ConfigError;

/// Stands for all of them in cordoned.log.dirs.
const ALL: &str = "*";

/// Where data is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirectories {
    /// At least one.
    pub log: Vec<String>,
    /// Those that get no new partitions (KIP-1066), as they are written in `log`.
    pub cordoned: Vec<String>,
    /// The first of them when not set.
    pub metadata: String,
    pub journal_max_bytes: u64,
    pub reserve_bytes: u64,
    /// From the beginning of one check of all segments to that of the next; -1 for never.
    pub scrub_interval_ms: i64,
    pub scrub_bytes_per_second: u64,
}

impl LogDirectories {
    /// Nothing new can be put anywhere.
    pub fn are_all_cordoned(&self) -> bool {
        self.log.iter().all(|directory| self.cordoned.contains(directory))
    }
}

/// `cordoned`, spelt out.
pub(super) fn cordoned(cordoned: Vec<String>, log: &[String]) -> Vec<String> {
    if cordoned.iter().any(|directory| directory == ALL) { log.to_vec() } else { cordoned }
}

/// What is cordoned has to be there, and `*` stands alone.
pub(crate) fn check_cordoned(cordoned: &[String], log: &[String]) -> Result<(), ConfigError> {
    let wrong = match cordoned {
        [all] if all == ALL => None,
        several => several.iter().find(|directory| !log.contains(directory)),
    };
    wrong.map_or(Ok(()), |directory| {
        Err(ConfigError::Conflict {
            name: "cordoned.log.dirs",
            other: "log.dirs",
            why: format!("{directory} is not one of the log directories"),
        })
    })
}
