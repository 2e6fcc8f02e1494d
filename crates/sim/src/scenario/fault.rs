//! [`Fault`]: what can go wrong in a run.

/// Kinds of faults. A run has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    PowerLoss,
    DieAtOperation,
    CleanStop,
    FailedSync,
    FailedWrite,
    SlowDisk,
    FullDisk,
    Partition,
    Reset,
    Latency,
    Pause,
    ClockJump,
    /// Reads of files fail for a while.
    ReadErrors,
    /// Bits of files change at rest.
    Rot,
    /// A client's process ends in the middle of whatever it does, and is started again.
    ClientCrash,
}

impl Fault {
    /// All that mend themselves, or can be mended.
    pub(crate) const ALL: [Self; 15] = [
        Self::Kill,
        Self::PowerLoss,
        Self::DieAtOperation,
        Self::CleanStop,
        Self::FailedSync,
        Self::FailedWrite,
        Self::SlowDisk,
        Self::FullDisk,
        Self::Partition,
        Self::Reset,
        Self::Latency,
        Self::Pause,
        Self::ClockJump,
        Self::ReadErrors,
        Self::ClientCrash,
    ];
}
