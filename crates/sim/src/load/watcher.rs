//! Follows topics by raw fetches, now and then again from the beginning or from somewhere it has been.

use std::collections::BTreeMap;

use client::Cluster;
use protocol::{ErrorCode, Offset};

use super::Context;
use super::fetch::Fetcher;
use crate::event::{Event, Log, Reader};

pub(super) async fn run(context: Context) {
    let cluster = context.cluster();
    let reader = context.reader();
    while !context.is_stopped() {
        let topic = context.dice.index(context.scenario.topics.len());
        follow(&context, &cluster, reader, topic).await;
    }
}

/// Reads one topic for a while.
async fn follow(context: &Context, cluster: &Cluster, reader: Reader, topic: usize) {
    let Some(plan) = context.scenario.topics.get(topic) else { return };
    let mut fetcher = Fetcher {
        cluster: cluster.clone(),
        history: context.history.clone(),
        reader,
        topic: plan.name.clone(),
        positions: BTreeMap::new(),
        high_watermarks: BTreeMap::new(),
        taken: None,
    };
    let Ok((id, _)) = fetcher.look_up().await else {
        context.pause(context.dice.millis(10, 500)).await;
        return;
    };
    for partition in 0..context.partitions(topic) {
        fetcher.positions.insert(partition, Offset::ZERO);
    }
    for _ in 0..context.dice.between(5, 200) {
        if context.is_stopped() {
            return;
        }
        let wait_ms = i32::try_from(context.dice.pick(&[0_u32, 10, 500])).unwrap_or(0);
        match fetcher.fetch(id, &context.dice, wait_ms).await {
            Ok(refused) => {
                let pause = !refused.is_empty();
                refused.into_iter().for_each(|refusal| refused_one(&mut fetcher, refusal));
                if pause {
                    context.pause(context.dice.millis(5, 200)).await;
                }
            }
            Err(_) => context.pause(context.dice.millis(5, 300)).await,
        }
        if context.dice.chance(3) {
            for position in fetcher.positions.values_mut() {
                let back = context.dice.between(0, position.get().unsigned_abs());
                *position = Offset(back.cast_signed());
            }
        }
        context.pause(context.dice.millis(0, 50)).await;
    }
}

fn refused_one(fetcher: &mut Fetcher, (partition, code): (i32, ErrorCode)) {
    let log = Log { topic: fetcher.topic.clone(), partition };
    if code == ErrorCode::OffsetOutOfRange
        && let Some(position) = fetcher.positions.insert(partition, Offset::ZERO)
    {
        fetcher.history.record(&Event::OutOfRange { reader: fetcher.reader, log, position });
    } else {
        fetcher.history.note(&format!("r{}: {log}: {}", fetcher.reader, code.name()));
    }
}
