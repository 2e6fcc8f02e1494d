//! Logs on disk: journal, segments, indexes, producer state, checkpoint, recovery, retention.
