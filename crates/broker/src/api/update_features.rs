//! UpdateFeatures (57): finalizes the levels of features (KIP-584, KIP-778, KIP-1022).

use std::ops::RangeInclusive;

use metadata::controller::{self, Refusal, UpgradeType};
use protocol::Str;
use protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use protocol::messages::update_features_response::{UpdatableFeatureResult, UpdateFeaturesResponse};

use super::{Call, Handler, Protest};

/// Requests name the way a level may go from this version on; before, they allow to go down or not.
const NAMES_TYPE: i16 = 1;
/// One error for all features from this version on; before, one each.
const ONE_ERROR: i16 = 2;

pub(crate) struct UpdateFeatures;

impl Handler for UpdateFeatures {
    type Request = UpdateFeaturesRequest;

    const ADVERTISED: RangeInclusive<i16> = 0..=2;

    async fn handle(
        call: Call,
        request: UpdateFeaturesRequest,
    ) -> Result<Option<UpdateFeaturesResponse>, Protest> {
        let version = call.version;
        let validate_only = request.validate_only;
        let names: Vec<Str> =
            request.feature_updates.iter().map(|update| update.feature.detached()).collect();
        let updates: Vec<_> =
            request.feature_updates.into_iter().map(|asked| update(version, asked)).collect();
        let decided = call
            .broker
            .decide(request.timeout_ms, move |context| {
                controller::update_features(context.image, &updates, validate_only)
            })
            .await;
        let result = decided.unwrap_or_else(|code| Err(Refusal::new(code, code.message())));
        let (code, message) = match result {
            Ok(()) => (0, None),
            Err(refusal) => (refusal.code.code(), Some(Str::from(refusal.message))),
        };
        let each = |feature: Str| UpdatableFeatureResult {
            feature,
            error_code: code,
            error_message: message.clone(),
        };
        let results = if version < ONE_ERROR { names.into_iter().map(each).collect() } else { Vec::new() };
        Ok(Some(UpdateFeaturesResponse {
            error_code: code,
            error_message: message,
            results,
            ..Default::default()
        }))
    }
}

fn update(version: i16, asked: FeatureUpdateKey) -> controller::FeatureUpdate {
    let upgrade_type = match (version < NAMES_TYPE, asked.allow_downgrade) {
        (true, true) => Some(UpgradeType::SafeDowngrade),
        (true, false) => Some(UpgradeType::Upgrade),
        (false, _) => UpgradeType::from_id(asked.upgrade_type),
    };
    controller::FeatureUpdate { name: asked.feature, level: asked.max_version_level, upgrade_type }
}
