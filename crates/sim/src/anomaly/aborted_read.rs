//! Aborted read (G1a): somebody has read a record of a transaction that was not committed.

use super::{History, Outcome};

pub(super) fn find(history: &History) -> Vec<String> {
    let writers = history.writers();
    let is_aborted = |index: usize| {
        history.operations.get(index).is_some_and(|operation| operation.outcome == Outcome::Aborted)
    };
    let of_aborted = history
        .reads()
        .filter(|(.., id)| writers.get(id).is_some_and(|index| is_aborted(*index)))
        .map(|(_, reader, log, offset, id)| {
            format!("process {} has read {id} at {log}@{offset}, which was aborted", reader.process)
        });
    of_aborted.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{aborted, check, committed, poll, send, unknown};

    #[test]
    fn what_was_aborted_must_not_be_read() {
        let writer = aborted(1, &[send(0, 1, 0), send(0, 2, 1)]);
        let reader = committed(2, &[poll(0, &[(0, 1)])]);
        check(&[writer, reader], Anomaly::AbortedRead, 1, &[]);
    }

    #[test]
    fn what_is_read_of_a_transaction_without_an_answer_was_committed() {
        let writer = unknown(1, &[send(0, 1, 0)]);
        let other = aborted(3, &[send(0, 2, 1)]);
        let reader = committed(2, &[poll(0, &[(0, 1)])]);
        check(&[writer, other, reader], Anomaly::AbortedRead, 0, &[]);
    }
}
