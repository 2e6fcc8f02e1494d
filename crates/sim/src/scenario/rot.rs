//! [`Rot`]: which files change at rest, so that the disk gives back something else than what was synced.

use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rot {
    /// Closed segments.
    Segments,
    /// Indexes of any segment.
    Indexes,
    Journal,
    Checkpoint,
}

impl Rot {
    pub(crate) const ALL: [Self; 4] = [Self::Segments, Self::Indexes, Self::Journal, Self::Checkpoint];

    /// Whether what is damaged may be nowhere else.
    pub(crate) fn may_cost_records(self) -> bool {
        self != Self::Indexes
    }

    /// Whether a start may be refused because of it.
    pub(crate) fn may_stop_a_start(self) -> bool {
        matches!(self, Self::Journal | Self::Checkpoint)
    }

    /// The files on a disk that it concerns, of all with their lengths.
    pub(crate) fn files(self, all: &[(std::path::PathBuf, u64)]) -> Vec<(&Path, u64)> {
        let files = all.iter().map(|(path, len)| (path.as_path(), *len)).filter(|(_, len)| *len > 0);
        files.filter(|(path, _)| self.concerns(path, all)).collect()
    }

    fn concerns(self, path: &Path, all: &[(std::path::PathBuf, u64)]) -> bool {
        let text = path.to_string_lossy();
        let is_of_a_topic = !text.contains("/metadata/") && !text.contains("-delete/");
        match self {
            Self::Segments => {
                // The last one of a partition is open.
                let is_behind = |other: &Path| {
                    other.parent() == path.parent() && other > path && other.extension() == path.extension()
                };
                is_of_a_topic && text.ends_with(".log") && all.iter().any(|(other, _)| is_behind(other))
            }
            Self::Indexes => is_of_a_topic && (text.ends_with(".index") || text.ends_with(".timeindex")),
            Self::Journal => text.contains("/journal/"),
            Self::Checkpoint => text.ends_with("/checkpoint"),
        }
    }
}
