//! [`State`]: where a transactional id stands.

/// The states, with Kafka's numbers and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It has a producer id, and no transaction yet.
    Empty,
    Ongoing,
    /// It is decided that the transaction counts, and not every partition knows it.
    PrepareCommit,
    PrepareAbort,
    /// Every partition knows it.
    CompleteCommit,
    CompleteAbort,
    /// Written by nobody: an id that has expired has no record.
    Dead,
    /// Written by nobody: an epoch is fenced and the transaction aborted in one step.
    PrepareEpochFence,
}

impl State {
    const ALL: [State; 8] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
        State::Dead,
        State::PrepareEpochFence,
    ];

    pub(crate) fn id(self) -> i8 {
        self as i8
    }

    /// One that records may have.
    pub(crate) fn from_id(id: i8) -> Option<State> {
        Self::ALL.into_iter().find(|state| state.id() == id)
    }

    pub(crate) fn from_name(name: &str) -> Option<State> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
            State::Dead => "Dead",
            State::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The end is decided, and not done.
    pub(crate) fn is_completing(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }

    /// No transaction is under way.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, State::Empty | State::CompleteCommit | State::CompleteAbort)
    }
}
