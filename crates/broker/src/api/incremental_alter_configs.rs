//! IncrementalAlterConfigs (44): sets, deletes, appends to and subtracts from single configs (KIP-339).

use std::ops::RangeInclusive;

use metadata::controller::{self, AlterOp, Refusal};
use protocol::Str;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};

use super::config_changes::{Answered, Asked, carry_out, refused, value};
use super::{Call, Handler, Protest};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=1;

    async fn handle(
        call: Call,
        request: IncrementalAlterConfigsRequest,
    ) -> Result<Option<IncrementalAlterConfigsResponse>, Protest> {
        let validate_only = request.validate_only;
        let asked = request.resources.into_iter().map(asked).collect();
        let alter_levels = |ops: &[(Str, AlterOp)]| call.broker.loggers.alter(ops, validate_only);
        let answers = carry_out(&call, asked, alter_levels, move |context, changes| {
            controller::incremental_alter_configs(context, changes, validate_only)
        });
        let responses = answers.await.into_iter().map(response).collect();
        Ok(Some(IncrementalAlterConfigsResponse { responses, ..Default::default() }))
    }
}

fn asked(resource: AlterConfigsResource) -> Asked {
    Asked {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        ops: resource.configs.into_iter().map(op).collect(),
    }
}

fn op(config: AlterableConfig) -> Result<(Str, AlterOp), Refusal> {
    let name = config.name.detached();
    let op = match config.config_operation {
        SET => AlterOp::Set(value(&name, config.value)?),
        DELETE => AlterOp::Delete,
        APPEND => AlterOp::Append(value(&name, config.value)?),
        SUBTRACT => AlterOp::Subtract(value(&name, config.value)?),
        other => return refused(format!("{name}: operation {other} is not known")),
    };
    Ok((name, op))
}

fn response(answer: Answered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: answer.error_code,
        error_message: answer.error_message,
        resource_type: answer.resource_type,
        resource_name: answer.resource_name,
    }
}
