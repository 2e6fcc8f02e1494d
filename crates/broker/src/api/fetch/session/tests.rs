//! Sessions alone, without requests.

use super::*;

const T0: Instant = Instant(0);

fn key(partition: i32) -> Key {
    (TopicRef::Name(Str::from("t".to_owned())), partition)
}

fn wanted(fetch_offset: i64) -> Wanted {
    Wanted {
        fetch_offset,
        partition_max_bytes: 100,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
    }
}

fn told(high_watermark: i64, records_bytes: usize) -> Told {
    Told { error: ErrorCode::None, high_watermark, log_start_offset: 0, records_bytes, diverging: false }
}

fn ask(session_id: i32, epoch: i32, wanted: Vec<(Key, Wanted)>) -> Ask {
    Ask { session_id, epoch, uses_topic_ids: false, wanted, forgotten: Vec::new() }
}

/// A cache with one session of partitions 0 and 1, both told high watermark 5.
fn with_session() -> (FetchSessions, i32) {
    let sessions = FetchSessions::new(2);
    let all = vec![(key(0), wanted(5)), (key(1), wanted(5))];
    let context = sessions.open(ask(0, 0, all), T0).unwrap();
    let answer = [(key(0), told(5, 0)), (key(1), told(5, 0))];
    let closing = sessions.close(&context, &answer, T0, || 7);
    assert_eq!(closing, Closing { session_id: 7, error: ErrorCode::None, named: vec![true, true] });
    (sessions, 7)
}

#[test]
fn an_incremental_answer_names_only_what_changed() {
    let (sessions, id) = with_session();
    let context = sessions.open(ask(id, 1, Vec::new()), T0).unwrap();
    assert_eq!(context.wanted().len(), 2);
    let closing = sessions.close(&context, &[(key(0), told(5, 0)), (key(1), told(6, 10))], T0, || 1);
    assert_eq!(closing.named, [false, true]);
    // Partition 1 had records, so partition 0 comes first the next time, and an error is told each time.
    let context = sessions.open(ask(id, 2, Vec::new()), T0).unwrap();
    let order: Vec<i32> = context.wanted().iter().map(|(key, _)| key.1).collect();
    assert_eq!(order, [0, 1]);
    let failed = Told { error: ErrorCode::KafkaStorageError, ..told(6, 0) };
    let closing = sessions.close(&context, &[(key(0), told(5, 3)), (key(1), failed)], T0, || 1);
    assert_eq!(closing.named, [true, true]);
    let context = sessions.open(ask(id, 3, Vec::new()), T0).unwrap();
    let order: Vec<i32> = context.wanted().iter().map(|(key, _)| key.1).collect();
    assert_eq!(order, [1, 0]);
    let closing = sessions.close(&context, &[(key(1), told(6, 0)), (key(0), told(5, 0))], T0, || 1);
    assert_eq!(closing.named, [true, false], "named again once the error is over");
}

#[test]
fn stale_requests_change_nothing() {
    let (sessions, id) = with_session();
    let code = |ask| sessions.open(ask, T0).map(|_| ()).unwrap_err();
    assert_eq!(code(ask(99, 1, Vec::new())), ErrorCode::FetchSessionIdNotFound);
    assert_eq!(code(ask(id, 2, Vec::new())), ErrorCode::InvalidFetchSessionEpoch);
    let by_id = Ask { uses_topic_ids: true, ..ask(id, 1, Vec::new()) };
    assert_eq!(code(by_id), ErrorCode::FetchSessionTopicIdError);
    assert!(sessions.open(ask(id, 1, Vec::new()), T0).is_ok());
    assert_eq!(code(ask(id, 1, Vec::new())), ErrorCode::InvalidFetchSessionEpoch, "an epoch counts once");
}

#[test]
fn a_session_ends_when_asked_or_when_nothing_is_left_to_watch() {
    let (sessions, id) = with_session();
    let forget = Ask { forgotten: vec![key(0), key(1)], ..ask(id, 1, Vec::new()) };
    assert!(matches!(sessions.open(forget, T0), Ok(Context::Sessionless { .. })));
    assert!(sessions.open(ask(id, 2, Vec::new()), T0).is_err());
    let (sessions, id) = with_session();
    assert!(matches!(sessions.open(ask(id, -1, Vec::new()), T0), Ok(Context::Sessionless { .. })));
    assert!(sessions.open(ask(id, 1, Vec::new()), T0).is_err());
}

#[test]
fn a_full_cache_gives_way_only_to_the_stale_and_the_small() {
    let sessions = FetchSessions::new(1);
    let open = |size: i32, now: Instant, id: i32| {
        let all: Vec<_> = (0..size).map(|partition| (key(partition), wanted(0))).collect();
        let context = sessions.open(ask(0, 0, all), now).unwrap();
        sessions.close(&context, &[], now, || id).session_id
    };
    assert_eq!(open(2, T0, 1), 1);
    assert_eq!(open(3, T0, 2), NO_SESSION, "young sessions are safe");
    let later = T0.after(SAFE + Duration::from_millis(1));
    assert_eq!(open(1, later, 3), 3, "a stale session goes");
    assert_eq!(open(9, later, 4), NO_SESSION);
}
