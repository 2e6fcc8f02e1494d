//! Fetch sessions (KIP-227).

use protocol::ErrorCode;
use protocol::messages::fetch_request::{FetchPartition, FetchRequest, ForgottenTopic};
use protocol::messages::fetch_response::FetchResponse;

use crate::support::requests::{FETCH, PRODUCE, Topic, batch, fetch, from_offset, produce, values};
use crate::support::{ms, run};

fn in_session(topic: &Topic, session: (i32, i32), partitions: Vec<FetchPartition>) -> FetchRequest {
    let mut request = fetch(FETCH, topic, partitions);
    (request.session_id, request.session_epoch) = session;
    request.topics.retain(|topic| !topic.partitions.is_empty());
    request
}

/// Partition and values of everything that an answer names.
fn named(response: &FetchResponse) -> Vec<(i32, Vec<String>)> {
    let parts = response.responses.iter().flat_map(|topic| &topic.partitions);
    parts.map(|part| (part.partition_index, values(part))).collect()
}

fn text(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

#[test]
fn an_incremental_answer_names_what_changed() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 2, &[]).await;
        let all = vec![from_offset(0, 0), from_offset(1, 0)];
        let first = client.call(FETCH, &in_session(&topic, (0, 0), all)).await;
        assert_ne!(first.session_id, 0);
        assert_eq!(named(&first).len(), 2, "a full answer names everything");
        let id = first.session_id;
        let nothing = client.call(FETCH, &in_session(&topic, (id, 1), Vec::new())).await;
        assert_eq!((nothing.session_id, named(&nothing)), (id, Vec::new()));
        client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(1, batch(&["a"]))])).await;
        let some = client.call(FETCH, &in_session(&topic, (id, 2), Vec::new())).await;
        assert_eq!(named(&some), [(1, text(&["a"]))]);
        // The offset moves with the request; partition 0 is forgotten.
        let mut request = in_session(&topic, (id, 3), vec![from_offset(1, 1)]);
        let forgotten = ForgottenTopic { topic_id: topic.id, partitions: vec![0], ..Default::default() };
        request.forgotten_topics_data.push(forgotten);
        assert_eq!(named(&client.call(FETCH, &request).await), []);
        client.call(PRODUCE, &produce(PRODUCE, -1, &topic, &[(0, batch(&["b"])), (1, batch(&["c"]))])).await;
        let some = client.call(FETCH, &in_session(&topic, (id, 4), Vec::new())).await;
        assert_eq!(named(&some), [(1, text(&["c"]))]);
    });
}

#[test]
fn sessions_that_are_not_there_and_epochs_out_of_turn_are_refused() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let id = client.call(FETCH, &in_session(&topic, (0, 0), vec![from_offset(0, 0)])).await.session_id;
        for (session, code) in [
            ((id.wrapping_add(1), 1), ErrorCode::FetchSessionIdNotFound),
            ((0, 1), ErrorCode::FetchSessionIdNotFound),
            ((id, 2), ErrorCode::InvalidFetchSessionEpoch),
            ((id, 1), ErrorCode::None),
            ((id, 1), ErrorCode::InvalidFetchSessionEpoch),
            ((id, 2), ErrorCode::None),
        ] {
            let answer = client.call(FETCH, &in_session(&topic, session, Vec::new())).await;
            assert_eq!(ErrorCode::from(answer.error_code), code, "{session:?}");
        }
        let by_name = FetchRequest { topics: Vec::new(), ..in_session(&topic, (id, 3), Vec::new()) };
        let answer = client.call(12, &by_name).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::FetchSessionTopicIdError);
        // Epoch -1 ends it.
        client.call(FETCH, &in_session(&topic, (id, -1), vec![from_offset(0, 0)])).await;
        let answer = client.call(FETCH, &in_session(&topic, (id, 3), Vec::new())).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::FetchSessionIdNotFound);
    });
}

#[test]
fn a_full_cache_gives_no_session_until_an_old_one_can_go() {
    run(&[("max.incremental.fetch.session.cache.slots", "1")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        let open = in_session(&topic, (0, 0), vec![from_offset(0, 0)]);
        let first = client.call(FETCH, &open).await.session_id;
        assert_ne!(first, 0);
        let answer = client.call(FETCH, &open).await;
        assert_eq!((answer.error_code, answer.session_id, named(&answer).len()), (0, 0, 1));
        world.sim.sleep(ms(121_000)).await;
        assert_ne!(client.call(FETCH, &open).await.session_id, 0);
        let answer = client.call(FETCH, &in_session(&topic, (first, 1), Vec::new())).await;
        assert_eq!(ErrorCode::from(answer.error_code), ErrorCode::FetchSessionIdNotFound);
    });
}

#[test]
fn partitions_take_turns_so_that_none_starves() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 3, &[]).await;
        for partition in 0..3 {
            for _ in 0..2 {
                let request = produce(PRODUCE, -1, &topic, &[(partition, batch(&["a"]))]);
                client.call(PRODUCE, &request).await;
            }
        }
        let all = (0..3).map(|partition| from_offset(partition, 0)).collect();
        let mut turns = Vec::new();
        let mut request = in_session(&topic, (0, 0), all);
        for epoch in 1..=6 {
            // Room for the first batch only.
            let answer = client.call(FETCH, &FetchRequest { max_bytes: 1, ..request }).await;
            let with_records = named(&answer).into_iter().filter(|(_, values)| !values.is_empty());
            turns.extend(with_records.map(|(partition, _)| partition));
            request = in_session(&topic, (answer.session_id, epoch), Vec::new());
        }
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    });
}

#[test]
fn a_topic_that_comes_later_is_read_by_a_session_that_asked_for_it() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let unknown = Topic { name: "later".into(), id: Default::default() };
        let mut request = fetch(12, &unknown, vec![from_offset(0, 0)]);
        (request.session_id, request.session_epoch) = (0, 0);
        let answer = client.call(12, &request).await;
        let part = &answer.responses[0].partitions[0];
        assert_eq!(ErrorCode::from(part.error_code), ErrorCode::UnknownTopicOrPartition);
        let topic = client.create("later", 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        (request.session_id, request.session_epoch) = (answer.session_id, 1);
        request.topics.clear();
        let answer = client.call(12, &request).await;
        assert_eq!(named(&answer), [(0, text(&["a"]))]);
    });
}
