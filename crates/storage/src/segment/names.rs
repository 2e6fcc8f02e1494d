//! Names of files and directories, as Kafka has them.

use std::path::{Path, PathBuf};

use protocol::ids::{Offset, TopicId};

use crate::PartitionKey;

/// The kinds of files that a segment consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Log,
    Index,
    TimeIndex,
    /// What markers in the segment have aborted.
    TxnIndex,
    /// Producers' state when the segment was begun.
    Snapshot,
}

impl FileKind {
    pub const ALL: [Self; 5] = [Self::Log, Self::Index, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::Index => ".index",
            Self::TimeIndex => ".timeindex",
            Self::TxnIndex => ".txnindex",
            Self::Snapshot => ".snapshot",
        }
    }
}

pub const EPOCHS_FILE: &str = "leader-epoch-checkpoint";
pub const METADATA_FILE: &str = "partition.metadata";
/// Behind the name of a file that is about to go.
pub const DELETED_SUFFIX: &str = ".deleted";
/// Behind the name of a file that compaction has written and that is not in its place yet.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// At the end of the name of a partition's directory that is about to go.
pub const DELETED_DIR_SUFFIX: &str = "-delete";
/// The same for one that the metadata does not know: it stays, for somebody to look at.
const STRAY_DIR_SUFFIX: &str = "-stray";

#[must_use]
pub fn segment_file(dir: &Path, base: Offset, kind: FileKind) -> PathBuf {
    dir.join(format!("{:020}{}", base.0, kind.suffix()))
}

/// The kinds of files that compaction writes, the one first that says what is in the others.
pub const CLEANED_KINDS: [FileKind; 4] =
    [FileKind::Log, FileKind::Index, FileKind::TimeIndex, FileKind::TxnIndex];

/// What compaction number `number` of a log has written for the segment `base`, until it is in its place. The number tells a
/// file that has been promised from one that is being written.
#[must_use]
pub fn cleaned_file(dir: &Path, base: Offset, kind: FileKind, number: u64) -> PathBuf {
    dir.join(format!("{:020}{}.{number}{CLEANED_SUFFIX}", base.0, kind.suffix()))
}

/// The segment and kind that a file's name stands for; `None` if it is not of a segment.
#[must_use]
pub fn parse_segment_file(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    let base = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    Some((Offset(base), kind))
}

#[must_use]
pub fn partition_dir(log_dir: &Path, topic: &str, partition: i32) -> PathBuf {
    log_dir.join(format!("{topic}-{partition}"))
}

/// What a deleted partition's directory is called until it goes. Names end at 255 bytes, so a long topic is cut short.
#[must_use]
pub fn deleted_dir(log_dir: &Path, topic: &str, key: &PartitionKey) -> PathBuf {
    last_name(log_dir, topic, key, DELETED_DIR_SUFFIX)
}

/// What the directory of a partition is called that the metadata does not know.
#[must_use]
pub fn stray_dir(log_dir: &Path, topic: &str, key: &PartitionKey) -> PathBuf {
    last_name(log_dir, topic, key, STRAY_DIR_SUFFIX)
}

fn last_name(log_dir: &Path, topic: &str, key: &PartitionKey, suffix: &str) -> PathBuf {
    let id: String = key.topic_id.0.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let tail = format!("-{}.{id}{suffix}", key.partition);
    let topic: String = topic.chars().take(255 - tail.len()).collect();
    log_dir.join(format!("{topic}{tail}"))
}

/// The text of [`METADATA_FILE`].
#[must_use]
pub fn partition_metadata(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {topic_id}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let path = segment_file(Path::new("d"), Offset(4711), FileKind::TimeIndex);
        assert_eq!(path, Path::new("d/00000000000000004711.timeindex"));
        for (name, found) in [
            ("00000000000000004711.timeindex", Some((Offset(4711), FileKind::TimeIndex))),
            ("00000000000000000000.log", Some((Offset(0), FileKind::Log))),
            ("00000000000000000000.log.deleted", None),
            ("0000000000000000000.log", None),
            ("+0000000000000000000.log", None),
            ("99999999999999999999.log", None),
            ("partition.metadata", None),
            ("ääääääääääääääääääää", None),
        ] {
            assert_eq!(parse_segment_file(name), found, "{name}");
        }
    }

    #[test]
    fn deleted_directories_have_legal_names() {
        let key = PartitionKey { topic_id: TopicId::default(), partition: i32::MAX };
        let path = deleted_dir(Path::new("d"), &"t".repeat(249), &key);
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(name.len() <= 255 && name.ends_with(".00000000000000000000000000000000-delete"), "{name}");
    }
}
