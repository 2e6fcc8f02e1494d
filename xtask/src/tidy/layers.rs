//! `layers.toml`, and the arrows between the crates.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use toml::{Table, Value};

use super::{Finding, Package};

/// Paths that some code must not use.
#[derive(Debug, Default)]
pub(super) struct Rule {
    pub(super) why: String,
    pub(super) fix: String,
    pub(super) paths: Vec<String>,
    dependencies: Vec<String>,
}

/// What one crate may do.
#[derive(Debug, Default)]
pub(super) struct Room {
    uses: BTreeSet<String>,
    pub(super) pure: bool,
    /// The one that reaches the machine itself.
    pub(super) machine: bool,
    /// A workspace of its own, with versions and lints of its own.
    outside: bool,
    pub(super) allow: BTreeSet<String>,
}

#[derive(Debug)]
pub(super) struct Layers {
    pub(super) pure: Rule,
    pub(super) machine: Rule,
    pub(super) tests: Rule,
    pub(super) rooms: BTreeMap<String, Room>,
}

impl Layers {
    pub(super) fn parse(text: &str) -> anyhow::Result<Layers> {
        let table: Table = text.parse()?;
        let section =
            |name: &str| table.get(name).and_then(Value::as_table).with_context(|| format!("no [{name}]"));
        let rules = section("rules")?;
        let rule =
            |name: &str| rules.get(name).map(parse_rule).with_context(|| format!("no [rules.{name}]"))?;
        let rooms = section("crates")?.iter().map(|(name, room)| {
            let room = parse_room(room).with_context(|| format!("[crates.{name}]"))?;
            Ok((name.clone(), room))
        });
        Ok(Layers {
            pure: rule("pure")?,
            machine: rule("machine")?,
            tests: rule("tests")?,
            rooms: rooms.collect::<anyhow::Result<_>>()?,
        })
    }

    /// The manifests against the arrows.
    pub(super) fn check(&self, packages: &[Package]) -> Vec<Finding> {
        let ours: BTreeSet<&str> = packages.iter().map(|package| package.name.as_str()).collect();
        let mut findings = Vec::new();
        for package in packages {
            let path = format!("{}/Cargo.toml", package.folder);
            let finding = |what: String, why: &str, fix: &str| Finding::new(&path, 1, what, why, fix);
            if !self.rooms.get(&package.name).is_some_and(|room| room.outside) {
                findings.extend(workspace_rules(package, &path));
            }
            let Some(room) = self.rooms.get(&package.name) else {
                let what = format!("crate {} has no place in layers.toml", package.name);
                findings.push(finding(what, "nobody knows what it may use", "add it, with its arrows"));
                continue;
            };
            for (dependency, _) in dependencies(&package.manifest, &["dependencies", "build-dependencies"]) {
                if ours.contains(dependency.as_str()) && !room.uses.contains(&dependency) {
                    let what = format!("{} depends on {dependency}", package.name);
                    findings.push(finding(
                        what,
                        "the arrows of layers.toml do not allow it",
                        "turn the arrow round",
                    ));
                }
                if room.pure && self.pure.dependencies.contains(&dependency) {
                    let what = format!("pure crate {} depends on {dependency}", package.name);
                    findings.push(finding(what, &self.pure.why, &self.pure.fix));
                }
            }
        }
        findings
    }
}

/// One version of everything, one set of lints.
fn workspace_rules(package: &Package, path: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let inherits = |value: Option<&Value>| {
        value.and_then(|value| value.get("workspace")).and_then(Value::as_bool).unwrap_or(false)
    };
    for (name, value) in
        dependencies(&package.manifest, &["dependencies", "build-dependencies", "dev-dependencies"])
    {
        // A crate may take itself with other features for its tests.
        if !inherits(Some(value)) && name != package.name {
            findings.push(Finding::new(
                path,
                1,
                format!("dependency {name} has a version of its own"),
                "the workspace has one version of everything",
                "put it into [workspace.dependencies] and write `workspace = true` here",
            ));
        }
    }
    if !inherits(package.manifest.get("lints")) {
        let (why, fix) =
            ("unsafe code and the like are forbidden everywhere", "add `[lints] workspace = true`");
        findings.push(Finding::new(path, 1, "the workspace's lints are not taken over", why, fix));
    }
    findings
}

/// The dependencies of some kinds, those for one platform only included.
fn dependencies<'a>(manifest: &'a Table, kinds: &[&str]) -> Vec<(String, &'a Value)> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let tables = std::iter::once(manifest).chain(platforms.filter_map(|(_, table)| table.as_table()));
    let mut found = Vec::new();
    for table in tables {
        for kind in kinds {
            let entries = table.get(*kind).and_then(Value::as_table).into_iter().flatten();
            found.extend(entries.map(|(name, value)| {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
                (package.to_owned(), value)
            }));
        }
    }
    found
}

fn parse_rule(value: &Value) -> anyhow::Result<Rule> {
    let text =
        |key: &str| value.get(key).and_then(Value::as_str).with_context(|| format!("a rule without {key}"));
    Ok(Rule {
        why: text("why")?.to_owned(),
        fix: text("fix")?.to_owned(),
        paths: strings(value.get("paths"))?,
        dependencies: strings(value.get("dependencies"))?,
    })
}

fn parse_room(value: &Value) -> anyhow::Result<Room> {
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
    let allow = value.get("allow").and_then(Value::as_table).into_iter().flatten();
    let allow = allow.map(|(path, reason)| {
        anyhow::ensure!(
            reason.as_str().is_some_and(|reason| !reason.is_empty()),
            "`{path}` is allowed without a reason"
        );
        Ok(path.clone())
    });
    Ok(Room {
        uses: strings(Some(value.get("uses").context("no `uses`")?))?.into_iter().collect(),
        pure: flag("pure"),
        machine: flag("machine"),
        outside: flag("outside"),
        allow: allow.collect::<anyhow::Result<_>>()?,
    })
}

fn strings(value: Option<&Value>) -> anyhow::Result<Vec<String>> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let list = value.as_array().context("a list is expected")?;
    list.iter()
        .map(|item| item.as_str().map(str::to_owned).context("a list of strings is expected"))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const LAYERS: &str = r#"
        [rules.pure]
        why = "pure"
        fix = "pass it in"
        paths = ["tokio", "std::fs"]
        dependencies = ["tokio"]
        [rules.machine]
        why = "host only"
        fix = "use host"
        paths = ["std::fs", "std::time::Instant", "tokio::net"]
        [rules.tests]
        why = "slow"
        fix = "wait"
        paths = ["thread::sleep"]
        [crates.low]
        uses = []
        pure = true
        [crates.host]
        uses = []
        machine = true
        [crates.high]
        uses = ["low"]
        [crates.high.allow]
        "std::fs" = "users' files"
        [crates.elsewhere]
        uses = []
        outside = true
    "#;

    fn package(name: &str, manifest: &str) -> Package {
        let manifest = format!("{manifest}\n[lints]\nworkspace = true\n");
        Package {
            name: name.to_owned(),
            folder: format!("crates/{name}"),
            manifest: manifest.parse().unwrap(),
        }
    }

    fn check(packages: &[Package]) -> Vec<String> {
        let layers = Layers::parse(LAYERS).unwrap();
        layers.check(packages).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn arrows_point_down() {
        let high = "[dependencies]\nlow.workspace = true";
        let low = "[dev-dependencies]\nhigh.workspace = true";
        assert_eq!(check(&[package("high", high), package("low", low)]), [""; 0]);
        let low = "[dependencies]\nhigh.workspace = true";
        assert_eq!(check(&[package("high", ""), package("low", low)]), ["low depends on high"]);
        assert_eq!(check(&[package("new", "")]), ["crate new has no place in layers.toml"]);
    }

    #[test]
    fn pure_crates_have_no_runtime() {
        let low = "[target.'cfg(unix)'.dependencies]\ntokio.workspace = true";
        assert_eq!(check(&[package("low", low)]), ["pure crate low depends on tokio"]);
    }

    #[test]
    fn versions_stand_in_one_place() {
        let high = "[dependencies]\nbytes = \"1\"\n[dev-dependencies]\nlow = { workspace = true }\nhigh = { path = \".\" }";
        assert_eq!(check(&[package("high", high)]), ["dependency bytes has a version of its own"]);
        assert_eq!(check(&[package("elsewhere", high)]), [""; 0]);
        let low = "[dependencies]\nlow = { path = \"../low\" }";
        assert_eq!(check(&[package("low", ""), package("elsewhere", low)]), ["elsewhere depends on low"]);
    }

    #[test]
    fn allowing_needs_a_reason() {
        let text = LAYERS.replace("users' files", "");
        let error = Layers::parse(&text).unwrap_err();
        assert!(format!("{error:#}").contains("allowed without a reason"), "{error:#}");
    }
}
