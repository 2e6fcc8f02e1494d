//! `listeners`, `advertised.listeners` and the protocols they speak.

use std::collections::BTreeSet;
use std::fmt;

use crate::record::SecurityProtocol;

/// One `NAME://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    /// Empty for every interface.
    pub host: String,
    /// 0 for any that is free.
    pub port: u16,
    pub protocol: SecurityProtocol,
}

impl Endpoint {
    /// Whether it stands for every interface, so that it cannot be told to a client as it is.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.name, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.name, self.host, self.port),
        }
    }
}

/// What is wrong with a list of listeners.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    #[error("{config}: {text:?} is not NAME://host:port")]
    Malformed { config: &'static str, text: String },
    #[error("{config}: the name {name} is there twice")]
    NameTwice { config: &'static str, name: String },
    #[error("{config}: port {port} is there twice")]
    PortTwice { config: &'static str, port: u16 },
    #[error(
        "{config}: nothing says what {name} speaks; add {name}:PLAINTEXT or another protocol to listener.security.protocol.map"
    )]
    NoProtocol { config: &'static str, name: String },
    #[error(
        "listener.security.protocol.map: {text:?} is not NAME:PROTOCOL; protocols are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
    )]
    MalformedMap { text: String },
    #[error("advertised.listeners: {name} is not one of listeners")]
    NotListening { name: String },
    #[error("advertised.listeners: clients cannot connect to {host}; name an address of this machine")]
    Unroutable { host: String },
    #[error("{config}: {name} is not one of listeners")]
    UnknownName { config: &'static str, name: String },
}

/// The protocol of each listener name.
pub(super) fn protocol_map(text: &str) -> Result<Vec<(String, SecurityProtocol)>, ListenerError> {
    super::value::elements(text)
        .into_iter()
        .map(|element| {
            let pair = element.split_once(':').map(|(name, protocol)| (name.trim(), protocol.trim()));
            let pair = pair.and_then(|(name, protocol)| {
                Some((name.to_ascii_uppercase(), SecurityProtocol::from_name(protocol)?))
            });
            pair.filter(|(name, _)| !name.is_empty()).ok_or(ListenerError::MalformedMap { text: element })
        })
        .collect()
}

/// The endpoints that `elements` name. A name in `plain` speaks PLAINTEXT if the map does not know it.
pub fn parse_listeners(
    config: &'static str,
    elements: &[String],
    protocols: &[(String, SecurityProtocol)],
    plain: &[String],
) -> Result<Vec<Endpoint>, ListenerError> {
    let mut names = BTreeSet::new();
    elements
        .iter()
        .map(|text| {
            let (name, host, port) =
                split(text).ok_or_else(|| ListenerError::Malformed { config, text: text.clone() })?;
            let name = name.to_ascii_uppercase();
            let known =
                protocols.iter().find(|(listener, _)| *listener == name).map(|(_, protocol)| *protocol);
            let assumed = plain.contains(&name).then_some(SecurityProtocol::Plaintext);
            let protocol =
                known.or(assumed).ok_or_else(|| ListenerError::NoProtocol { config, name: name.clone() })?;
            if !names.insert(name.clone()) {
                return Err(ListenerError::NameTwice { config, name });
            }
            Ok(Endpoint { name, host: host.to_owned(), port, protocol })
        })
        .collect()
}

/// Two listeners on one port are a mistake, unless it is one of IPv4 and one of IPv6 (KIP-797), or any free port.
pub(super) fn check_ports(config: &'static str, endpoints: &[Endpoint]) -> Result<(), ListenerError> {
    for (place, endpoint) in endpoints.iter().enumerate() {
        let twin = endpoints.iter().take(place).find(|other| {
            // An empty host is every interface of both.
            let families = [other, endpoint].iter().all(|endpoint| !endpoint.host.is_empty())
                && other.host.contains(':') != endpoint.host.contains(':');
            other.port == endpoint.port && endpoint.port != 0 && !families
        });
        if let Some(twin) = twin {
            return Err(ListenerError::PortTwice { config, port: twin.port });
        }
    }
    Ok(())
}

fn split(text: &str) -> Option<(&str, &str, u16)> {
    let (name, address) = text.trim().split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let good =
        |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    let good_host = host.chars().all(|letter| letter.is_alphanumeric() || "-_.:%".contains(letter));
    (!name.is_empty() && good(name) && good_host).then_some(())?;
    Some((name, host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Endpoint>, ListenerError> {
        let map = protocol_map("PLAINTEXT:PLAINTEXT,INTERNAL:SASL_SSL,OTHER:ssl").unwrap();
        parse_listeners("listeners", &super::super::value::elements(text), &map, &["CONTROLLER".into()])
    }

    #[test]
    fn endpoints_are_read_and_written() {
        for (text, shown) in [
            ("PLAINTEXT://:9092", "PLAINTEXT://:9092"),
            ("plaintext://localhost:0", "PLAINTEXT://localhost:0"),
            ("INTERNAL://[::1]:19092", "INTERNAL://[::1]:19092"),
            ("CONTROLLER://0.0.0.0:9093", "CONTROLLER://0.0.0.0:9093"),
        ] {
            let endpoints = parse(text).unwrap();
            assert_eq!(endpoints[0].to_string(), shown);
        }
        let two = parse("PLAINTEXT://:9092,  OTHER://b.example:9093").unwrap();
        assert_eq!(two[1].protocol, SecurityProtocol::Ssl);
        assert!(two[0].is_wildcard() && !two[1].is_wildcard());
    }

    #[test]
    fn what_is_not_an_endpoint_is_named() {
        for bad in [
            "9092",
            "PLAINTEXT:9092",
            "PLAINTEXT://x",
            "PLAINTEXT://x:70000",
            "PLAINTEXT://::1:9092",
            "://x:1",
        ] {
            assert!(matches!(parse(bad), Err(ListenerError::Malformed { .. })), "{bad}");
        }
        assert!(matches!(parse("MINE://x:1"), Err(ListenerError::NoProtocol { .. })));
        assert!(matches!(parse("OTHER://x:1,other://y:2"), Err(ListenerError::NameTwice { .. })));
        assert!(matches!(protocol_map("A:B"), Err(ListenerError::MalformedMap { .. })));
        let twice = parse("PLAINTEXT://:9092,OTHER://:9092").unwrap();
        assert_eq!(
            check_ports("listeners", &twice),
            Err(ListenerError::PortTwice { config: "listeners", port: 9092 })
        );
        let families = parse("PLAINTEXT://127.0.0.1:9092,OTHER://[::1]:9092").unwrap();
        assert_eq!(check_ports("listeners", &families), Ok(()));
    }
}
