//! Lost write: a record was written for certain and nobody has read it, but somebody has read behind it.

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let read = history.read();
    let lost = history.not_read().filter_map(|(log, id, offset)| {
        let (offset, last) = (offset?, read.get(log)?.last_key_value()?.0);
        (offset < *last).then(|| format!("{id} at {log}@{offset} was not read, and {last} was"))
    });
    lost.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{aborted, check, committed, poll, send, unknown};

    #[test]
    fn what_is_read_has_no_holes_where_records_are() {
        let all = [
            committed(1, &[send(0, 1, 0)]),
            committed(1, &[send(0, 2, 1)]),
            committed(2, &[poll(0, &[(1, 2)])]),
        ];
        check(&all, Anomaly::LostWrite, 1, &[]);
    }

    #[test]
    fn of_a_transaction_of_which_something_is_read_all_must_be() {
        let all = [
            unknown(1, &[send(0, 1, 0), send(1, 2, 0)]),
            committed(1, &[send(1, 3, 2)]),
            committed(2, &[poll(0, &[(0, 1)]), poll(1, &[(2, 3)])]),
        ];
        check(&all, Anomaly::LostWrite, 1, &[]);
    }

    #[test]
    fn what_was_not_committed_for_certain_is_not_missed() {
        let all = [
            aborted(1, &[send(0, 1, 0)]),
            unknown(3, &[send(0, 2, 1)]),
            committed(4, &[send(0, 4, 2)]),
            committed(2, &[poll(0, &[(2, 4)])]),
        ];
        check(&all, Anomaly::LostWrite, 0, &[]);
    }
}
