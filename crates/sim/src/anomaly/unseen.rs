//! Unseen: a record was written for certain, and in the end, when everything has been read, nobody has read it. What others
//! were read behind is a [lost write](super::lost_write).

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let read = history.read();
    let unseen = history.not_read().filter_map(|(log, id, offset)| {
        let last = read.get(log).and_then(|read| read.last_key_value()).map(|(last, _)| *last);
        let is_passed = offset.is_some_and(|offset| last.is_some_and(|last| offset < last));
        (!is_passed).then(|| format!("{id} in {log} was never read, which was read up to {last:?}"))
    });
    unseen.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{check, committed, poll, send, send_somewhere, unknown};

    #[test]
    fn in_the_end_all_is_read() {
        let writer = committed(1, &[send(0, 1, 0), send(0, 2, 1)]);
        let reader = committed(2, &[poll(0, &[(0, 1)])]);
        check(&[writer, reader], Anomaly::Unseen, 1, &[]);
        let nowhere = committed(1, &[send_somewhere(0, 1), send_somewhere(1, 2)]);
        check(&[nowhere], Anomaly::Unseen, 2, &[]);
    }

    #[test]
    fn what_has_no_answer_may_be_nowhere() {
        let all = [
            committed(1, &[send(0, 1, 0)]),
            unknown(1, &[send_somewhere(0, 2)]),
            committed(2, &[poll(0, &[(0, 1)])]),
        ];
        check(&all, Anomaly::Unseen, 0, &[]);
    }
}
