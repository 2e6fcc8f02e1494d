//! Paths that code must not use, in `use` items and in place.

use super::Finding;
use super::layers::{Layers, Room, Rule};
use super::source::{Source, is_name, item_end};

/// A path that occurs in a file.
#[derive(Debug, PartialEq, Eq)]
struct Used {
    path: String,
    at: usize,
}

pub(super) fn check(source: &Source, layers: &Layers) -> Vec<Finding> {
    let Some(room) = layers.rooms.get(&source.package) else { return Vec::new() };
    if room.machine {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for used in used_paths(&source.code) {
        let rules: &[&Rule] = match (source.in_test(used.at), room.pure) {
            (true, _) => &[&layers.tests],
            (false, true) => &[&layers.pure, &layers.machine],
            (false, false) => &[&layers.machine],
        };
        let broken = rules.iter().find_map(|rule| Some((*rule, forbidden(&used.path, rule, room)?)));
        if let Some((rule, path)) = broken {
            let what = format!("`{path}` is used");
            findings.push(Finding::new(&source.path, source.line(used.at), what, &rule.why, &rule.fix));
        }
    }
    findings
}

/// The forbidden path that `used` is or lies below.
fn forbidden<'a>(used: &str, rule: &'a Rule, room: &Room) -> Option<&'a str> {
    if room.allow.iter().any(|allowed| is_below(used, allowed)) {
        return None;
    }
    rule.paths.iter().map(String::as_str).find(|path| is_below(used, path))
}

fn is_below(used: &str, path: &str) -> bool {
    used.strip_prefix(path).is_some_and(|below| below.is_empty() || below.starts_with("::"))
}

/// Every path with at least two parts, `use` items spelt out.
fn used_paths(code: &str) -> Vec<Used> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !is_name(*byte) {
            at += 1;
            continue;
        }
        let path = path_at(code, at);
        if path == "use" {
            let item = code.get(at + 3..).unwrap_or_default();
            let end = item.find(';').unwrap_or_else(|| item_end(item));
            expand("", item.get(..end).unwrap_or_default(), at, &mut found);
            at += 3 + end;
        } else {
            at += path.len();
            if path.contains("::") {
                found.push(Used { path: path.to_owned(), at: at - path.len() });
            }
        }
    }
    found
}

/// The longest `a::b::c` that starts here.
fn path_at(code: &str, at: usize) -> &str {
    let rest = code.get(at..).unwrap_or_default();
    let mut end = 0;
    loop {
        let name = rest.bytes().skip(end).take_while(|byte| is_name(*byte)).count();
        end += name;
        let next = rest.get(end..).unwrap_or_default();
        let more = next.strip_prefix("::").and_then(|next| next.bytes().next()).is_some_and(is_name);
        if name == 0 || !more {
            return rest.get(..end).filter(|path| !path.is_empty()).unwrap_or(" ");
        }
        end += 2;
    }
}

/// Spells out a use tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, at: usize, found: &mut Vec<Used>) {
    let tree = tree.trim();
    let Some((head, inside)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default().trim().trim_start_matches("::");
        let name = name.strip_suffix("::*").or_else(|| name.strip_suffix("::self")).unwrap_or(name);
        let path =
            if name == "self" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{name}") };
        found.push(Used { path, at });
        return;
    };
    let prefix = format!("{prefix}{}", head.trim().trim_start_matches("::"));
    let inside = inside.strip_suffix('}').unwrap_or(inside);
    let mut depth = 0usize;
    for part in inside.split_inclusive(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    }) {
        let part = part.trim().trim_end_matches(',');
        if !part.is_empty() {
            expand(&prefix, part, at, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layers::tests::LAYERS;
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        used_paths(code).into_iter().map(|used| used.path).collect()
    }

    fn check(package: &str, text: &str) -> Vec<(usize, String)> {
        let source = Source::new(package, "crates/x/src/x.rs", text.to_owned());
        let findings = super::check(&source, &Layers::parse(LAYERS).unwrap());
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn use_trees_are_spelt_out() {
        let code =
            "use std::{fs::{self, File}, io, net::*};\npub use a::b as c;\nlet x = std::fs::read(d::E);";
        let want = ["std::fs", "std::fs::File", "std::io", "std::net", "a::b", "std::fs::read", "d::E"];
        assert_eq!(paths(code), want);
    }

    #[test]
    fn the_machine_is_reached_through_host() {
        let text = "use tokio::{io, net::TcpStream};\nfn f() { std::fs::read(\"x\"); }\nuse std::time::{Duration, Instant};";
        let nets = (1, "`tokio::net` is used".to_owned());
        let instants = (3, "`std::time::Instant` is used".to_owned());
        assert_eq!(check("high", text), [nets, instants]);
        assert_eq!(check("host", text), []);
    }

    #[test]
    fn pure_crates_have_no_files_and_no_runtime() {
        let text = "use tokio::sync::mpsc;\n// std::fs\nfn f() { std::fs::read(x) }\n#[cfg(test)]\nmod tests { use std::fs; }";
        let want = [(1, "`tokio` is used".to_owned()), (3, "`std::fs` is used".to_owned())];
        assert_eq!(check("low", text), want);
    }

    #[test]
    fn tests_do_not_sleep() {
        let text = "#[cfg(test)]\nmod tests {\n fn f() { thread::sleep(x); }\n}";
        assert_eq!(check("high", text), [(3, "`thread::sleep` is used".to_owned())]);
    }
}
