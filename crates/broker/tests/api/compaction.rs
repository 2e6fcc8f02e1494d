//! Compaction: what is left of a topic with `cleanup.policy=compact`, and how it is read.

use bytes::Bytes;
use protocol::ErrorCode;
use protocol::records::{BatchBuilder, BatchOptions, NewRecord};
use protocol::{ProducerEpoch, ProducerId};

use crate::alter_configs::set;
use crate::support::requests::{Topic, records};
use crate::support::{Client, ms, run};

const CLEANER: [(&str, &str); 1] = [("log.cleaner.backoff.ms", "1000")];

/// Records of one second each are a segment.
pub(crate) const COMPACTED: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.ms", "999"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("delete.retention.ms", "100000"),
];

/// At second `at`, of each key a record; without a value where there is none.
fn keyed(options: BatchOptions, at: i64, records: &[(&str, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
        builder.append(&NewRecord { timestamp: at * 1000, key, value, headers: &[] }).unwrap();
    }
    builder.build().unwrap()
}

pub(crate) async fn put(client: &mut Client, topic: &Topic, at: i64, records: &[(&str, Option<&str>)]) {
    let batch = keyed(BatchOptions::default(), at, records);
    assert_eq!(client.append_code(topic, batch).await, ErrorCode::None);
}

/// All records, read as a consumer does: offset, key and value.
pub(crate) async fn read_all(client: &mut Client, topic: &Topic) -> Vec<(i64, String, Option<String>)> {
    read_all_from(client, topic, 0).await
}

pub(crate) async fn read_all_from(
    client: &mut Client,
    topic: &Topic,
    start: i64,
) -> Vec<(i64, String, Option<String>)> {
    let (mut all, mut offset) = (Vec::new(), start);
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    loop {
        let data = client.read(topic, offset).await;
        assert_eq!(data.error_code, 0, "at {offset}");
        if offset >= data.high_watermark {
            return all;
        }
        let bytes = data.records.as_ref().unwrap().to_bytes().unwrap();
        let batches: Vec<_> = protocol::records::Batches::new(bytes).map(Result::unwrap).collect();
        let last = batches.last().expect("something below the high watermark");
        assert!(last.header().next_offset().0 > offset, "a read goes on");
        offset = last.header().next_offset().0;
        // A batch comes whole.
        for record in records(&data).into_iter().filter(|record| record.offset.0 >= start) {
            all.push((record.offset.0, text(record.key.as_ref().unwrap()), record.value.as_ref().map(text)));
        }
    }
}

pub(crate) fn offsets(all: &[(i64, String, Option<String>)]) -> Vec<i64> {
    all.iter().map(|(offset, ..)| *offset).collect()
}

#[test]
fn of_each_key_the_newest_record_survives() {
    run(&CLEANER, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        for at in 0..20 {
            let value = at.to_string();
            put(
                &mut client,
                &topic,
                at,
                &[("a", Some(&value)), ("b", None), (["x", "y"][at as usize % 2], Some("z"))],
            )
            .await;
        }
        assert_eq!(read_all(&mut client, &topic).await.len(), 60);
        world.sim.sleep(ms(30_000)).await;
        // The last second is in the open segment; before it the newest of each key is left, and the place of the last batch.
        let left = read_all(&mut client, &topic).await;
        assert_eq!(offsets(&left), [53, 54, 55, 56, 57, 58, 59]);
        assert_eq!(left[1], (54, "a".to_owned(), Some("18".to_owned())));
        for offset in [0, 1, 30, 52] {
            let data = client.read(&topic, offset).await;
            assert_eq!(records(&data)[0].offset.0, 53, "the next one behind {offset}");
        }
        assert_eq!(client.offset_at(11, &topic, -2).await.offset, 0, "the log starts where it did");
        assert_eq!(
            client.offset_at(11, &topic, 5_000).await.offset,
            53,
            "the first one left at or after that time"
        );
        assert_eq!(client.offset_at(11, &topic, 18_001).await.offset, 57);
        assert_eq!(client.offset_at(11, &topic, -3).await.timestamp, 19_000);
        for crash in [false, true] {
            match crash {
                true => world.crash().await,
                false => world.restart().await,
            }
            let mut client = world.connect().await;
            assert_eq!(read_all(&mut client, &topic).await, left, "crash: {crash}");
        }
        // Another pass over what is compacted already.
        let mut client = world.connect().await;
        for at in 20..24 {
            put(&mut client, &topic, at, &[("a", Some("new"))]).await;
        }
        world.sim.sleep(ms(30_000)).await;
        let left = read_all(&mut client, &topic).await;
        assert_eq!(offsets(&left), [56, 58, 59, 62, 63]);
    });
}

#[test]
fn tombstones_stay_for_their_time() {
    run(&CLEANER, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        put(&mut client, &topic, 0, &[("a", Some("1")), ("b", Some("1"))]).await;
        put(&mut client, &topic, 1, &[("a", None)]).await;
        put(&mut client, &topic, 2, &[("c", Some("1"))]).await;
        put(&mut client, &topic, 3, &[("c", Some("2"))]).await;
        world.sim.sleep(ms(30_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &topic).await), [1, 2, 3, 4]);
        // The next pass comes before the time is over, the one behind it after that.
        for (at, pause, left) in
            [(4, 30_000, [1, 2, 4, 5].as_slice()), (5, 130_000, &[1, 2, 5, 6]), (6, 30_000, &[1, 6, 7])]
        {
            put(&mut client, &topic, at, &[("c", Some("3"))]).await;
            world.sim.sleep(ms(pause)).await;
            assert_eq!(offsets(&read_all(&mut client, &topic).await), left, "after second {at}");
        }
    });
}

#[test]
fn a_producer_goes_on_though_its_records_are_gone() {
    run(&CLEANER, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        let of_producer = |base_sequence| BatchOptions {
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(0),
            base_sequence,
            ..BatchOptions::default()
        };
        for sequence in 0..3 {
            let batch = keyed(of_producer(sequence), i64::from(sequence), &[("a", Some("1"))]);
            assert_eq!(client.append_code(&topic, batch).await, ErrorCode::None);
        }
        for at in 3..6 {
            put(&mut client, &topic, at, &[("a", Some("2"))]).await;
        }
        world.sim.sleep(ms(30_000)).await;
        assert_eq!(offsets(&read_all(&mut client, &topic).await), [4, 5]);
        let data = client.read(&topic, 0).await;
        let first =
            protocol::records::BatchHeader::parse(&data.records.unwrap().to_bytes().unwrap()).unwrap();
        assert_eq!(
            (first.base_offset.0, first.record_count, first.last_sequence()),
            (2, 0, 2),
            "its place is kept"
        );
        world.restart().await;
        let mut client = world.connect().await;
        let again = client.append(&topic, keyed(of_producer(2), 2, &[("a", Some("1"))])).await;
        assert_eq!((again.error_code, again.base_offset), (0, 2), "a duplicate");
        let next = client.append(&topic, keyed(of_producer(3), 6, &[("a", Some("1"))])).await;
        assert_eq!((next.error_code, next.base_offset), (0, 6));
    });
}

#[test]
fn records_are_compacted_neither_too_early_nor_too_late() {
    run(&CLEANER, async |world| {
        let mut client = world.connect().await;
        let never = ("min.cleanable.dirty.ratio", "1.0");
        let mut early = COMPACTED.to_vec();
        early.push(("min.compaction.lag.ms", "100000"));
        let late = [COMPACTED[0], COMPACTED[1], never, ("max.compaction.lag.ms", "100000")];
        for (name, configs, at_most) in [("early", early.as_slice(), 3), ("late", &late, 3)] {
            let topic = client.create(name, 1, configs).await;
            let now = world.wall_ms() / 1000;
            for at in 0..4 {
                put(&mut client, &topic, now + at, &[("a", Some("1"))]).await;
            }
            world.sim.sleep(ms(60_000)).await;
            assert_eq!(read_all(&mut client, &topic).await.len(), 4, "{name}: too early");
            world.sim.sleep(ms(60_000)).await;
            assert!(read_all(&mut client, &topic).await.len() < at_most, "{name}: too late");
        }
    });
}

#[test]
fn a_pass_goes_by_what_the_topic_says_by_then() {
    for (config, before, after) in [
        ("min.compaction.lag.ms", "10000000", "0"),
        ("min.cleanable.dirty.ratio", "1.0", "0.0"),
        ("max.compaction.lag.ms", "10000000", "1000"),
    ] {
        run(&CLEANER, async |world| {
            let mut client = world.connect().await;
            let mut configs = COMPACTED.to_vec();
            configs.retain(|(name, _)| *name != config);
            if config == "max.compaction.lag.ms" {
                configs.retain(|(name, _)| *name != "min.cleanable.dirty.ratio");
                configs.push(("min.cleanable.dirty.ratio", "1.0"));
            }
            configs.push((config, before));
            let topic = client.create("t", 1, &configs).await;
            let now = world.wall_ms() / 1000;
            for at in 0..4 {
                put(&mut client, &topic, now + at, &[("a", Some("1"))]).await;
            }
            world.sim.sleep(ms(60_000)).await;
            assert_eq!(read_all(&mut client, &topic).await.len(), 4, "{config} {before}");
            set(&mut client, (2, "t"), config, after).await;
            world.sim.sleep(ms(60_000)).await;
            assert!(read_all(&mut client, &topic).await.len() < 4, "{config} {after}");
        });
    }
    run(&CLEANER, async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &COMPACTED).await;
        let mut at = 0;
        // The first pass tells a tombstone its time (KIP-534), and that stays: a change counts for those that come.
        for (retention, key) in [("10000000", "a"), ("1000", "b")] {
            set(&mut client, (2, "t"), "delete.retention.ms", retention).await;
            put(&mut client, &topic, at, &[(key, None)]).await;
            for _ in 0..3 {
                put(&mut client, &topic, at + 1, &[("c", Some("1"))]).await;
                put(&mut client, &topic, at + 2, &[("c", Some("2"))]).await;
                at += 3;
                world.sim.sleep(ms(60_000)).await;
            }
        }
        let left = read_all(&mut client, &topic).await;
        let keys: Vec<&str> = left.iter().map(|(_, key, _)| key.as_str()).collect();
        assert_eq!(keys, ["a", "c", "c"]);
    });
}

/// A pass that rests for days after each step, because its rate is tiny, held the deletion of its topic up, and with that every
/// change of metadata.
#[test]
fn a_throttled_pass_ends_with_its_topic_and_hears_of_a_higher_rate() {
    let slow = [
        ("log.cleaner.backoff.ms", "1000"),
        ("log.cleaner.io.max.bytes.per.second", "1"),
        ("log.cleaner.threads", "2"),
    ];
    run(&slow, async |world| {
        let mut client = world.connect().await;
        let mut topics = Vec::new();
        for name in ["deleted", "kept"] {
            let topic = client.create(name, 1, &COMPACTED).await;
            for at in 0..4 {
                put(&mut client, &topic, at, &[("a", Some("value")), ("b", Some("value"))]).await;
            }
            topics.push(topic);
        }
        world.sim.sleep(ms(60_000)).await;
        for topic in &topics {
            assert_eq!(read_all(&mut client, topic).await.len(), 8, "a pass is far from its end");
        }
        client.delete("deleted").await;
        set(&mut client, (4, ""), "log.cleaner.io.max.bytes.per.second", "1000000").await;
        world.sim.sleep(ms(60_000)).await;
        assert!(read_all(&mut client, &topics[1]).await.len() < 8);
    });
}
