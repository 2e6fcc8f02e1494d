//! DeleteTopics.

use std::collections::BTreeMap;

use protocol::{ErrorCode, Str, TopicId};

use super::{Context, Decision, Refusal};
use crate::record::Record;

/// A topic as a request names it: by name, or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRef {
    pub name: Option<Str>,
    /// Zero for none.
    pub topic_id: TopicId,
}

impl TopicRef {
    pub fn by_name(name: impl Into<Str>) -> TopicRef {
        TopicRef { name: Some(name.into()), topic_id: TopicId::ZERO }
    }

    pub fn by_id(topic_id: TopicId) -> TopicRef {
        TopicRef { name: None, topic_id }
    }
}

/// What became of one topic; name and id as far as they are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    pub name: Option<Str>,
    pub topic_id: TopicId,
    pub result: Result<(), Refusal>,
}

/// Deletes topics. Each one that is named is answered once.
pub fn delete_topics(context: &Context<'_>, topics: &[TopicRef]) -> Decision<Vec<DeletedTopic>> {
    let mut named: BTreeMap<(Option<&Str>, TopicId), usize> = BTreeMap::new();
    let mut meant: BTreeMap<TopicId, usize> = BTreeMap::new();
    for topic in topics {
        let times = named.entry((topic.name.as_ref(), topic.topic_id)).or_default();
        *times += 1;
        if let (1, Ok((_, topic_id))) = (*times, resolve(context, topic)) {
            *meant.entry(topic_id).or_default() += 1;
        }
    }
    let mut records = Vec::new();
    let mut results = Vec::new();
    for topic in topics {
        let Some(times) = named.remove(&(topic.name.as_ref(), topic.topic_id)) else { continue };
        let decided = if !context.config.delete_topics {
            Err(Refusal::new(ErrorCode::TopicDeletionDisabled, "delete.topic.enable is false"))
        } else if times > 1 && (topic.name.is_some() || !topic.topic_id.is_zero()) {
            Err(Refusal::new(ErrorCode::InvalidRequest, "the topic is there twice in the request"))
        } else {
            resolve(context, topic).and_then(|(name, topic_id)| match meant.get(&topic_id) {
                Some(1) => Ok((name, topic_id)),
                _ => {
                    let message = "the topic is there twice in the request, by name and by id";
                    Err(Refusal::new(ErrorCode::InvalidRequest, message))
                }
            })
        };
        results.push(match decided {
            Ok((name, topic_id)) => {
                records.push(Record::RemoveTopic { topic_id });
                DeletedTopic { name: Some(name), topic_id, result: Ok(()) }
            }
            Err(refusal) => {
                DeletedTopic { name: topic.name.clone(), topic_id: topic.topic_id, result: Err(refusal) }
            }
        });
    }
    (records, results)
}

fn resolve(context: &Context<'_>, topic: &TopicRef) -> Result<(Str, TopicId), Refusal> {
    let refuse = |code, message: String| Err(Refusal::new(code, message));
    let found = match &topic.name {
        Some(_) if !topic.topic_id.is_zero() => {
            return refuse(ErrorCode::InvalidRequest, "either a name or an id, not both".to_owned());
        }
        None if topic.topic_id.is_zero() => {
            return refuse(ErrorCode::InvalidRequest, "neither a name nor an id".to_owned());
        }
        Some(name) => context.image.topic(name),
        None => context.image.topic_by_id(topic.topic_id),
    };
    match (found, &topic.name) {
        (Some(topic), _) => Ok((topic.name().clone(), topic.id())),
        (None, Some(name)) => {
            refuse(ErrorCode::UnknownTopicOrPartition, format!("there is no topic '{name}'"))
        }
        (None, None) => {
            refuse(ErrorCode::UnknownTopicId, format!("there is no topic of id {}", topic.topic_id))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, id};
    use super::*;

    fn outcome(results: &[DeletedTopic]) -> Vec<(Option<&str>, TopicId, ErrorCode)> {
        let code = |result: &DeletedTopic| {
            result.result.as_ref().err().map_or(ErrorCode::None, |refusal| refusal.code)
        };
        results.iter().map(|result| (result.name.as_deref(), result.topic_id, code(result))).collect()
    }

    #[test]
    fn topics_go_by_name_and_by_id_and_each_is_answered() {
        let mut fixture = Fixture::new();
        for (number, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
            fixture.create(name, number, 2);
        }
        let both = TopicRef { name: Some("d".into()), topic_id: id(4) };
        let (records, results) = delete_topics(
            &fixture.context(),
            &[
                TopicRef::by_name("a"),
                TopicRef::by_id(id(2)),
                TopicRef::by_name("x"),
                TopicRef::by_id(id(9)),
                TopicRef::by_name("c"),
                TopicRef::by_name("c"),
                TopicRef::by_id(TopicId::ZERO),
                both,
                TopicRef::by_id(id(4)),
                TopicRef::by_name("d"),
            ],
        );
        assert_eq!(
            outcome(&results),
            [
                (Some("a"), id(1), ErrorCode::None),
                (Some("b"), id(2), ErrorCode::None),
                (Some("x"), TopicId::ZERO, ErrorCode::UnknownTopicOrPartition),
                (None, id(9), ErrorCode::UnknownTopicId),
                (Some("c"), TopicId::ZERO, ErrorCode::InvalidRequest),
                (None, TopicId::ZERO, ErrorCode::InvalidRequest),
                (Some("d"), id(4), ErrorCode::InvalidRequest),
                (None, id(4), ErrorCode::InvalidRequest),
                (Some("d"), TopicId::ZERO, ErrorCode::InvalidRequest),
            ]
        );
        fixture.apply(&records);
        let left: Vec<_> = fixture.image.topics().map(|topic| topic.name().to_string()).collect();
        assert_eq!(left, ["c", "d"]);
    }

    #[test]
    fn deletion_may_be_turned_off() {
        let mut fixture = Fixture::with("delete.topic.enable=false");
        fixture.create("a", 1, 1);
        let (records, results) = delete_topics(&fixture.context(), &[TopicRef::by_name("a")]);
        assert_eq!(records, []);
        assert_eq!(outcome(&results), [(Some("a"), TopicId::ZERO, ErrorCode::TopicDeletionDisabled)]);
    }
}
