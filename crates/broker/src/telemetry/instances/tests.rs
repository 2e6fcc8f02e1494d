use metadata::record::{ConfigResource, Record};

use super::*;

const METRICS: ResourceKind = ResourceKind::ClientMetrics;

fn image(configs: &[(&str, &str, &str)]) -> Image {
    let record = |(of, key, value): &(&str, &str, &str)| Record::Config {
        resource: ConfigResource { kind: METRICS, name: Str::from(*of) },
        key: Str::from(*key),
        value: Some(Str::from(*value)),
    };
    Image::from_records(&configs.iter().map(record).collect::<Vec<_>>()).unwrap()
}

fn instances(configs: &[(&str, &str, &str)]) -> Instances {
    let mut instances = Instances::default();
    instances.learn(&image(configs), 1);
    instances
}

fn client(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn at(ms: u64) -> Instant {
    Instant::ZERO.after(Duration::from_millis(ms))
}

fn push(instances: &mut Instances, id: Uuid, subscription_id: i32, ms: u64) -> Result<Codec, ErrorCode> {
    let push = Push { id, subscription_id, terminating: false, compression_type: 4 };
    instances.push(&push, &ClientFacts::default(), false, at(ms))
}

fn subscribe(instances: &mut Instances, id: Uuid, ms: u64) -> Result<Subscribed, ErrorCode> {
    instances.subscribe(id, &ClientFacts::default(), at(ms))
}

const SECOND: [(&str, &str, &str); 2] = [("s", "interval.ms", "1000"), ("s", "metrics", "a.")];

#[test]
fn subscriptions_that_match_are_put_together() {
    let mut instances = instances(&[
        ("one", "metrics", "b.,a."),
        ("one", "interval.ms", "5000"),
        ("two", "metrics", "a.,c."),
        ("two", "interval.ms", "9000"),
        ("others", "metrics", "*"),
        ("others", "match", "client_id=other"),
    ]);
    let told = subscribe(&mut instances, client(1), 0).unwrap();
    assert_eq!((told.interval_ms, told.metrics), (5000, vec!["a.".into(), "b.".into(), "c.".into()]));
    let facts = ClientFacts { id: "other".into(), ..ClientFacts::default() };
    let told = instances.subscribe(client(2), &facts, at(0)).unwrap();
    assert_eq!((told.interval_ms, told.metrics), (5000, vec!["*".into()]));
}

#[test]
fn without_a_subscription_there_is_nothing_to_push_for_five_minutes() {
    let told = subscribe(&mut instances(&[]), client(1), 0).unwrap();
    assert_eq!((told.interval_ms, told.metrics.len()), (300_000, 0));
}

#[test]
fn a_subscription_id_is_that_of_kafka() {
    // CRC32C of "[a.]1000", and of "[]300000", and Java's Uuid.hashCode of 1..16.
    let id = Uuid::from_bytes(std::array::from_fn(|place| u8::try_from(place + 1).unwrap()));
    let hash = 0x0102_0304 ^ 0x0506_0708 ^ 0x090a_0b0c ^ 0x0d0e_0f10;
    for (metrics, interval_ms, text) in [(&["a."][..], 1000, "[a.]1000"), (&[], 300_000, "[]300000")] {
        let set = metrics.iter().copied().collect();
        let expected = (crc32c(text.as_bytes()) ^ hash).cast_signed();
        assert_eq!(subscription_id(&set, interval_ms, id), expected);
    }
}

#[test]
fn the_first_push_may_come_soon_and_the_next_after_the_interval() {
    let mut instances = instances(&SECOND);
    let id = subscribe(&mut instances, client(1), 0).unwrap().id;
    assert_eq!(push(&mut instances, client(1), id, 300), Ok(Codec::Zstd));
    assert_eq!(push(&mut instances, client(1), id, 1299), Err(ErrorCode::ThrottlingQuotaExceeded));
    assert_eq!(push(&mut instances, client(1), id, 1300), Ok(Codec::Zstd));
    assert_eq!(subscribe(&mut instances, client(1), 2299), Err(ErrorCode::ThrottlingQuotaExceeded));
    assert!(subscribe(&mut instances, client(1), 2300).is_ok());
    // One that another broker has told: as good as any.
    let other = subscription_id(&BTreeSet::from(["a."]), 1000, client(2));
    assert_eq!(push(&mut instances, client(2), other, 0), Ok(Codec::Zstd));
}

#[test]
fn a_change_of_subscriptions_is_learnt_with_the_next_push_and_asked_for_at_once() {
    let mut instances = instances(&SECOND);
    let old = subscribe(&mut instances, client(1), 0).unwrap().id;
    instances.learn(&image(&[SECOND[0], ("s", "metrics", "b.")]), 2);
    assert_eq!(push(&mut instances, client(1), old, 500), Err(ErrorCode::UnknownSubscriptionId));
    let told = subscribe(&mut instances, client(1), 500).unwrap();
    assert_ne!(told.id, old);
    assert_eq!(push(&mut instances, client(1), told.id, 501), Ok(Codec::Zstd));
    // Something else in the cluster has changed.
    instances.learn(&image(&[SECOND[0], ("s", "metrics", "b.")]), 3);
    assert_eq!(push(&mut instances, client(1), told.id, 502), Err(ErrorCode::ThrottlingQuotaExceeded));
}

#[test]
fn pushes_are_refused_for_what_is_wrong_with_them() {
    let base = Push { id: client(1), subscription_id: 0, terminating: false, compression_type: 4 };
    let fresh = || {
        let mut instances = instances(&SECOND);
        let subscription_id = subscribe(&mut instances, client(1), 0).unwrap().id;
        (instances, Push { subscription_id, ..base })
    };
    let facts = ClientFacts::default();
    for id in [Uuid::ZERO, Uuid::ONE] {
        let (mut instances, good) = fresh();
        let told = instances.push(&Push { id, ..good }, &facts, false, at(1));
        assert_eq!(told, Err(ErrorCode::InvalidRequest));
    }
    for compression_type in [-1, 5] {
        let (mut instances, good) = fresh();
        let told = instances.push(&Push { compression_type, ..good }, &facts, false, at(1));
        assert_eq!(told, Err(ErrorCode::UnsupportedCompressionType));
    }
    let (mut instances, good) = fresh();
    assert_eq!(instances.push(&good, &facts, true, at(1)), Err(ErrorCode::TelemetryTooLarge));
    let (mut instances, good) = fresh();
    let bad = Push { subscription_id: !good.subscription_id, ..good };
    assert_eq!(instances.push(&bad, &facts, false, at(1)), Err(ErrorCode::UnknownSubscriptionId));
}

#[test]
fn the_last_push_comes_when_it_comes_and_nothing_after_it() {
    let mut instances = instances(&SECOND);
    let id = subscribe(&mut instances, client(1), 0).unwrap().id;
    push(&mut instances, client(1), id, 1).unwrap();
    let last = Push { id: client(1), subscription_id: id, terminating: true, compression_type: 0 };
    assert_eq!(instances.push(&last, &ClientFacts::default(), false, at(2)), Ok(Codec::None));
    assert_eq!(push(&mut instances, client(1), id, 5000), Err(ErrorCode::InvalidRequest));
}

#[test]
fn silent_clients_are_forgotten_and_so_are_the_eldest_of_too_many() {
    let mut instances = instances(&SECOND);
    let id = subscribe(&mut instances, client(1), 0).unwrap().id;
    let last = Push { id: client(1), subscription_id: id, terminating: true, compression_type: 0 };
    instances.push(&last, &ClientFacts::default(), false, at(1)).unwrap();
    assert_eq!(push(&mut instances, client(1), id, 60_002), Ok(Codec::Zstd));
    for number in 0..u128::try_from(CLIENTS_MAX).unwrap() {
        let id = Uuid::from_bytes((number + 1000).to_be_bytes());
        subscribe(&mut instances, id, 60_003).unwrap();
    }
    assert_eq!((instances.clients.len(), instances.turns.len()), (CLIENTS_MAX, CLIENTS_MAX));
    assert!(!instances.clients.contains_key(&client(1)));
}
