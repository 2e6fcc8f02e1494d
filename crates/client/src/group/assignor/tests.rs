use super::*;

fn reader(id: &str, topics: &[&str]) -> Reader {
    Reader {
        id: Str::from(id),
        topics: topics.iter().map(|name| Str::from(*name)).collect(),
        ..Reader::default()
    }
}

fn counts(topics: &[(&str, i32)]) -> Counts {
    topics.iter().map(|(name, count)| (Str::from(*name), *count)).collect()
}

/// `a: t-0 t-1; b: t-2`
fn shown(assignment: &Assignment) -> String {
    let one = |(id, has): (&Str, &BTreeSet<TopicPartition>)| {
        let has: Vec<String> = has.iter().map(ToString::to_string).collect();
        format!("{id}: {}", has.join(" "))
    };
    assignment.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn range_gives_stretches_and_static_members_come_first() {
    let mut readers = vec![reader("a", &["t", "u"]), reader("b", &["t", "u"]), reader("c", &["u"])];
    let of = counts(&[("t", 3), ("u", 2)]);
    assert_eq!(shown(&assign(Assignor::Range, readers.clone(), &of)), "a: t-0 t-1 u-0; b: t-2 u-1; c: ");
    readers[1].instance_id = Some(Str::from("x"));
    assert_eq!(shown(&assign(Assignor::Range, readers, &of)), "a: t-2 u-1; b: t-0 t-1 u-0; c: ");
}

#[test]
fn round_robin_deals_out_one_by_one_to_those_who_read_the_topic() {
    let readers = vec![reader("a", &["t"]), reader("b", &["t", "u"]), reader("c", &["u"])];
    let of = counts(&[("t", 3), ("u", 3)]);
    assert_eq!(shown(&assign(Assignor::RoundRobin, readers, &of)), "a: t-0 t-2; b: t-1 u-0 u-2; c: u-1");
    let nobody = assign(Assignor::RoundRobin, vec![reader("a", &["u"])], &counts(&[("t", 1)]));
    assert_eq!(shown(&nobody), "a: ");
}

/// As its members would do it: after each round they have what they got, and take part again.
fn rounds(readers: &mut [Reader], of: &Counts) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let assignment = assign(Assignor::CooperativeSticky, readers.to_owned(), of);
        let shown = shown(&assignment);
        if seen.last() == Some(&shown) {
            return seen;
        }
        assert!(seen.len() < 9, "it has no end: {seen:?}");
        seen.push(shown);
        for reader in readers.iter_mut() {
            reader.owned = assignment[&reader.id].clone();
            reader.generation += 1;
        }
    }
}

#[test]
fn cooperative_sticky_moves_little_and_in_two_rounds() {
    let of = counts(&[("t", 4)]);
    let mut readers = vec![reader("a", &["t"])];
    assert_eq!(rounds(&mut readers, &of), ["a: t-0 t-1 t-2 t-3"]);
    readers.push(reader("b", &["t"]));
    // The newcomer gets nothing that the other one still has.
    assert_eq!(rounds(&mut readers, &of), ["a: t-2 t-3; b: ", "a: t-2 t-3; b: t-0 t-1"]);
    readers.push(reader("c", &["t"]));
    let last = rounds(&mut readers, &of);
    assert_eq!(last, ["a: t-2 t-3; b: t-1; c: ", "a: t-2 t-3; b: t-1; c: t-0"]);
    readers.remove(1);
    assert_eq!(rounds(&mut readers, &of), ["a: t-2 t-3; c: t-0 t-1"]);
}

#[test]
fn cooperative_sticky_believes_who_got_it_last() {
    let of = counts(&[("t", 2)]);
    let owned = BTreeSet::from([TopicPartition::new("t", 0), TopicPartition::new("t", 7)]);
    let old = Reader { owned: owned.clone(), generation: 3, ..reader("a", &["t"]) };
    let new = Reader { owned, generation: 4, ..reader("b", &["t"]) };
    let assignment = assign(Assignor::CooperativeSticky, vec![old.clone(), new], &of);
    assert_eq!(shown(&assignment), "a: t-1; b: t-0");
    let twin = Reader { id: Str::from("b"), ..old.clone() };
    let assignment = assign(Assignor::CooperativeSticky, vec![old, twin], &of);
    assert_eq!(shown(&assignment), "a: t-0; b: t-1", "neither is believed");
}

#[test]
fn cooperative_sticky_is_even_among_those_who_read_a_topic() {
    let of = counts(&[("t", 5), ("u", 1)]);
    let mut readers = vec![reader("a", &["t"]), reader("b", &["t", "u"]), reader("c", &["u"])];
    assert_eq!(rounds(&mut readers, &of), ["a: t-0 t-2 t-4; b: t-1 t-3; c: u-0"]);
}
