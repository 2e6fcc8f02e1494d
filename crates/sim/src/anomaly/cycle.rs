//! Cycle: operations of which each must have happened before the next, around to the first.
//!
//! What was read was written before (`wr`), and a process does one thing after the other. Writes of two transactions
//! may be interleaved in Kafka's logs, so the order of writes (`ww`) and what was not read yet (`rw`) say nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::History;

pub(super) fn find(history: &History) -> Vec<String> {
    let before = edges(history);
    let mut remaining = before.iter().map(|before| before.len()).collect::<Vec<_>>();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); before.len()];
    for (index, all) in before.iter().enumerate() {
        for earlier in all.keys() {
            if let Some(after) = after.get_mut(*earlier) {
                after.push(index);
            }
        }
    }
    // Takes away what nothing is before, again and again; what stays is in a cycle or behind one.
    let mut free: Vec<usize> =
        (0..remaining.len()).filter(|index| remaining.get(*index) == Some(&0)).collect();
    let mut stays: BTreeSet<usize> = (0..remaining.len()).collect();
    while let Some(index) = free.pop() {
        stays.remove(&index);
        for later in after.get(index).into_iter().flatten() {
            if let Some(count) = remaining.get_mut(*later) {
                *count -= 1;
                if *count == 0 {
                    free.push(*later);
                }
            }
        }
    }
    let mut found = Vec::new();
    while let Some(start) = stays.first().copied() {
        let (way, cycle) = walk(start, &before, &stays);
        way.iter().for_each(|index| {
            stays.remove(index);
        });
        found.extend(cycle.map(|cycle| told(history, &before, &cycle)));
    }
    found
}

/// Why one operation is before another.
#[derive(Clone, Copy, Debug)]
enum Why {
    Process,
    Read(crate::value::Id),
}

/// What each operation comes behind.
fn edges(history: &History) -> Vec<BTreeMap<usize, Why>> {
    let writers = history.writers();
    let mut before: Vec<BTreeMap<usize, Why>> = vec![BTreeMap::new(); history.operations.len()];
    let mut last = BTreeMap::new();
    for (index, (operation, before)) in history.operations.iter().zip(&mut before).enumerate() {
        if let Some(earlier) = last.insert(operation.process, index) {
            before.insert(earlier, Why::Process);
        }
    }
    for (index, _, _, _, id) in history.reads() {
        if let (Some(writer), Some(before)) = (writers.get(&id), before.get_mut(index)) {
            before.entry(*writer).or_insert(Why::Read(id));
        }
    }
    before
}

/// From `start` to ever earlier ones among `stays`: where it went, and the part that it went around, if that is new.
fn walk(
    start: usize,
    before: &[BTreeMap<usize, Why>],
    stays: &BTreeSet<usize>,
) -> (Vec<usize>, Option<Vec<usize>>) {
    let mut way = vec![start];
    let mut at = start;
    loop {
        let earlier = before.get(at).and_then(|before| before.keys().find(|earlier| stays.contains(earlier)));
        // What it comes behind was told of already.
        let Some(earlier) = earlier else { return (way, None) };
        if let Some(from) = way.iter().position(|index| index == earlier) {
            let cycle = way.split_off(from);
            return ([way, cycle.clone()].concat(), Some(cycle));
        }
        way.push(*earlier);
        at = *earlier;
    }
}

fn told(history: &History, before: &[BTreeMap<usize, Why>], cycle: &[usize]) -> String {
    let next = cycle.iter().cycle().skip(1);
    let steps = cycle.iter().zip(next).map(|(index, earlier)| {
        let process = history.operations.get(*index).map_or(0, |operation| operation.process);
        match before.get(*index).and_then(|before| before.get(earlier)) {
            Some(Why::Read(id)) => format!("operation {index} of process {process} reads {id} of {earlier}"),
            _ => format!("operation {index} of process {process} follows {earlier}"),
        }
    });
    steps.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Anomaly;
    use super::super::testing::{check, committed, poll, send};

    #[test]
    fn two_transactions_must_not_read_each_other() {
        let all = [
            committed(1, &[send(0, 1, 0), poll(1, &[(0, 2)])]),
            committed(2, &[send(1, 2, 0), poll(0, &[(0, 1)])]),
        ];
        check(&all, Anomaly::Cycle, 1, &[]);
    }

    #[test]
    fn nobody_reads_what_a_later_transaction_of_its_own_causes() {
        let all = [
            committed(1, &[poll(1, &[(0, 2)])]),
            committed(1, &[send(0, 1, 0)]),
            committed(2, &[poll(0, &[(0, 1)]), send(1, 2, 0)]),
        ];
        check(&all, Anomaly::Cycle, 1, &[]);
    }

    #[test]
    fn a_transaction_does_not_read_itself() {
        check(&[committed(1, &[send(0, 1, 0), poll(0, &[(0, 1)])])], Anomaly::Cycle, 1, &[]);
    }

    #[test]
    fn chains_and_interleaved_writes_are_no_cycles() {
        let all = [
            committed(1, &[send(0, 1, 0), send(1, 2, 3)]),
            committed(2, &[send(0, 3, 2), send(1, 4, 1)]),
            committed(3, &[poll(0, &[(0, 1), (2, 3)]), send(2, 5, 0)]),
            committed(1, &[poll(2, &[(0, 5)])]),
            committed(2, &[poll(1, &[(1, 4), (3, 2)])]),
        ];
        check(&all, Anomaly::Cycle, 0, &[]);
    }
}
