//! Send order inversion: of two records that a process has sent to a log the later one has the smaller offset, as it was told or
//! as others have read them.

use std::collections::BTreeMap;

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let read: BTreeMap<_, _> = history.reads().map(|(_, _, log, offset, id)| ((log, id), offset)).collect();
    let mut last = BTreeMap::new();
    let mut found = Vec::new();
    for (_, operation, log, id, offset) in history.sends() {
        let Some(offset) = offset.or_else(|| read.get(&(log, id)).copied()) else { continue };
        let process = operation.process;
        let before = last.insert((process, log), (offset, id));
        if let Some((before, earlier)) = before.filter(|(before, _)| *before >= offset) {
            let text =
                format!("process {process} has sent {earlier} to {log}@{before}, and then {id} to {offset}");
            found.push(text);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{check, committed, poll, send, send_somewhere, unknown};

    #[test]
    fn what_is_sent_later_is_behind() {
        let read = committed(2, &[poll(0, &[(0, 2), (1, 1)])]);
        let told = [committed(1, &[send(0, 1, 1), send(0, 2, 0)]), read.clone()];
        check(&told, Anomaly::SendOrderInversion, 1, &[]);
        let seen = [unknown(1, &[send_somewhere(0, 1)]), unknown(1, &[send_somewhere(0, 2)]), read];
        check(&seen, Anomaly::SendOrderInversion, 1, &[]);
    }

    #[test]
    fn there_is_no_order_between_processes_or_partitions() {
        let all = [
            committed(1, &[send(0, 1, 1), send(1, 3, 0)]),
            committed(2, &[send(0, 2, 0)]),
            committed(3, &[poll(0, &[(0, 2), (1, 1)]), poll(1, &[(0, 3)])]),
        ];
        check(&all, Anomaly::SendOrderInversion, 0, &[]);
    }
}
