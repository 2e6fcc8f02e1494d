//! Subscriptions by pattern: RE2 expressions, as KIP-848 has them, over the names of topics.
//!
//! Owns: RE2's syntax ([`syntax`]), and which topics match ([`resolve`]).
//!
//! Invariants:
//! * What [`check`] accepts can be resolved, in time that grows with the names and not with what the expression says.
//! * A pattern matches a whole name or not at all. Names are ASCII, and no more is distinguished.

mod class;
mod syntax;

use metadata::Image;
use protocol::Str;
use regex::Regex;

pub(crate) use syntax::Invalid;

/// Whether a client may subscribe by this expression.
pub(crate) fn check(pattern: &str) -> Result<(), Invalid> {
    syntax::translate(pattern).map(|_| ())
}

/// The names of the topics that each pattern matches, in order. Takes long when there are many; no coordinator waits for it.
pub(crate) fn resolve(patterns: &[Str], image: &Image) -> Vec<(Str, Vec<Str>)> {
    let compiled = patterns.iter().map(|pattern| compile(pattern));
    let compiled: Vec<Option<Regex>> = compiled.collect();
    let mut resolved: Vec<(Str, Vec<Str>)> =
        patterns.iter().map(|pattern| (pattern.clone(), Vec::new())).collect();
    for topic in image.topics() {
        for (regex, (_, topics)) in compiled.iter().zip(&mut resolved) {
            if regex.as_ref().is_some_and(|regex| regex.is_match(topic.name())) {
                topics.push(topic.name().clone());
            }
        }
    }
    resolved
}

/// `None`: nothing matches what is not an expression; a log may hold one that was accepted by another version.
fn compile(pattern: &str) -> Option<Regex> {
    let translated = syntax::translate(pattern).ok()?;
    let whole = format!("\\A(?:{translated})\\z");
    regex::RegexBuilder::new(&whole).unicode(false).build().ok()
}

#[cfg(test)]
mod tests;
