//! AlterConfigs (33): replaces all configs of resources (KIP-133). Newer clients send IncrementalAlterConfigs.

use std::ops::RangeInclusive;

use metadata::controller::{self, AlterOp};
use protocol::messages::alter_configs_request::{AlterConfigsRequest, AlterConfigsResource};
use protocol::messages::alter_configs_response::{AlterConfigsResourceResponse, AlterConfigsResponse};

use super::config_changes::{Answered, Asked, carry_out, refused, value};
use super::{Call, Handler, Protest};

pub(crate) struct AlterConfigs;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: AlterConfigsRequest,
    ) -> Result<Option<AlterConfigsResponse>, Protest> {
        let validate_only = request.validate_only;
        let asked = request.resources.into_iter().map(asked).collect();
        let not_here = |_: &[_]| refused("levels of loggers are changed by IncrementalAlterConfigs only");
        let answers = carry_out(&call, asked, not_here, move |context, changes| {
            controller::alter_configs(context, changes, validate_only)
        });
        let responses = answers.await.into_iter().map(response).collect();
        Ok(Some(AlterConfigsResponse { responses, ..Default::default() }))
    }
}

fn asked(resource: AlterConfigsResource) -> Asked {
    let op = |config: protocol::messages::alter_configs_request::AlterableConfig| {
        let name = config.name.detached();
        value(&name, config.value).map(|value| (name, AlterOp::Set(value)))
    };
    Asked {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name,
        ops: resource.configs.into_iter().map(op).collect(),
    }
}

fn response(answer: Answered) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code: answer.error_code,
        error_message: answer.error_message,
        resource_type: answer.resource_type,
        resource_name: answer.resource_name,
    }
}
