//! [`TopicPlan`]: a topic that is there from the beginning of a run.

use protocol::Str;

use crate::dice::Dice;

#[derive(Clone, Debug)]
pub(crate) struct TopicPlan {
    pub(crate) name: Str,
    pub(crate) partitions: i32,
    pub(crate) synced: bool,
    /// Retention takes records away from its front.
    pub(crate) retained: bool,
    /// Of each key only the newest record is sure to stay.
    pub(crate) compacted: bool,
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
            // An index that is full closes its segment: nothing else makes small ones.
            this.set("index.interval.bytes", dice.pick(&[0, 1000]));
            this.set("segment.index.bytes", dice.between(8, 200));
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

    /// Many partitions, nothing else.
    pub(super) fn crowded(dice: &Dice) -> Self {
        let partitions = dice.pick(&[50, 200, 500, 1000]);
        let synced = dice.chance(80);
        let (name, configs) = (text("t0"), Vec::new());
        let mut this = Self { name, partitions, synced, retained: false, compacted: false, configs };
        this.set("bourn.durability", if synced { "synced" } else { "buffered" });
        this
    }

    fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        self.configs.retain(|(other, _)| other.as_str() != name);
        self.configs.push((text(name), text(&value.to_string())));
    }
}

fn text(text: &str) -> Str {
    Str::from(text.to_owned())
}
