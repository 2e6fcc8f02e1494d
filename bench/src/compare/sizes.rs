//! [`Sizes`]: how much of everything.

#[derive(Debug)]
pub(super) struct Sizes {
    /// Bytes of a round of bulk.
    pub(super) bulk: u64,
    pub(super) rounds: u32,
    /// Records of 100 bytes.
    pub(super) small_records: u64,
    pub(super) singles: u64,
    /// Bytes that push everything older out of Bourn's memory.
    pub(super) filler: u64,
    pub(super) ones: u64,
    /// Seconds of each open loop.
    pub(super) open_seconds: u64,
    pub(super) rates: &'static [u64],
    /// Bytes of old data that are read beside it, and bytes that are compacted.
    pub(super) old: u64,
    pub(super) compacted: u64,
    pub(super) spread_partitions: u32,
    /// Producers of `bourn bench`, each with a connection.
    pub(super) spread_producers: u32,
    /// Less than what either broker can bear, since it is the tail that is asked for.
    pub(super) spread_rate: u64,
    pub(super) spread_records: u64,
    pub(super) transactions: u64,
    pub(super) members: u32,
    pub(super) shared_partitions: u32,
    pub(super) groups: u32,
    pub(super) commit_rounds: u32,
    pub(super) partitions: u32,
    pub(super) idle_seconds: u64,
    pub(super) connections: usize,
    pub(super) syncs: u32,
    /// Bytes, and requests one by one, before anything counts.
    pub(super) warm_bytes: u64,
    pub(super) warm_singles: u64,
}

const MB: u64 = 1_000_000;
const GB: u64 = 1_000 * MB;

impl Sizes {
    pub(super) const FULL: Self = Self {
        bulk: 2 * GB,
        rounds: 3,
        small_records: 20_000_000,
        singles: 200_000,
        filler: 512 * MB,
        ones: 20_000,
        open_seconds: 30,
        rates: &[5_000, 20_000, 50_000],
        old: 10 * GB,
        compacted: GB,
        spread_partitions: 2_000,
        spread_producers: 100,
        spread_rate: 4_000,
        spread_records: 500_000,
        transactions: 5_000,
        members: 200,
        shared_partitions: 1_000,
        groups: 10_000,
        commit_rounds: 20,
        partitions: 10_000,
        idle_seconds: 30,
        connections: 2_000,
        syncs: 20_000,
        warm_bytes: GB,
        warm_singles: 100_000,
    };

    pub(super) const QUICK: Self = Self {
        bulk: 300 * MB,
        rounds: 3,
        small_records: 2_000_000,
        singles: 30_000,
        filler: 400 * MB,
        ones: 3_000,
        open_seconds: 5,
        rates: &[5_000, 20_000, 50_000],
        old: GB,
        compacted: 200 * MB,
        spread_partitions: 2_000,
        spread_producers: 100,
        spread_rate: 4_000,
        spread_records: 50_000,
        transactions: 500,
        members: 50,
        shared_partitions: 250,
        groups: 2_000,
        commit_rounds: 10,
        partitions: 2_000,
        idle_seconds: 5,
        connections: 2_000,
        syncs: 2_000,
        warm_bytes: 200 * MB,
        warm_singles: 20_000,
    };
}
