//! Reads everything that the broker holds, for the checkers that look at the whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::Error;
use host::Host;
use protocol::Offset;

use super::fetch::Fetcher;
use crate::check::{FinalLog, FinalLogs};
use crate::dice::Dice;
use crate::event::Log;
use crate::history::{AUDITS, History};
use crate::scenario::Scenario;

pub(crate) async fn audit(
    host: &Host,
    scenario: &Arc<Scenario>,
    history: &History,
    number: usize,
) -> Result<FinalLogs, Error> {
    let cluster = super::cluster(host);
    let dice = Dice::of(host);
    let mut logs = FinalLogs::new();
    for plan in &scenario.topics {
        let mut fetcher = Fetcher {
            cluster: cluster.clone(),
            history: history.clone(),
            reader: AUDITS + number,
            topic: plan.name.clone(),
            positions: BTreeMap::new(),
            high_watermarks: BTreeMap::new(),
            taken: Some(BTreeMap::new()),
        };
        read_all(&mut fetcher, host, &dice).await?;
        for (partition, records) in fetcher.taken.unwrap_or_default() {
            logs.insert(Log { topic: plan.name.clone(), partition }, FinalLog { records });
        }
    }
    Ok(logs)
}

async fn read_all(fetcher: &mut Fetcher, host: &Host, dice: &Dice) -> Result<(), Error> {
    let (id, partitions) = fetcher.look_up().await?;
    fetcher.positions = (0..partitions).map(|partition| (partition, Offset::ZERO)).collect();
    loop {
        let refused = match fetcher.fetch(id, dice, 0).await {
            Ok(refused) => refused,
            // Connections from before the last start.
            Err(error) if error.is_retriable() => {
                fetcher.history.note(&error.to_string());
                host.clock.sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if let Some((partition, code)) = refused.first() {
            let text = format!("{}-{partition}: {}", fetcher.topic, code.name());
            if !code.is_retriable() {
                return Err(Error::Invalid(text));
            }
            fetcher.history.note(&text);
            host.clock.sleep(Duration::from_millis(100)).await;
        }
        let reached = |(partition, position): (&i32, &Offset)| {
            fetcher.high_watermarks.get(partition).is_some_and(|end| position >= end)
        };
        if fetcher.positions.iter().all(reached) {
            return Ok(());
        }
    }
}
