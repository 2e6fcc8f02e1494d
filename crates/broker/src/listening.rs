//! The listeners of a node: bound before anything else, and what clients are told of each.
//!
//! Invariants:
//! * Whoever asks for encryption or authentication does not get a listener without.
//! * What is told can be connected to: a real port, and a name for "every interface".

use std::net::SocketAddr;

use host::{Host, Listener};
use metadata::config::{BrokerConfig, Endpoint};
use metadata::record::SecurityProtocol;

use crate::node::StartError;

/// A listener with its port, and what clients are told of it.
pub(crate) struct Bound {
    pub(crate) name: String,
    pub(crate) listener: Box<dyn Listener>,
    pub(crate) advertised: Endpoint,
}

pub(crate) async fn bind(host: &Host, config: &BrokerConfig) -> Result<Vec<Bound>, StartError> {
    let mut bound = Vec::with_capacity(config.listeners.len());
    if !config.is_broker {
        return Err(StartError::NotABroker);
    }
    check_protocols(&config.listeners)?;
    for (listener, advertised) in config.listeners.iter().zip(&config.advertised_listeners) {
        let bind = host.net.listen(&listener.host, listener.port).await;
        let found = bind.map_err(|error| StartError::Listen { listener: listener.to_string(), error })?;
        bound.push(Bound {
            name: listener.name.clone(),
            advertised: reachable(advertised, found.local_addr()),
            listener: found,
        });
    }
    Ok(bound)
}

/// Whoever asks for encryption or authentication must not get a listener without.
fn check_protocols(listeners: &[Endpoint]) -> Result<(), StartError> {
    let other = listeners.iter().find(|listener| listener.protocol != SecurityProtocol::Plaintext);
    other.map_or(Ok(()), |listener| {
        Err(StartError::Protocol { listener: listener.to_string(), protocol: listener.protocol })
    })
}

/// What clients are told: the port that was found for 0, and a host they can reach for "every interface".
fn reachable(advertised: &Endpoint, local: SocketAddr) -> Endpoint {
    let port = if advertised.port == 0 { local.port() } else { advertised.port };
    // Kafka takes the machine's canonical name, which is a matter of luck; who binds every interface and is not on
    // this machine sets advertised.listeners.
    let host = if advertised.is_wildcard() { "localhost".to_owned() } else { advertised.host.clone() };
    Endpoint { host, port, ..advertised.clone() }
}

#[cfg(test)]
mod tests {
    use metadata::config::StaticConfig;

    use super::*;

    #[test]
    fn a_listener_that_is_to_be_secure_is_never_served_in_the_clear() {
        for (name, accepted) in
            [("PLAINTEXT", true), ("SSL", false), ("SASL_PLAINTEXT", false), ("SASL_SSL", false)]
        {
            let text = format!(
                "listeners=PLAINTEXT://127.0.0.1:1,MINE://127.0.0.1:2\n\
                listener.security.protocol.map=PLAINTEXT:PLAINTEXT,MINE:{name}\n"
            );
            let statics = StaticConfig::from_properties(&text).unwrap();
            let (config, _) = BrokerConfig::load(&statics).unwrap();
            let checked = check_protocols(&config.listeners).map_err(|error| error.to_string());
            assert_eq!(checked.is_ok(), accepted, "{checked:?}");
            assert!(
                checked.err().is_none_or(|text| text.contains("MINE://127.0.0.1:2") && text.contains(name))
            );
        }
    }
}
