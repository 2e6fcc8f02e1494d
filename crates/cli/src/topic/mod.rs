//! `bourn topic`: one module a subcommand.

mod create;
mod delete;
mod describe;
mod list;

pub(crate) use create::name_value;

use crate::context::Globals;

#[derive(clap::Subcommand)]
pub(crate) enum Topic {
    /// Create topics
    Create(create::Create),
    /// List the topics
    List(list::List),
    /// Show partitions, replicas and configs of topics
    Describe(describe::Describe),
    /// Delete topics and everything in them
    Delete(delete::Delete),
}

impl Topic {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(globals),
            Self::List(list) => list.run(globals),
            Self::Describe(describe) => describe.run(globals),
            Self::Delete(delete) => delete.run(globals),
        }
    }
}
