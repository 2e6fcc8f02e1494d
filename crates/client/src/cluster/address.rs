//! Bootstrap servers as people write them.

use crate::Error;

const DEFAULT_PORT: u16 = 9092;

/// `host`, `host:port`, `[v6]:port`, also several in one text, separated by commas.
pub(super) fn parse_all(texts: &[String]) -> Result<Vec<(String, u16)>, Error> {
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty());
    let addresses = parts.map(parse).collect::<Result<Vec<_>, Error>>()?;
    if addresses.is_empty() {
        return Err(Error::Invalid("no bootstrap server is given".to_owned()));
    }
    Ok(addresses)
}

fn parse(text: &str) -> Result<(String, u16), Error> {
    let wrong = || Error::Invalid(format!("bootstrap server {text:?}: expected HOST:PORT"));
    // Kafka's listeners come with a protocol in front.
    let plain = text.strip_prefix("PLAINTEXT://").unwrap_or(text);
    let (name, port) = match plain.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (plain, None),
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let port = port.map_or(Ok(DEFAULT_PORT), str::parse).map_err(|_| wrong())?;
    if name.is_empty() || port == 0 || name.contains(['/', ' ', '[', ']']) {
        return Err(wrong());
    }
    Ok((name.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed = |text: &str| parse_all(&[text.to_owned()]).map_err(|error| error.to_string());
        let pair = |name: &str, port| (name.to_owned(), port);
        assert_eq!(parsed("a:1, b ,"), Ok(vec![pair("a", 1), pair("b", 9092)]));
        assert_eq!(parsed("[::1]:9093"), Ok(vec![pair("::1", 9093)]));
        assert_eq!(parsed("::1"), Ok(vec![pair("::1", 9092)]));
        assert_eq!(parsed("PLAINTEXT://h:1"), Ok(vec![pair("h", 1)]));
        for wrong in ["", ",", "h:", "h:x", "h:0", ":9092", "h:70000", "http://h:1"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }
}
