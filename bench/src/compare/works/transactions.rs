//! Transactions of 100 records one after the other, of one producer.

use anyhow::Result;

use crate::compare::turn::{RDKAFKA, Turn};
use crate::report::Label;

pub(super) fn measure(turn: &mut Turn<'_>) -> Result<()> {
    for (case, partitions) in [("1 partition", "1"), ("6 partitions", "6")] {
        let count = turn.sizes.transactions.to_string();
        turn.topic("transactions", 6, &[])?;
        turn.settle();
        let label = Label::new("transactions", case, RDKAFKA);
        let words = ["transactions", "--transactions", &count, "--partitions", partitions];
        let mut load = turn.rdkafka("transactions", &words);
        let measured = turn.measure(&label, &mut load)?;
        let (outcome, spent) = &measured;
        let records = outcome.records as f64;
        turn.put(&label, "records/s", records / outcome.seconds);
        turn.put(&label, "records/CPU-s", records / spent.cpu);
        turn.put(&label, "CPU-us/transaction", spent.cpu * 1e6 / turn.sizes.transactions as f64);
        turn.put_latency(&label, &measured)?;
        turn.forget("transactions")?;
    }
    Ok(())
}
