//! A config that was changed stays changed, whatever is lost.

use super::Check;
use super::settings::Known;
use crate::event::Event;
use crate::scenario::Scenario;

#[derive(Debug, Default)]
pub(super) struct Configs(Known);

impl Check for Configs {
    fn invariant(&self) -> &'static str {
        "a config that was changed stays changed"
    }

    fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        self.0.see(event, scenario)
    }
}
