//! `${provider:path:key}` in values, as Kafka's config providers replace them (KIP-297, KIP-421).
//!
//! Invariants, Kafka's own:
//! - only providers that `config.providers` names are asked; a reference to another one stays as it is, and so does
//!   one whose key nobody has;
//! - what is put in is not looked through again.
//!
//! Does not know: files and the environment themselves ([`Outside`] does).

use std::path::{Component, Path, PathBuf};

use regex::Regex;

use super::value::elements;
use super::{Note, StaticConfig, parse_properties};

/// What lies outside the configs.
pub trait Outside {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The contents of a file; `None` if there is none.
    fn text(&self, path: &Path) -> Result<Option<String>, String>;
}

/// Why references could not be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    #[error(
        "config.providers.{name}.class: {class} does not run here; there are EnvVarConfigProvider, FileConfigProvider and \
         DirectoryConfigProvider of org.apache.kafka.common.config.provider"
    )]
    Class { name: String, class: String },
    #[error("config.providers.{name}.param.allowlist.pattern: {pattern:?} is no regular expression")]
    Pattern { name: String, pattern: String },
    #[error("config.providers.{name}.param.allowed.paths: {path:?} is not an absolute path")]
    AllowedPath { name: String, path: String },
    #[error("{config}: {reference} has a path, and environment variables have none")]
    EnvironmentPath { config: String, reference: String },
    #[error("{config}: {reference} cannot be read: {reason}")]
    Unreadable { config: String, reference: String, reason: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Environment,
    File,
    Directory,
}

const PACKAGE: &str = "org.apache.kafka.common.config.provider.";

#[derive(Debug)]
struct Provider {
    name: String,
    kind: Kind,
    /// Which variables may be read; everything without.
    pattern: Option<Regex>,
    /// Where files may lie; anywhere without.
    allowed: Vec<PathBuf>,
}

impl StaticConfig {
    /// Replaces the references in all values. The notes name those that nobody could replace.
    pub fn replace_references(&mut self, outside: &dyn Outside) -> Result<Vec<Note>, Vec<ProviderError>> {
        let (mut errors, mut notes, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
        let providers = providers(self, &mut errors);
        for (name, text) in self.iter().filter(|(_, text)| text.contains("${")) {
            if providers.is_empty() {
                break;
            }
            match replace(&providers, name, text, outside) {
                Ok((value, left)) => {
                    notes.extend(left.into_iter().map(|reference| {
                        let name = name.to_owned();
                        Note::Unresolved { name, reference: reference.to_owned() }
                    }));
                    replaced.push((name.to_owned(), value));
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        for (name, value) in replaced {
            self.set(name, value);
        }
        Ok(notes)
    }
}

/// A provider without a class is passed over, as in Kafka.
fn providers(statics: &StaticConfig, errors: &mut Vec<ProviderError>) -> Vec<Provider> {
    let mut providers = Vec::new();
    for name in elements(statics.get("config.providers").unwrap_or_default()) {
        let of = |what: &str| statics.get(&format!("config.providers.{name}.{what}")).map(str::trim);
        let Some(class) = of("class") else { continue };
        let kind = match class.strip_prefix(PACKAGE) {
            Some("EnvVarConfigProvider") => Kind::Environment,
            Some("FileConfigProvider") => Kind::File,
            Some("DirectoryConfigProvider") => Kind::Directory,
            _ => {
                errors.push(ProviderError::Class { name: name.clone(), class: class.to_owned() });
                continue;
            }
        };
        let pattern = of("param.allowlist.pattern");
        let regex = pattern.and_then(|pattern| Regex::new(&format!("^(?:{pattern})$")).ok());
        if let (Some(pattern), None) = (pattern, &regex) {
            errors.push(ProviderError::Pattern { name: name.clone(), pattern: pattern.to_owned() });
        }
        let mut allowed = Vec::new();
        for path in elements(of("param.allowed.paths").unwrap_or_default()) {
            match Path::new(&path).is_absolute() {
                true => allowed.push(normal(Path::new(&path))),
                false => errors.push(ProviderError::AllowedPath { name: name.clone(), path }),
            }
        }
        providers.push(Provider { name, kind, pattern: regex, allowed });
    }
    providers
}

/// A reference as it stands in a value.
#[derive(Clone, Copy, Debug)]
struct Reference<'a> {
    whole: &'a str,
    provider: &'a str,
    path: &'a str,
    key: &'a str,
}

/// The text in front of the first reference, the reference, and the text behind it.
fn first_reference(text: &str) -> Option<(&str, Reference<'_>, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find("${")?;
        let inner = text.get(start + 2..)?;
        let (inner, behind) = inner.split_at_checked(inner.find('}')?)?;
        let Some((provider, rest)) = inner.split_once(':') else {
            from = start + 2;
            continue;
        };
        let (path, key) = rest.split_once(':').unwrap_or(("", rest));
        let whole = text.get(start..start + inner.len() + 3)?;
        return Some((text.get(..start)?, Reference { whole, provider, path, key }, behind.get(1..)?));
    }
}

/// The value, and the references that are left in it.
fn replace<'a>(
    providers: &[Provider],
    config: &str,
    text: &'a str,
    outside: &dyn Outside,
) -> Result<(String, Vec<&'a str>), ProviderError> {
    let (mut value, mut unknown, mut left) = (String::new(), Vec::new(), text);
    while let Some((before, reference, behind)) = first_reference(left) {
        value.push_str(before);
        let provider = providers.iter().find(|provider| provider.name == reference.provider);
        let found =
            provider.map(|provider| provider.find(config, &reference, outside)).transpose()?.flatten();
        match found {
            Some(found) => value.push_str(&found),
            None => {
                unknown.push(reference.whole);
                value.push_str(reference.whole);
            }
        }
        left = behind;
    }
    value.push_str(left);
    Ok((value, unknown))
}

impl Provider {
    fn find(
        &self,
        config: &str,
        reference: &Reference<'_>,
        outside: &dyn Outside,
    ) -> Result<Option<String>, ProviderError> {
        let (config, whole) = (config.to_owned(), reference.whole.to_owned());
        let unreadable =
            |reason| ProviderError::Unreadable { config: config.clone(), reference: whole.clone(), reason };
        let path = &self.path(reference.path);
        match self.kind {
            Kind::Environment if !reference.path.is_empty() => {
                Err(ProviderError::EnvironmentPath { config, reference: whole })
            }
            Kind::Environment
                if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(reference.key)) =>
            {
                Ok(None)
            }
            Kind::Environment => Ok(outside.variable(reference.key)),
            Kind::File | Kind::Directory if reference.path.is_empty() || !self.allows(path) => Ok(None),
            Kind::File => {
                let text = outside.text(path).map_err(&unreadable)?;
                let text = text.ok_or_else(|| unreadable(format!("{} is not there", path.display())))?;
                let pairs = parse_properties(&text).map_err(|error| unreadable(error.to_string()))?;
                Ok(pairs.into_iter().find(|(key, _)| key == reference.key).map(|(_, value)| value))
            }
            // A name of a file in it, not a way out of it.
            Kind::Directory
                if Path::new(reference.key).components().count() != 1 || reference.key == ".." =>
            {
                Ok(None)
            }
            Kind::Directory => outside.text(&path.join(reference.key)).map_err(unreadable),
        }
    }

    /// Where somebody limits what may be read, no `..` leads out of it.
    fn path(&self, path: &str) -> PathBuf {
        if self.allowed.is_empty() { PathBuf::from(path) } else { normal(Path::new(path)) }
    }

    fn allows(&self, path: &Path) -> bool {
        self.allowed.is_empty() || self.allowed.iter().any(|allowed| path.starts_with(allowed))
    }
}

/// The path without `.` and `..`, by its text alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(normal.components().next_back(), Some(Component::Normal(_))) => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Files and variables by name; a name that ends with a slash is a directory.
    struct Fake(BTreeMap<&'static str, &'static str>);

    impl Outside for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }

        fn text(&self, path: &Path) -> Result<Option<String>, String> {
            match path.to_str() {
                Some("/locked") => Err("permission denied".to_owned()),
                name => Ok(name.and_then(|name| self.variable(name))),
            }
        }
    }

    const PROVIDERS: &str = "config.providers=env,file,dir,none\n\
        config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n\
        config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
        config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider\n";

    fn outside() -> Fake {
        Fake(BTreeMap::from([
            ("HOST", "example.org"),
            ("NESTED", "${env:HOST}"),
            ("/etc/secrets.properties", "password = a\\u00e4:b\nport: 9093\n"),
            ("/run/secrets/token", "t0ken\n"),
            ("/etc/passwd", "root"),
        ]))
    }

    fn replaced(more: &str, value: &str) -> (String, Vec<String>) {
        let mut statics = StaticConfig::from_properties(&format!("{PROVIDERS}{more}x={value}\n")).unwrap();
        let notes = statics.replace_references(&outside()).unwrap();
        (statics.get("x").unwrap().to_owned(), notes.iter().map(ToString::to_string).collect())
    }

    fn errors(more: &str) -> Vec<String> {
        let mut statics = StaticConfig::from_properties(&format!("{PROVIDERS}{more}")).unwrap();
        let before = statics.clone();
        let errors = statics.replace_references(&outside()).unwrap_err();
        assert_eq!(statics, before, "nothing is half done");
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn references_are_replaced_as_kafka_does() {
        for (value, expected) in [
            ("PLAINTEXT://${env:HOST}:${file:/etc/secrets.properties:port}", "PLAINTEXT://example.org:9093"),
            ("${file:/etc/secrets.properties:password}", "aä:b"),
            ("<${dir:/run/secrets:token}>", "<t0ken\n>"),
            ("${env:NESTED}", "${env:HOST}"),
            ("plain $ {text} }${", "plain $ {text} }${"),
            ("${HOST}${env:HOST}", "${HOST}example.org"),
        ] {
            assert_eq!(replaced("", value), (expected.to_owned(), vec![]), "{value}");
        }
    }

    #[test]
    fn what_nobody_has_stays_and_is_named() {
        for value in [
            "${env:NOBODY}",
            "${other:x}",
            "${none:x}",
            "${file::x}",
            "${file:/etc/secrets.properties:nothing}",
            "${dir:/run/secrets:nothing}",
            "${dir:/run/secrets:../../etc/passwd}",
            "${dir:/run/secrets:..}",
        ] {
            let note = format!("x: nobody has a value for {value}, so it stays as it is");
            assert_eq!(replaced("", value), (value.to_owned(), vec![note]));
        }
        let mut statics = StaticConfig::from_properties("x=${env:HOST}").unwrap();
        assert_eq!(statics.replace_references(&outside()), Ok(vec![]), "without providers it is plain text");
    }

    #[test]
    fn what_may_be_read_can_be_limited() {
        let paths = "config.providers.file.param.allowed.paths=/etc/my,/etc/./secrets.properties\n";
        assert_eq!(replaced(paths, "${file:/etc/secrets.properties:port}").0, "9093");
        assert_eq!(replaced(paths, "${file:/etc/x/../secrets.properties:port}").0, "9093");
        let paths = "config.providers.dir.param.allowed.paths=/run/secret\n";
        for value in ["${dir:/run/secrets:token}", "${dir:/run/secret/../secrets:token}"] {
            assert_eq!(replaced(paths, value).0, value);
        }
        let pattern = |text: &str| format!("config.providers.env.param.allowlist.pattern={text}\n");
        for (allowed, text) in [
            (true, "HO.T"),
            (true, ".*"),
            (true, "H.*"),
            (true, ".*OST"),
            (true, "(HOST|PORT)"),
            (false, "HOS"),
            (false, "X.*"),
        ] {
            assert_eq!(replaced(&pattern(text), "${env:HOST}").0 == "example.org", allowed, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_at_once() {
        assert_eq!(
            errors(
                "config.providers.none.class=com.example.Vault\n\
                 config.providers.env.param.allowlist.pattern=(A|B\n\
                 config.providers.dir.param.allowed.paths=secrets\n\
                 a=${env:path:HOST}\nb=${file:/nothing:x}\nc=${file:/locked:x}\n"
            ),
            [
                "config.providers.env.param.allowlist.pattern: \"(A|B\" is no regular expression",
                "config.providers.dir.param.allowed.paths: \"secrets\" is not an absolute path",
                "config.providers.none.class: com.example.Vault does not run here; there are EnvVarConfigProvider, \
                 FileConfigProvider and DirectoryConfigProvider of org.apache.kafka.common.config.provider",
                "a: ${env:path:HOST} has a path, and environment variables have none",
                "b: ${file:/nothing:x} cannot be read: /nothing is not there",
                "c: ${file:/locked:x} cannot be read: permission denied",
            ]
        );
    }
}
