//! Which names topics may have.

use protocol::ErrorCode;

use super::Refusal;

/// So that a partition's directory stays below the 255 bytes that file systems allow.
const NAME_BYTES_MAX: usize = 249;

/// The topic of Kafka's own metadata log; ours is no topic, and none may pose as one.
pub(super) const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Whether a topic may be called `name`.
pub fn is_valid_topic_name(name: &str) -> bool {
    check_topic_name(name).is_ok()
}

/// Refuses names that no topic may have, and says why.
pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
    let why = if name.is_empty() {
        "it is empty".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' stands for a directory")
    } else if name.len() > NAME_BYTES_MAX {
        format!("it has {} characters, more than {NAME_BYTES_MAX}", name.chars().count())
    } else if let Some(bad) = name.chars().find(|letter| !is_legal(*letter)) {
        format!("'{name}' has {bad:?} in it; letters, digits, '.', '_' and '-' of ASCII are allowed")
    } else {
        return Ok(());
    };
    Err(Refusal::new(ErrorCode::InvalidTopic, format!("the topic name is not valid: {why}")))
}

fn is_legal(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged() {
        let long = "x".repeat(249);
        for good in ["a", "A-b_c.9", "...", "-", "_", long.as_str()] {
            assert!(is_valid_topic_name(good), "{good}");
        }
        for (bad, why) in [
            ("", "it is empty"),
            (".", "'.' stands for a directory"),
            ("..", "'..' stands for a directory"),
            ("a b", "'a b' has ' ' in it; letters, digits, '.', '_' and '-' of ASCII are allowed"),
            ("a/../b", "'a/../b' has '/' in it; letters, digits, '.', '_' and '-' of ASCII are allowed"),
            ("ä", "'ä' has 'ä' in it; letters, digits, '.', '_' and '-' of ASCII are allowed"),
            ("a\0", "'a\0' has '\\0' in it; letters, digits, '.', '_' and '-' of ASCII are allowed"),
        ] {
            let refusal = check_topic_name(bad).unwrap_err();
            assert_eq!(refusal.code, ErrorCode::InvalidTopic);
            assert_eq!(refusal.message, format!("the topic name is not valid: {why}"));
        }
        let refusal = check_topic_name(&"x".repeat(250)).unwrap_err();
        assert!(refusal.message.ends_with("it has 250 characters, more than 249"));
    }
}
