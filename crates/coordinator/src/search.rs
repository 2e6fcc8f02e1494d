//! [`Search`]: which topics there are for the patterns of a group. It takes long where there are many topics, so the driver has
//! it carried out elsewhere and tells the coordinator what was [`Found`].

use metadata::Image;
use protocol::Str;

use crate::consumer;

/// A search that a group asks for.
#[derive(Clone, Debug)]
pub struct Search {
    pub(crate) group: Str,
    pub(crate) patterns: Vec<Str>,
    pub(crate) image: Image,
    pub(crate) version: i64,
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    pub(crate) group: Str,
    /// Of each pattern, ascending.
    pub(crate) topics: Vec<(Str, Vec<Str>)>,
    /// Of the metadata that was searched.
    pub(crate) version: i64,
}

impl Search {
    pub fn group(&self) -> &Str {
        &self.group
    }

    /// Nothing came of it; the group will ask again.
    pub fn failed(self) -> Found {
        Found { group: self.group, topics: Vec::new(), version: self.version }
    }

    pub fn run(&self) -> Found {
        let topics = consumer::resolve(&self.patterns, &self.image);
        Found { group: self.group.clone(), topics, version: self.version }
    }
}
