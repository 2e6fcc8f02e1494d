//! What AlterConfigs and IncrementalAlterConfigs share: from resources as they travel to changes that the controller
//! decides on, and back to one answer a resource.
//!
//! Invariants:
//! * Every resource of a request is answered, in its order; one refusal does not stop the others.
//! * The configs of a resource change all together or not at all.

use std::collections::{HashMap, HashSet};

use metadata::controller::{AlterOp, ConfigChange, Decision, Refusal};
use metadata::record::{ConfigResource, ResourceKind};
use protocol::{ErrorCode, Str};

use super::Call;

/// Clients name no time for changes of configs; theirs is `request.timeout.ms`.
const PATIENCE_MS: i32 = 30_000;

/// A resource of a request.
pub(super) struct Asked {
    pub(super) resource_type: i8,
    pub(super) resource_name: Str,
    /// What is to become of its configs, or why that cannot be told.
    pub(super) ops: Result<Vec<(Str, AlterOp)>, Refusal>,
}

/// Its answer.
pub(super) struct Answered {
    pub(super) resource_type: i8,
    pub(super) resource_name: Str,
    pub(super) error_code: i16,
    pub(super) error_message: Option<Str>,
}

pub(super) fn refused<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}

/// The value of a config that is set; a config without one is deleted, not set.
pub(super) fn value(name: &Str, value: Option<Str>) -> Result<Str, Refusal> {
    match value {
        Some(value) => Ok(value.detached()),
        None => refused(format!("{name}: a value is needed")),
    }
}

/// Has the controller change the configs of all resources that can be read, by `decide`; levels of loggers are not for
/// it, but for `alter_levels`.
pub(super) async fn carry_out(
    call: &Call,
    asked: Vec<Asked>,
    alter_levels: impl Fn(&[(Str, AlterOp)]) -> Result<(), Refusal>,
    decide: impl FnOnce(&metadata::controller::Context<'_>, &[ConfigChange]) -> Decision<Vec<Result<(), Refusal>>>
    + Send
    + 'static,
) -> Vec<Answered> {
    let mut times: HashMap<(i8, Str), usize> = HashMap::with_capacity(asked.len());
    for resource in &asked {
        *times.entry((resource.resource_type, resource.resource_name.clone())).or_default() += 1;
    }
    let mut results = Vec::with_capacity(asked.len());
    let mut named = Vec::with_capacity(asked.len());
    let (mut undecided, mut changes) = (Vec::new(), Vec::new());
    for Asked { resource_type, resource_name, ops } in asked {
        let again = times.get(&(resource_type, resource_name.clone())).is_some_and(|times| *times > 1);
        let place = results.len();
        let result = if again {
            refused("each resource may be there once in a request")
        } else if resource_type == ResourceKind::BrokerLogger.id() {
            of_this_broker(call, &resource_name).and(ops).and_then(|ops| {
                once(&ops)?;
                alter_levels(&ops)
            })
        } else {
            change(call, resource_type, &resource_name, ops).map(|change| {
                undecided.push(place);
                changes.push(change);
            })
        };
        results.push(result);
        named.push((resource_type, resource_name));
    }
    if !changes.is_empty() {
        let count = changes.len();
        let decided = call.broker.decide(PATIENCE_MS, move |context| decide(context, &changes)).await;
        let decided = decided.unwrap_or_else(|code| vec![Err(Refusal::new(code, code.message())); count]);
        for (place, decided) in undecided.into_iter().zip(decided) {
            if let Some(result) = results.get_mut(place) {
                *result = decided;
            }
        }
    }
    named.into_iter().zip(results).map(|(named, result)| answered(named, result)).collect()
}

fn change(
    call: &Call,
    resource_type: i8,
    name: &Str,
    ops: Result<Vec<(Str, AlterOp)>, Refusal>,
) -> Result<ConfigChange, Refusal> {
    let Some(kind) = ResourceKind::from_id(resource_type) else {
        return refused(format!("resources of type {resource_type} have no configs"));
    };
    if kind == ResourceKind::Broker && !name.is_empty() {
        of_this_broker(call, name)?;
    }
    Ok(ConfigChange { resource: ConfigResource { kind, name: name.detached() }, ops: ops? })
}

fn of_this_broker(call: &Call, name: &Str) -> Result<(), Refusal> {
    let me = call.broker.node_id;
    if name.parse() == Ok(me.0) {
        return Ok(());
    }
    refused(format!("this is broker {me}, which does not change the configs of broker {name}"))
}

fn once(ops: &[(Str, AlterOp)]) -> Result<(), Refusal> {
    let mut seen = HashSet::with_capacity(ops.len());
    match ops.iter().find(|(name, _)| !seen.insert(name)) {
        Some((name, _)) => refused(format!("{name} is there twice in the request")),
        None => Ok(()),
    }
}

fn answered((resource_type, resource_name): (i8, Str), result: Result<(), Refusal>) -> Answered {
    let (code, message) = match result {
        Ok(()) => (ErrorCode::None, None),
        Err(refusal) => (refusal.code, Some(refusal.message.into())),
    };
    Answered { resource_type, resource_name, error_code: code.code(), error_message: message }
}
