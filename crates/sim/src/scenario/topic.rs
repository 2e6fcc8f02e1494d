//! [`TopicPlan`]: a topic that is there from the beginning of a run.

use protocol::Str;

use super::Knob;
use crate::dice::Dice;

#[derive(Clone, Debug)]
pub(crate) struct TopicPlan {
    pub(crate) name: Str,
    pub(crate) partitions: i32,
    pub(crate) synced: bool,
    /// Retention takes records away from its front, at times at least.
    pub(crate) retained: bool,
    /// Of each key only the newest record is sure to stay.
    pub(crate) compacted: bool,
    /// Somebody deletes records from its front.
    pub(crate) trimmed: bool,
    /// What is changed of it in the run.
    pub(crate) knobs: Vec<Knob>,
    /// What it is made with.
    pub(crate) configs: Vec<(Str, Str)>,
}

impl TopicPlan {
    pub(super) fn draw(dice: &Dice, n: u64, retained: bool, compacted: bool) -> Self {
        let synced = dice.chance(65);
        let durability = if synced { "synced" } else { "buffered" };
        let partitions = if dice.chance(20) { 8 } else { i32::try_from(dice.between(1, 3)).unwrap_or(1) };
        let mut this = Self {
            name: text(&format!("t{n}")),
            partitions,
            synced,
            retained,
            compacted,
            trimmed: false,
            knobs: Vec::new(),
            configs: Vec::new(),
        };
        this.set("bourn.durability", durability);
        if dice.chance(50) {
            this.set("segment.ms", dice.between(200, 20_000));
        }
        if dice.chance(50) {
            this.set("segment.bytes", 1 << 20);
        }
        if dice.chance(30) {
            this.set("index.interval.bytes", dice.between(0, 4096));
        }
        if retained || compacted || dice.chance(20) {
            this = this.in_small_segments(dice);
        }
        if retained {
            this.set("file.delete.delay.ms", dice.pick(&[0, 1000]));
            if dice.chance(60) {
                this.set("retention.bytes", dice.between(1000, 200_000));
            }
            if dice.chance(60) {
                // Timestamps follow the number of records, and lag behind the clock.
                this.set("retention.ms", dice.between(1, 10_000));
            }
        }
        if compacted {
            this.set("cleanup.policy", if retained { "compact,delete" } else { "compact" });
            this.set("min.cleanable.dirty.ratio", dice.pick(&["0.01", "0.5"]));
            this.set("file.delete.delay.ms", dice.pick(&[0, 1000]));
        }
        this
    }

    /// Somebody changes configs of this topic in the run, or deletes records.
    pub(super) fn operated(mut self, dice: &Dice) -> Self {
        let trimmed = dice.chance(60);
        let knobs: Vec<Knob> = Knob::ALL.into_iter().filter(|_| dice.chance(35)).collect();
        let has = |knob| knobs.contains(&knob);
        let retained = self.retained || has(Knob::RetentionMs) || has(Knob::RetentionBytes);
        let compacted = self.compacted || has(Knob::CleanupPolicy);
        if dice.chance(70) {
            self = self.in_small_segments(dice);
            self.set("file.delete.delay.ms", dice.pick(&[0, 1000]));
            self.set("min.cleanable.dirty.ratio", dice.pick(&["0.01", "0.5"]));
        }
        Self { retained, compacted, trimmed, knobs, ..self }
    }

    /// An index that is full closes its segment: nothing else makes small ones.
    pub(super) fn in_small_segments(mut self, dice: &Dice) -> Self {
        self.set("index.interval.bytes", dice.pick(&[0, 1000]));
        self.set("segment.index.bytes", dice.between(8, 200));
        self
    }

    /// Many partitions, nothing else.
    pub(super) fn crowded(dice: &Dice) -> Self {
        let partitions = dice.pick(&[50, 200, 500, 1000]);
        let synced = dice.chance(80);
        let mut this = Self {
            name: text("t0"),
            partitions,
            synced,
            retained: false,
            compacted: false,
            trimmed: false,
            knobs: Vec::new(),
            configs: Vec::new(),
        };
        this.set("bourn.durability", if synced { "synced" } else { "buffered" });
        this
    }

    /// What is set of a config at the beginning.
    pub(crate) fn made_with(&self, name: &Str) -> Option<Str> {
        self.configs.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
    }

    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.configs.retain(|(other, _)| other.as_str() != name);
        self.configs.push((text(name), text(&value.to_string())));
    }
}

fn text(text: &str) -> Str {
    Str::from(text.to_owned())
}
