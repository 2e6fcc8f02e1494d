//! Why a config is accepted and does nothing.

pub(super) const BUFFERS: &str = "the system sizes the buffers of each socket as it is used";
pub(super) const CHORES: &str =
    "retention and old producers are looked at every log.retention.check.interval.ms";
pub(super) const CLUSTER: &str = "there is one node so far; it takes effect with replication";
pub(super) const PARKED: &str =
    "who comes while a transaction is completed waits until it is, and does not ask again";
pub(super) const PIECES: &str = "compaction copies in pieces of 256 KiB";
pub(super) const TABLE: &str = "the table of keys is filled to nine tenths";
pub(super) const GATHERED: &str =
    "what piles up while a write is under way is written together, in a buffer of its size";
pub(super) const IN_WORK: &str =
    "a connection has at most 64 requests in work, and all share the memory budget";
pub(super) const JAVA: &str = "it names Java code, which does not run here";
pub(super) const JOURNAL: &str = "the journal and its checkpoint take its place";
pub(super) const LZ4: &str = "lz4 has one level here, a fast one";
pub(super) const METRICS: &str = "metrics are not there yet";
pub(super) const PURGATORY: &str = "waiting requests leave their list at once";
pub(super) const QUORUM: &str = "the quorum is one node so far and needs no tuning";
pub(super) const QUOTAS: &str = "quotas are not there yet";
pub(super) const SECURITY: &str = "authentication, authorisation and TLS are not there yet";
pub(super) const SHARE: &str = "share groups are not there yet";
pub(super) const STREAMS: &str = "streams groups are not there yet";
pub(super) const SYNCED: &str =
    "each round of the journal is synced as soon as it is written, whatever bourn.durability is";
pub(super) const THREADS: &str = "shards share the cores, one a core; there are no pools of threads";
pub(super) const TIERED: &str = "tiered storage is not there yet";
pub(super) const TWO_PHASES: &str =
    "transactions that an outside coordinator commits are not there yet (KIP-939)";
