//! Names: Kafka's spelling into Rust's, and which fields must not be shown.

/// Fields whose value never appears in `Debug`: message or struct, and field.
const SENSITIVE: &[(&str, &str)] = &[
    ("SaslAuthenticateRequest", "AuthBytes"),
    ("SaslAuthenticateResponse", "AuthBytes"),
    ("CreateDelegationTokenResponse", "Hmac"),
    ("RenewDelegationTokenRequest", "Hmac"),
    ("ExpireDelegationTokenRequest", "Hmac"),
    ("DescribedDelegationToken", "Hmac"),
    ("ScramCredentialUpsertion", "Salt"),
    ("ScramCredentialUpsertion", "SaltedPassword"),
    // Configs may be passwords, and only the server knows which are.
    ("AlterableConfig", "Value"),
    ("EnvelopeRequest", "RequestData"),
    ("EnvelopeRequest", "RequestPrincipal"),
    ("EnvelopeResponse", "ResponseData"),
];

const KEYWORDS: &[&str] = &["type", "match", "ref", "move", "loop", "where", "use", "mod", "in", "for"];

/// `path` ends with the struct that holds the field.
pub(super) fn is_sensitive(path: &[String], field: &str) -> bool {
    let holder = path.last().map_or("", String::as_str);
    SENSITIVE.contains(&(holder, field))
}

/// Every field of the list was met: a renamed one must not slip through.
pub(super) fn sensitive_count() -> usize {
    SENSITIVE.len()
}

pub(super) fn snake_case(name: &str) -> String {
    let name = name.replace("KRaft", "Kraft");
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (place, character) in characters.iter().enumerate() {
        if character.is_ascii_uppercase() {
            let previous = place.checked_sub(1).and_then(|place| characters.get(place));
            let next = characters.get(place + 1);
            let after_word = previous.is_some_and(|previous| !previous.is_ascii_uppercase());
            let before_word = previous.is_some() && next.is_some_and(|next| next.is_ascii_lowercase());
            if after_word || before_word {
                snake.push('_');
            }
        }
        snake.push(character.to_ascii_lowercase());
    }
    if KEYWORDS.contains(&snake.as_str()) { format!("r#{snake}") } else { snake }
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn names_become_snake_case() {
        for (name, snake) in [
            ("ThrottleTimeMs", "throttle_time_ms"),
            ("KRaftVersionFeature", "kraft_version_feature"),
            ("Type", "r#type"),
            ("ISRNodes", "isr_nodes"),
            ("name", "name"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
