//! Changes configs of topics while they are written and read, deletes records, and asks what is set.
//!
//! Each change is asked for once: an answer is about the only attempt there was.

use std::time::Duration;

use client::admin::{ConfigResource, ConfigSource};
use client::{Admin, Cluster, Error};
use protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::{ErrorCode, Offset};

use super::Context;
use crate::event::{Event, Log, Settings};
use crate::history::History;
use crate::scenario::{Knob, TopicPlan};

/// Topics, among the kinds of resources.
const TOPIC: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;
/// Stands for all records, in a request.
const ALL: i64 = -1;

pub(super) async fn run(context: Context) {
    let cluster = context.cluster();
    let plans: Vec<TopicPlan> = context.scenario.topics.clone();
    while !context.is_stopped() {
        let Some(plan) = plans.get(context.dice.index(plans.len())) else { return };
        let result = match context.dice.index(4) {
            0 if plan.trimmed => trim(&context, &cluster, plan).await,
            1 => describe(&cluster, &context.history, plan).await,
            _ => turn(&context, &cluster, plan).await,
        };
        note(&context, result);
        context.pause(context.dice.skewed_millis(5, 2000)).await;
    }
    for plan in &plans {
        while !let_write(&context, &cluster, plan).await {
            context.host.clock.sleep(Duration::from_millis(200)).await;
        }
    }
}

fn note(context: &Context, result: Result<(), Error>) {
    if let Err(error) = result {
        context.history.note(&format!("operator: {error}"));
    }
}

/// Some configs of the topic at once.
async fn turn(context: &Context, cluster: &Cluster, plan: &TopicPlan) -> Result<(), Error> {
    let dice = &context.dice;
    let knobs: Vec<Knob> = plan.knobs.iter().copied().filter(|_| dice.chance(40)).collect();
    let settings: Settings = knobs.iter().map(|knob| (knob.name(), knob.turn(dice))).collect();
    let result = alter(context, cluster, plan, settings).await;
    if knobs.iter().any(|knob| knob.may_stop_writers()) {
        // It may be set, whatever was answered.
        context.pause(dice.millis(5, 500)).await;
        let_write(context, cluster, plan).await;
    }
    result
}

/// Takes back what stops those who write. Whether it is taken back for sure.
async fn let_write(context: &Context, cluster: &Cluster, plan: &TopicPlan) -> bool {
    let stopping = plan.knobs.iter().filter(|knob| knob.may_stop_writers());
    let result = alter(context, cluster, plan, stopping.map(|knob| (knob.name(), None)).collect()).await;
    let is_sure = result.is_ok();
    note(context, result);
    is_sure
}

async fn alter(
    context: &Context,
    cluster: &Cluster,
    plan: &TopicPlan,
    settings: Settings,
) -> Result<(), Error> {
    if settings.is_empty() {
        return Ok(());
    }
    let connection = cluster.any().await?;
    let configs = settings.iter().map(|(name, value)| AlterableConfig {
        name: name.clone(),
        config_operation: if value.is_some() { SET } else { DELETE },
        value: value.clone(),
    });
    let resource = AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: plan.name.clone(),
        configs: configs.collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let topic = plan.name.clone();
    context.history.record(&Event::AlterBegins { topic: topic.clone(), settings: settings.clone() });
    let response = connection.call(&request).await?;
    for answer in response.responses {
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => {
                let (topic, settings) = (topic.clone(), settings.clone());
                context.history.record(&Event::Altered { topic, settings });
            }
            code @ (ErrorCode::InvalidConfig | ErrorCode::InvalidRequest | ErrorCode::PolicyViolation) => {
                let text = format!("{topic}: {} {:?}", code.name(), answer.error_message);
                context.history.violate("valid configs are taken", text);
            }
            code => return Err(Error::Invalid(code.name().to_owned())),
        }
    }
    Ok(())
}

/// Deletes the beginning of a partition.
async fn trim(context: &Context, cluster: &Cluster, plan: &TopicPlan) -> Result<(), Error> {
    let dice = &context.dice;
    let partition = i32::try_from(dice.index(plan.partitions.unsigned_abs() as usize)).unwrap_or(0);
    let log = Log { topic: plan.name.clone(), partition };
    let [start, end] = ends(cluster, &log).await?.map(Offset::get);
    let length = end.saturating_sub(start).unsigned_abs();
    let before = match dice.index(8) {
        0 => None,
        1 => Some(Offset(end)),
        _ => Some(Offset(start + (dice.between(0, length) / dice.pick(&[1, 4, 20])).cast_signed())),
    };
    let partition =
        DeleteRecordsPartition { partition_index: partition, offset: before.map_or(ALL, Offset::get) };
    let topic = DeleteRecordsTopic { name: plan.name.clone(), partitions: vec![partition] };
    let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 2000 };
    let connection = cluster.any().await?;
    context.history.record(&Event::TrimBegins { log: log.clone(), before });
    let response = connection.call(&request).await?;
    for answer in response.topics.into_iter().flat_map(|topic| topic.partitions) {
        match ErrorCode::from(answer.error_code) {
            ErrorCode::None => {
                let (log, start) = (log.clone(), Offset(answer.low_watermark));
                context.history.record(&Event::Trimmed { log, before, start });
            }
            code => return Err(Error::Invalid(format!("{log}: {}", code.name()))),
        }
    }
    Ok(())
}

/// Where a log starts, and its high watermark.
async fn ends(cluster: &Cluster, log: &Log) -> Result<[Offset; 2], Error> {
    use client::{Isolation, OffsetSpec, TopicPartition};
    let admin = Admin::new(cluster);
    let mut ends = [Offset::ZERO; 2];
    for (end, spec) in ends.iter_mut().zip([OffsetSpec::Earliest, OffsetSpec::Latest]) {
        let asked = TopicPartition::new(log.topic.clone(), log.partition);
        for listed in admin.list_offsets([(asked, spec)], Isolation::default()).await?.into_values() {
            *end = listed?.offset.unwrap_or_default();
        }
    }
    Ok(ends)
}

/// Asks for what is set of that which changes.
pub(super) async fn describe(cluster: &Cluster, history: &History, plan: &TopicPlan) -> Result<(), Error> {
    let topic = plan.name.clone();
    let entries = Admin::new(cluster).describe_configs(&ConfigResource::Topic(topic.clone())).await?;
    let settings = plan.knobs.iter().map(|knob| {
        let mut entry = entries.iter().filter(|entry| entry.name == knob.name());
        let entry = entry.find(|entry| entry.source == ConfigSource::Topic);
        (knob.name(), entry.and_then(|entry| entry.value.clone()))
    });
    let settings = settings.collect();
    history.record(&Event::Described { topic, settings });
    Ok(())
}
