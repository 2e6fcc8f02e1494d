//! Incremental fetch sessions (KIP-227): what a reader watches is remembered here, so that a request names only
//! what changed, and an answer too.
//!
//! Invariants:
//! * At most max.incremental.fetch.session.cache.slots sessions. A new one may push out one that was unused for two
//!   minutes, or a smaller one that has existed for as long; otherwise it gets no session, which is no error.
//! * An epoch is answered once: a repeated or skipped one is INVALID_FETCH_SESSION_EPOCH and changes nothing.
//! * Partitions that got records move to the back, so that none starves under a byte limit.
//!
//! Does not know: logs, topics' existence, the network.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host::Instant;
use protocol::ErrorCode;
use protocol::Str;
use protocol::ids::TopicId;

/// Session id of a reader without a session.
pub(super) const NO_SESSION: i32 = 0;
/// Epoch that asks for a new session.
const INITIAL_EPOCH: i32 = 0;
/// Epoch that asks for no session and ends the named one.
const FINAL_EPOCH: i32 = -1;
/// For how long a session is safe from being pushed out.
const SAFE: Duration = Duration::from_secs(120);

/// How a request named a topic: by id from version 13 on, by name before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TopicRef {
    Id(TopicId),
    Name(Str),
}

pub(super) type Key = (TopicRef, i32);

/// What a reader asks of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) fetch_offset: i64,
    pub(super) partition_max_bytes: i32,
    pub(super) current_leader_epoch: i32,
    pub(super) last_fetched_epoch: i32,
    /// The log start offset of a follower; -1 for consumers.
    pub(super) log_start_offset: i64,
}

/// What an answer says of one partition, as far as it decides whether the partition is worth naming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) log_start_offset: i64,
    pub(super) records_bytes: usize,
    pub(super) diverging: bool,
}

#[derive(Clone, Debug)]
struct Watched {
    wanted: Wanted,
    /// As last told; -1 makes the next answer name the partition whatever it says.
    high_watermark: i64,
    log_start_offset: i64,
    /// Key in `Session::order`.
    turn: u64,
}

#[derive(Debug)]
struct Session {
    id: i32,
    epoch: i32,
    uses_topic_ids: bool,
    watched: HashMap<Key, Watched>,
    /// The order in which partitions share the byte limit: by turn, renewed when a partition got records.
    order: BTreeMap<u64, Key>,
    next_turn: u64,
    created: Instant,
    last_used: Instant,
}

impl Session {
    fn watch(&mut self, key: Key, wanted: Wanted) {
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.wanted = wanted;
            return;
        }
        let turn = self.take_turn();
        self.order.insert(turn, key.clone());
        self.watched.insert(key, Watched { wanted, high_watermark: -1, log_start_offset: -1, turn });
    }

    fn forget(&mut self, key: &Key) {
        if let Some(watched) = self.watched.remove(key) {
            self.order.remove(&watched.turn);
        }
    }

    fn take_turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    fn wanted(&self) -> Vec<(Key, Wanted)> {
        let find = |key: &Key| self.watched.get(key).map(|watched| (key.clone(), watched.wanted.clone()));
        self.order.values().filter_map(find).collect()
    }

    /// Remembers what is told; true if the answer must name the partition.
    fn tell(&mut self, key: &Key, told: &Told) -> bool {
        let turn = if told.records_bytes > 0 { Some(self.take_turn()) } else { None };
        let Some(watched) = self.watched.get_mut(key) else { return true };
        let changed = told.records_bytes > 0
            || told.diverging
            || told.error != ErrorCode::None
            || watched.high_watermark != told.high_watermark
            || watched.log_start_offset != told.log_start_offset;
        watched.high_watermark = if told.error == ErrorCode::None { told.high_watermark } else { -1 };
        watched.log_start_offset = told.log_start_offset;
        if let Some(turn) = turn {
            self.order.remove(&watched.turn);
            watched.turn = turn;
            self.order.insert(turn, key.clone());
        }
        changed
    }
}

/// The parts of a Fetch request that concern sessions.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) session_id: i32,
    pub(super) epoch: i32,
    pub(super) uses_topic_ids: bool,
    pub(super) wanted: Vec<(Key, Wanted)>,
    pub(super) forgotten: Vec<Key>,
}

/// What to read for one request, and under which session to answer.
#[derive(Debug)]
pub(super) enum Context {
    Sessionless {
        wanted: Vec<(Key, Wanted)>,
    },
    /// Everything is named in the answer, and a session is made if there is room.
    Full {
        uses_topic_ids: bool,
        wanted: Vec<(Key, Wanted)>,
    },
    Incremental {
        session_id: i32,
        epoch: i32,
        wanted: Vec<(Key, Wanted)>,
    },
}

impl Context {
    pub(super) fn wanted(&self) -> &[(Key, Wanted)] {
        match self {
            Self::Sessionless { wanted } | Self::Full { wanted, .. } | Self::Incremental { wanted, .. } => {
                wanted
            }
        }
    }
}

/// What the answer carries besides the partitions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) session_id: i32,
    pub(super) error: ErrorCode,
    /// For every partition of the answer, in order: whether to name it.
    pub(super) named: Vec<bool>,
}

#[derive(Debug)]
pub(crate) struct FetchSessions {
    slots: usize,
    sessions: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

impl FetchSessions {
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots, sessions: Mutex::default() }
    }

    /// Finds out what to read. `Err` is the error code of the whole answer.
    pub(super) fn open(&self, ask: Ask, now: Instant) -> Result<Context, ErrorCode> {
        if ask.epoch == INITIAL_EPOCH || ask.epoch == FINAL_EPOCH {
            self.remove(ask.session_id);
            return Ok(if ask.epoch == FINAL_EPOCH {
                Context::Sessionless { wanted: ask.wanted }
            } else {
                Context::Full { uses_topic_ids: ask.uses_topic_ids, wanted: ask.wanted }
            });
        }
        let found = lock(&self.sessions).get(&ask.session_id).cloned();
        let session = found.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let mut session = lock(&session);
        if session.epoch != ask.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != ask.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        for (key, wanted) in ask.wanted {
            session.watch(key, wanted);
        }
        for key in &ask.forgotten {
            session.forget(key);
        }
        if session.watched.is_empty() {
            drop(session);
            self.remove(ask.session_id);
            return Ok(Context::Sessionless { wanted: Vec::new() });
        }
        session.last_used = now;
        session.epoch = next_epoch(ask.epoch);
        Ok(Context::Incremental { session_id: session.id, epoch: session.epoch, wanted: session.wanted() })
    }

    /// Closes a request: `told` has what the answer would say of every partition, in the answer's order. `new_id`
    /// draws candidates for the id of a new session.
    pub(super) fn close(
        &self,
        context: &Context,
        told: &[(Key, Told)],
        now: Instant,
        new_id: impl FnMut() -> i32,
    ) -> Closing {
        let all = |session_id| Closing { session_id, error: ErrorCode::None, named: vec![true; told.len()] };
        match context {
            Context::Sessionless { .. } => all(NO_SESSION),
            Context::Full { uses_topic_ids, wanted } => {
                all(self.create(*uses_topic_ids, wanted, told, now, new_id))
            }
            Context::Incremental { session_id, epoch, .. } => {
                let found = lock(&self.sessions).get(session_id).cloned();
                let Some(session) = found else { return all(*session_id) };
                let mut session = lock(&session);
                if session.epoch != *epoch {
                    // The same epoch came twice at once, on two connections.
                    let error = ErrorCode::InvalidFetchSessionEpoch;
                    return Closing { session_id: *session_id, error, named: vec![false; told.len()] };
                }
                let named = told.iter().map(|(key, told)| session.tell(key, told)).collect();
                Closing { session_id: *session_id, error: ErrorCode::None, named }
            }
        }
    }

    fn create(
        &self,
        uses_topic_ids: bool,
        wanted: &[(Key, Wanted)],
        told: &[(Key, Told)],
        now: Instant,
        mut new_id: impl FnMut() -> i32,
    ) -> i32 {
        let mut sessions = lock(&self.sessions);
        if wanted.is_empty() || (sessions.len() >= self.slots && !evict(&mut sessions, wanted.len(), now)) {
            return NO_SESSION;
        }
        let id = loop {
            let id = new_id() & i32::MAX;
            if id != NO_SESSION && !sessions.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session {
            id,
            epoch: next_epoch(INITIAL_EPOCH),
            uses_topic_ids,
            watched: HashMap::with_capacity(wanted.len()),
            order: BTreeMap::new(),
            next_turn: 0,
            created: now,
            last_used: now,
        };
        for (key, wanted) in wanted {
            session.watch(key.clone(), wanted.clone());
        }
        for (key, told) in told {
            session.tell(key, told);
        }
        sessions.insert(id, Arc::new(Mutex::new(session)));
        id
    }

    fn remove(&self, session_id: i32) {
        lock(&self.sessions).remove(&session_id);
    }
}

/// Makes room for a session of `size` partitions: true if one went.
fn evict(sessions: &mut HashMap<i32, Arc<Mutex<Session>>>, size: usize, now: Instant) -> bool {
    let stale_or_small = sessions
        .values()
        .map(|session| {
            let session = lock(session);
            let stale = now.since(session.last_used) > SAFE;
            let settled = now.since(session.created) > SAFE;
            (stale, settled && session.watched.len() < size, session.watched.len(), session.id)
        })
        .filter(|(stale, small, ..)| *stale || *small)
        // A stale one first, then the smallest; the id makes the choice the same everywhere.
        .min_by_key(|(stale, _, len, id)| (!*stale, *len, *id));
    stale_or_small.is_some_and(|(.., id)| sessions.remove(&id).is_some())
}

/// Epochs of a session count 1, 2, … and wrap to 1.
fn next_epoch(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
