//! `bourn topic`: one module a subcommand.

mod alter;
mod create;
mod delete;
mod delete_records;
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
    /// Change configs and the number of partitions
    Alter(alter::Alter),
    /// Delete topics and everything in them
    Delete(delete::Delete),
    /// Delete records from the beginnings of the partitions of a topic
    DeleteRecords(delete_records::DeleteRecords),
}

impl Topic {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(globals),
            Self::List(list) => list.run(globals),
            Self::Describe(describe) => describe.run(globals),
            Self::Alter(alter) => alter.run(globals),
            Self::DeleteRecords(delete) => delete.run(globals),
            Self::Delete(delete) => delete.run(globals),
        }
    }
}
