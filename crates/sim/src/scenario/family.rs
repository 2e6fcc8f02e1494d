//! [`Family`]: what a scenario is mainly about.

use std::fmt;
use std::str::FromStr;

use crate::dice::Dice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A bit of everything.
    Mixed,
    /// Many partitions and a load far beyond memory and journal: everybody waits for room that somebody else has.
    Crowd,
    /// Small segments that retention takes away while they are read.
    Retention,
    /// Small segments that are compacted while they are written and read.
    Compaction,
    /// Configs of topics change and records are deleted while the topics are written and read.
    Configs,
    /// Transactions over several partitions, some of producers that were fenced off.
    Transactions,
    /// Several log directories, which fail one by one.
    Directories,
    /// Files that change at rest.
    Rot,
    /// A short life with all kinds of ends, the same in each of its runs, so that every operation on its disk can fail in one of
    /// them. No seed decides for it.
    Steps,
}

impl Family {
    pub const ALL: [Self; 9] = [
        Self::Mixed,
        Self::Crowd,
        Self::Retention,
        Self::Compaction,
        Self::Configs,
        Self::Transactions,
        Self::Directories,
        Self::Rot,
        Self::Steps,
    ];

    /// Crowds take long.
    pub(super) fn draw(dice: &Dice) -> Self {
        match dice.index(100) {
            0..33 => Self::Mixed,
            33..45 => Self::Transactions,
            45..53 => Self::Crowd,
            53..62 => Self::Retention,
            62..74 => Self::Compaction,
            74..84 => Self::Configs,
            84..92 => Self::Rot,
            _ => Self::Directories,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mixed => "mixed",
            Self::Crowd => "crowd",
            Self::Retention => "retention",
            Self::Compaction => "compaction",
            Self::Configs => "configs",
            Self::Transactions => "transactions",
            Self::Directories => "directories",
            Self::Rot => "rot",
            Self::Steps => "steps",
        })
    }
}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|family| family.to_string() == text);
        found.ok_or_else(|| {
            format!("{text} is none of {}", Self::ALL.map(|family| family.to_string()).join(", "))
        })
    }
}
