//! Duplicate: one record is at two offsets, or in two logs.

use std::collections::{BTreeMap, BTreeSet};

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let sent = history.sends().filter_map(|(_, _, log, id, offset)| Some((log, offset?, id)));
    let read = history.reads().map(|(_, _, log, offset, id)| (log, offset, id));
    let mut places: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for (log, offset, id) in sent.chain(read) {
        places.entry(id).or_default().insert((log, offset));
    }
    let doubled = places.into_iter().filter(|(_, places)| places.len() > 1).map(|(id, places)| {
        let places: Vec<String> = places.iter().map(|(log, offset)| format!("{log}@{offset}")).collect();
        format!("{id} is at {}", places.join(" and "))
    });
    doubled.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{check, committed, poll, send, send_somewhere};

    #[test]
    fn a_record_is_at_one_place() {
        let twice = [committed(1, &[send(0, 1, 0)]), committed(2, &[poll(0, &[(0, 1), (1, 1)])])];
        check(&twice, Anomaly::Duplicate, 1, &[]);
        let elsewhere =
            [committed(1, &[send_somewhere(0, 1)]), committed(2, &[poll(0, &[(0, 1)]), poll(1, &[(0, 1)])])];
        check(&elsewhere, Anomaly::Duplicate, 1, &[]);
    }

    #[test]
    fn a_record_that_is_read_twice_is_no_duplicate() {
        let all = [
            committed(1, &[send(0, 1, 0)]),
            committed(2, &[poll(0, &[(0, 1)])]),
            committed(3, &[poll(0, &[(0, 1)])]),
        ];
        check(&all, Anomaly::Duplicate, 0, &[]);
    }
}
