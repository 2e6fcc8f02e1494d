//! Divergent value: one offset of a log has held two records, as writers were told or readers have seen.

use std::collections::BTreeMap;

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let sent = history.sends().filter_map(|(_, _, log, id, offset)| Some((log, offset?, id)));
    let read = history.reads().map(|(_, _, log, offset, id)| (log, offset, id));
    let mut first = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (log, offset, id) in sent.chain(read) {
        let known = *first.entry((log, offset)).or_insert(id);
        if known != id {
            found
                .entry((log, offset, id))
                .or_insert_with(|| format!("{log}@{offset} holds {known} and {id}"));
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{check, committed, poll, send};

    #[test]
    fn an_offset_must_hold_one_record() {
        let readers = [
            committed(1, &[send(0, 1, 0)]),
            committed(2, &[send(0, 2, 1)]),
            committed(3, &[poll(0, &[(0, 1), (1, 2)])]),
            committed(4, &[poll(0, &[(0, 2)])]),
        ];
        check(&readers, Anomaly::DivergentValue, 1, &[Anomaly::Duplicate]);
        let writers = [committed(1, &[send(0, 1, 0)]), committed(2, &[send(0, 2, 0)])];
        check(&writers, Anomaly::DivergentValue, 1, &[Anomaly::Unseen]);
    }

    #[test]
    fn an_offset_of_another_partition_is_another_one() {
        let all = [
            committed(1, &[send(0, 1, 0), send(1, 2, 0)]),
            committed(3, &[poll(0, &[(0, 1)]), poll(1, &[(0, 2)])]),
            committed(4, &[poll(0, &[(0, 1)])]),
        ];
        check(&all, Anomaly::DivergentValue, 0, &[]);
    }
}
