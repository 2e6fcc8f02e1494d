//! [`Known`]: what the configs of topics are, as far as that can be known outside the broker.
//!
//! Invariants: a change that was answered is the value from then on. One that was not may take effect later, for as
//! long as the process lives that it may have reached; after that it has, or never will.

use std::collections::BTreeMap;

use protocol::Str;

use crate::event::{Event, Settings};
use crate::scenario::{Knob, Scenario, TopicPlan};

type Value = Option<Str>;

#[derive(Debug, Default)]
struct Setting {
    value: Value,
    /// What was asked for without an answer, and in which life of the broker.
    open: Vec<(u64, Value)>,
    changes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    settings: BTreeMap<(Str, Str), Setting>,
    life: u64,
}

impl Known {
    pub(super) fn see(&mut self, event: &Event, scenario: &Scenario) -> Result<(), String> {
        match event {
            Event::Down { .. } => self.life += 1,
            Event::AlterBegins { topic, settings } => {
                let life = self.life;
                self.each(scenario, topic, settings, |setting, value| {
                    setting.open.push((life, value.clone()));
                    setting.changes += 1;
                    Ok(())
                })?;
            }
            Event::Altered { topic, settings } => {
                let life = self.life;
                self.each(scenario, topic, settings, |setting, value| {
                    // The latest is the one that is answered.
                    setting.open.pop();
                    setting.open.retain(|(of, _)| *of == life);
                    setting.value.clone_from(value);
                    Ok(())
                })?;
            }
            Event::Described { topic, settings } => {
                let life = self.life;
                self.each(scenario, topic, settings, |setting, value| setting.observe(value, life))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn each(
        &mut self,
        scenario: &Scenario,
        topic: &Str,
        settings: &Settings,
        mut change: impl FnMut(&mut Setting, &Value) -> Result<(), String>,
    ) -> Result<(), String> {
        for (name, value) in settings {
            let setting = self.settings.entry((topic.clone(), name.clone())).or_insert_with(|| {
                let plan = scenario.topic(topic);
                Setting { value: plan.and_then(|plan| plan.made_with(name)), ..Setting::default() }
            });
            change(setting, value).map_err(|what| format!("{topic}: {name} {what}"))?;
        }
        Ok(())
    }

    /// The value, and how often it may have changed before; `None` if it cannot be known.
    pub(super) fn certain(&self, plan: &TopicPlan, knob: Knob) -> Option<(Value, u64)> {
        match self.settings.get(&(plan.name.clone(), knob.name())) {
            None => Some((plan.made_with(&knob.name()), 0)),
            Some(setting) if setting.open.is_empty() => Some((setting.value.clone(), setting.changes)),
            Some(_) => None,
        }
    }
}

impl Setting {
    fn observe(&mut self, value: &Value, life: u64) -> Result<(), String> {
        let is_possible = self.value == *value || self.open.iter().any(|(_, open)| open == value);
        if !is_possible {
            return Err(format!(
                "is {value:?}, and was set to {:?}; not answered: {:?}",
                self.value, self.open
            ));
        }
        if self.open.iter().all(|(of, _)| *of != life) {
            self.open.clear();
            self.value.clone_from(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Setback;

    fn setting(value: &str) -> (Str, Settings) {
        let value = (value != "-").then(|| Str::from(value.to_owned()));
        (Str::from("t"), vec![(Str::from("retention.ms"), value)])
    }

    /// Words: `?5` asks for 5, `!5` says that the latest that was asked for is done, `=5` finds 5, `x` ends the broker.
    fn follow(words: &str) -> Result<(), String> {
        let sim = host::sim::Sim::new(1);
        let dice = crate::dice::Dice::of(&sim.node("dice", host::sim::NodeOptions::default()));
        let scenario = Scenario::draw(&dice, None);
        let mut known = Known::default();
        words.split_whitespace().try_for_each(|word| {
            let (topic, settings) = setting(word.get(1..).unwrap_or_default());
            let event = match word.get(..1) {
                Some("?") => Event::AlterBegins { topic, settings },
                Some("!") => Event::Altered { topic, settings },
                Some("=") => Event::Described { topic, settings },
                _ => Event::Down { setback: Setback::Unsynced },
            };
            known.see(&event, &scenario)
        })
    }

    #[test]
    fn a_change_without_an_answer_may_come_late_but_not_after_the_process() {
        for (words, holds) in [
            ("=-", true),
            ("=5", false),
            ("?5 !5 =5", true),
            ("?5 !5 x =5", true),
            ("?5 !5 =-", false),
            ("?5 !5 x =-", false),
            ("?5 =- =5 =5", true),
            ("?5 =5 =-", true),
            ("?5 x =- =5", false),
            ("?5 x =5 =-", false),
            ("?5 ?7 !7 =5 =7", true),
            ("?5 x ?7 !7 =5", false),
        ] {
            assert_eq!(follow(words).is_ok(), holds, "{words}");
        }
    }
}
