//! Configs from environment variables, by the mapping of Kafka's Docker image: `KAFKA_LOG_RETENTION_MS` is
//! `log.retention.ms`; `_` stands for a dot, `__` for an underscore and `___` for a hyphen.
//!
//! Does not know: the environment itself.

use super::{PropertiesError, parse_properties};

const PREFIX: &str = "KAFKA_";

/// What the image and Kafka's scripts use for themselves.
const NOT_CONFIGS: [&str; 16] = [
    "KAFKA_CLUSTER_ID",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_LOG4J_CONFIG_FILE",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_VERSION",
];

/// A variable whose value is not what a line of a properties file may hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct EnvironmentError {
    pub variable: String,
    pub problem: PropertiesError,
}

/// The configs among environment variables, by name.
///
/// A value is read as if it stood in a properties file, as in the image: a backslash escapes what follows. Where
/// `advertised.listeners` is set and `listeners` is not, `listeners` are the same on every interface.
pub fn from_environment<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut configs = Vec::new();
    for (variable, value) in variables {
        let Some(rest) = variable.strip_prefix(PREFIX) else { continue };
        if NOT_CONFIGS.contains(&variable) || is_of_kubernetes(rest, value) {
            continue;
        }
        let name = config_name(rest);
        let read = parse_properties(&format!("name={value}"));
        let read = read.map_err(|problem| EnvironmentError { variable: variable.to_owned(), problem })?;
        let value = read.into_iter().find(|(name, _)| name == "name").map(|(_, value)| value);
        configs.push((name, value.unwrap_or_default()));
    }
    configs.sort();
    if let Some(listeners) = derived_listeners(&configs) {
        configs.retain(|(name, _)| name != "listeners");
        configs.push(("listeners".to_owned(), listeners));
    }
    Ok(configs)
}

fn config_name(variable: &str) -> String {
    variable.to_lowercase().replace('_', ".").replace("...", "-").replace("..", "_")
}

/// Kubernetes tells every pod about a service called `kafka` by variables such as `KAFKA_PORT=tcp://10.0.0.1:9092`.
fn is_of_kubernetes(rest: &str, value: &str) -> bool {
    let behind_port = rest.strip_prefix("PORT_").unwrap_or_default();
    rest.starts_with("SERVICE_")
        || (rest == "PORT" && value.contains("://"))
        || behind_port.starts_with(|first: char| first.is_ascii_digit())
}

/// The script in front of the image replaces the hosts of what is advertised.
fn derived_listeners(configs: &[(String, String)]) -> Option<String> {
    let of = |wanted: &str| {
        let value = configs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    };
    let advertised = of("advertised.listeners")?;
    if of("listeners").is_some() || of("process.roles") == Some("controller") {
        return None;
    }
    let everywhere = |element: &str| {
        let (name, address) = element.split_once("://")?;
        let (_, port) = address.rsplit_once(':')?;
        Some(format!("{name}://0.0.0.0:{port}"))
    };
    // What cannot be read is left for the check of listeners to name.
    let listeners =
        advertised.split(',').map(|element| everywhere(element).unwrap_or_else(|| element.to_owned()));
    Some(listeners.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        from_environment(variables.iter().copied()).unwrap()
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], expected: &[(&str, &str)]) {
        let configs = configs(variables);
        let configs: Vec<_> = configs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(configs, expected);
    }

    #[test]
    fn names_are_mapped_as_in_the_docker_image() {
        for (variable, name) in [
            ("KAFKA_LOG_RETENTION_MS", "log.retention.ms"),
            ("KAFKA_ABC_DEF", "abc.def"),
            ("KAFKA_ABC___DEF", "abc-def"),
            ("KAFKA_ABC__DEF", "abc_def"),
            ("KAFKA_A____B", "a-.b"),
            (
                "KAFKA_LISTENER_NAME_MY___LISTENER_MAX_CONNECTIONS",
                "listener.name.my-listener.max.connections",
            ),
            ("KAFKA_BOURN_DURABILITY", "bourn.durability"),
            ("KAFKA_KAFKA_METRICS_REPORTERS", "kafka.metrics.reporters"),
            ("KAFKA_PORT", "port"),
        ] {
            check(&[(variable, "1")], &[(name, "1")]);
        }
        check(&[("LOG_DIRS", "x"), ("MY_KAFKA_LOG_DIRS", "x"), ("kafka_log_dirs", "x")], &[]);
    }

    #[test]
    fn what_scripts_and_kubernetes_set_is_no_config() {
        for variable in NOT_CONFIGS {
            check(&[(variable, "x")], &[]);
        }
        check(
            &[
                ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
                ("KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
                ("KAFKA_SERVICE_HOST", "10.0.0.1"),
                ("KAFKA_SERVICE_PORT_CLIENTS", "9092"),
            ],
            &[],
        );
    }

    #[test]
    fn values_are_those_of_a_properties_file() {
        check(&[("KAFKA_A", " b\\\\c\\u00e4 ")], &[("a", "b\\cä ")]);
        check(&[("KAFKA_A", "")], &[("a", "")]);
        check(&[("KAFKA_A", "b=c:d")], &[("a", "b=c:d")]);
        check(&[("KAFKA_A", "1\\\n 2\nother=3")], &[("a", "12")]);
        let error = from_environment([("KAFKA_A", "\\u12")]).unwrap_err();
        assert_eq!(error.to_string(), "KAFKA_A: line 1: \\u needs four hexadecimal digits, not \"12\"");
    }

    #[test]
    fn listeners_follow_what_is_advertised() {
        let advertised = ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:9092,MINE://[::1]:19092");
        let told = ("advertised.listeners", "PLAINTEXT://kafka:9092,MINE://[::1]:19092");
        check(&[advertised], &[told, ("listeners", "PLAINTEXT://0.0.0.0:9092,MINE://0.0.0.0:19092")]);
        check(
            &[advertised, ("KAFKA_LISTENERS", "")],
            &[told, ("listeners", "PLAINTEXT://0.0.0.0:9092,MINE://0.0.0.0:19092")],
        );
        check(&[advertised, ("KAFKA_LISTENERS", "PLAINTEXT://:1")], &[told, ("listeners", "PLAINTEXT://:1")]);
        check(&[advertised, ("KAFKA_PROCESS_ROLES", "controller")], &[told, ("process.roles", "controller")]);
    }
}
