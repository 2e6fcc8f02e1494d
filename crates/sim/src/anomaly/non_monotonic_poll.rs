//! Non-monotonic poll: what a process polls of a log, without having sought another place, goes back or passes over a record that
//! somebody has read.

use std::collections::BTreeMap;

use super::{Action, History};

pub(super) fn find(history: &History) -> Vec<String> {
    let all = history.read();
    let mut found = Vec::new();
    let mut last = BTreeMap::new();
    for operation in &history.operations {
        let process = operation.process;
        for action in &operation.actions {
            let (log, records) = match action {
                Action::Poll { log, records } => (log, records),
                Action::Seek => {
                    last.retain(|(other, _), _| *other != process);
                    continue;
                }
                Action::Send { .. } => continue,
            };
            for (offset, id) in records {
                let Some(before) = last.insert((process, log), *offset) else { continue };
                if *offset <= before {
                    found.push(format!("process {process} polls {id} at {log}@{offset} after {before}"));
                    continue;
                }
                let mut between =
                    all.get(log).into_iter().flat_map(|read| read.range(before.next()..*offset));
                if let Some((missed, other)) = between.next() {
                    let over = format!("over {other} at {missed}");
                    found.push(format!("process {process} passes from {log}@{before} to {offset} {over}"));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::testing::{check, committed, poll, send};
    use super::super::{Action, Anomaly, Operation};

    fn written() -> Operation {
        committed(1, &[send(0, 1, 0), send(0, 2, 1), send(0, 3, 5)])
    }

    #[test]
    fn polls_do_not_go_back() {
        let between = [
            written(),
            committed(2, &[poll(0, &[(0, 1), (1, 2), (5, 3)])]),
            committed(2, &[poll(0, &[(1, 2)])]),
        ];
        check(&between, Anomaly::NonMonotonicPoll, 1, &[]);
        let within = [written(), committed(2, &[poll(0, &[(0, 1), (1, 2)]), poll(0, &[(1, 2), (5, 3)])])];
        check(&within, Anomaly::NonMonotonicPoll, 1, &[]);
    }

    #[test]
    fn polls_do_not_pass_over_what_others_get() {
        let all = [
            written(),
            committed(2, &[poll(0, &[(0, 1)])]),
            committed(3, &[poll(0, &[(0, 1), (1, 2), (5, 3)])]),
            committed(2, &[poll(0, &[(5, 3)])]),
        ];
        check(&all, Anomaly::NonMonotonicPoll, 1, &[]);
    }

    #[test]
    fn who_seeks_may_go_anywhere_and_gaps_without_records_are_none() {
        let all = [
            written(),
            committed(2, &[poll(0, &[(0, 1), (1, 2), (5, 3)])]),
            committed(2, &[Action::Seek]),
            committed(2, &[poll(0, &[(1, 2)])]),
            committed(2, &[poll(0, &[(5, 3)])]),
        ];
        check(&all, Anomaly::NonMonotonicPoll, 0, &[]);
    }
}
