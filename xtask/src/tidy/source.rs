//! Rust source as far as tidy needs to know it: which bytes are code, and which code is for tests.

use std::ops::Range;

/// One `.rs` file.
#[derive(Debug)]
pub(super) struct Source {
    /// The package it belongs to.
    pub(super) package: String,
    /// Its path in the repository.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments, strings and characters blanked out; line breaks stay.
    pub(super) code: String,
    /// Parts of the text that only tests see.
    test_parts: Vec<Range<usize>>,
    /// Modules declared for tests only, whose files are test code.
    pub(super) test_modules: Vec<String>,
    /// Whether the whole file is for tests (or benchmarks or examples).
    pub(super) is_test: bool,
    pub(super) is_generated: bool,
}

impl Source {
    pub(super) fn new(package: &str, path: &str, text: String) -> Source {
        let code = blank(&text);
        let (test_parts, test_modules) = test_parts(&code);
        let folders = ["/tests/", "/benches/", "/examples/"];
        let is_test = folders.iter().any(|folder| path.contains(folder)) || path.ends_with("/tests.rs");
        let is_generated =
            path.contains("/generated/") || text.lines().take(5).any(|l| l.contains("@generated"));
        Source {
            package: package.to_owned(),
            path: path.to_owned(),
            text,
            code,
            test_parts,
            test_modules,
            is_test,
            is_generated,
        }
    }

    pub(super) fn in_test(&self, at: usize) -> bool {
        self.is_test || self.test_parts.iter().any(|part| part.contains(&at))
    }

    /// The line of a byte, counted from one.
    pub(super) fn line(&self, at: usize) -> usize {
        self.code.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }
}

/// Marks the files of modules that are declared under `#[cfg(test)]`, and what lies below them.
pub(super) fn mark_test_modules(sources: &mut [Source]) {
    let mut prefixes = Vec::new();
    for source in sources.iter() {
        let stem = source.path.trim_end_matches(".rs");
        let (folder, name) = stem.rsplit_once('/').unwrap_or(("", stem));
        let folder = if matches!(name, "mod" | "lib" | "main") { folder } else { stem };
        prefixes.extend(source.test_modules.iter().map(|module| format!("{folder}/{module}")));
    }
    for source in sources {
        source.is_test |= prefixes.iter().any(|prefix| {
            let below = source.path.strip_prefix(prefix.as_str());
            below.is_some_and(|below| below == ".rs" || below.starts_with('/'))
        });
    }
}

/// Blanks comments, strings and character literals.
pub(super) fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped(bytes, at);
        if let Some(end) = end {
            let part = code.get_mut(at..end).unwrap_or_default();
            part.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end;
        } else {
            at += 1;
            // A name is passed over as a whole: its last letter must not open a raw string.
            if bytes.get(at - 1).is_some_and(|byte| is_name(*byte)) {
                at += bytes.iter().skip(at).take_while(|byte| is_name(**byte)).count();
            }
        }
    }
    String::from_utf8(code).unwrap_or_default()
}

pub(super) fn is_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The end of the comment or literal that starts at `at`, if one does.
fn skipped(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let len = match rest {
        [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => comment_len(rest),
        [b'"', ..] => 1 + string_len(rest.get(1..)?, b'"'),
        [b'b' | b'c', b'"', ..] => 2 + string_len(rest.get(2..)?, b'"'),
        [b'b', b'\'', ..] => 2 + string_len(rest.get(2..)?, b'\''),
        [b'r', ..] => 1 + raw_len(rest.get(1..)?)?,
        [b'b' | b'c', b'r', ..] => 2 + raw_len(rest.get(2..)?)?,
        [b'\'', b'\\', ..] => 1 + string_len(rest.get(1..)?, b'\''),
        [b'\'', first, ..] => {
            // One character and a quote; otherwise it is a lifetime.
            let width = match first {
                0x00..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            (rest.get(1 + width) == Some(&b'\'')).then_some(2 + width)?
        }
        _ => return None,
    };
    Some((at + len).min(bytes.len()))
}

fn comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while let Some(pair) = rest.get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a literal's inside and its closing quote.
fn string_len(inside: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while let Some(byte) = inside.get(at) {
        at += match byte {
            b'\\' => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    inside.len()
}

/// Length of a raw string behind its `r`, if it is one.
fn raw_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
    if rest.get(hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let inside = rest.get(hashes + 1..)?;
    let end = inside.windows(close.len()).position(|window| window == close);
    Some(end.map_or(rest.len(), |end| hashes + 1 + end + close.len()))
}

/// What stands under `#[cfg(test)]`: ranges of code, and names of modules in files of their own.
fn test_parts(code: &str) -> (Vec<Range<usize>>, Vec<String>) {
    let (mut parts, mut modules) = (Vec::new(), Vec::new());
    for (start, _) in code.match_indices("#[cfg(") {
        let condition = code.get(start..).unwrap_or_default();
        let condition = condition.split(']').next().unwrap_or_default();
        let is_test = condition == "#[cfg(test)" || condition.starts_with("#[cfg(any(test") || {
            condition.starts_with("#[cfg(all(test")
        };
        if !is_test {
            continue;
        }
        let behind = start + condition.len() + 1;
        let item = code.get(behind..).unwrap_or_default();
        let end = item_end(item);
        let item = item.get(..end).unwrap_or_default();
        if let Some(name) = item.trim().strip_suffix(';').and_then(|item| item.split("mod ").nth(1)) {
            modules.push(name.trim().to_owned());
        }
        parts.push(start..behind + end);
    }
    (parts, modules)
}

/// Where the item at the start of `code` ends: behind its `;` or its closing brace.
pub(super) fn item_end(code: &str) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        let text = "let a = \"std::fs\"; // std::fs\nlet b = r#\"x\"y\"#; /* a /* b */ c */ let c = 'x'; let d: &'a str;";
        let code = blank(text);
        assert_eq!(code.len(), text.len());
        let words: Vec<&str> = code.split_whitespace().collect();
        assert_eq!(words.join(" "), "let a = ; let b = ; let c = ; let d: &'a str;");
        assert_eq!(
            blank("b'\\''x b\"\\\"\"y '\\u{1}'z '\u{e9}'w").split_whitespace().collect::<String>(),
            "xyzw"
        );
        assert_eq!(blank("for\"x\" bar\"y\"").trim_end(), "for    bar");
    }

    #[test]
    fn test_code_is_told_apart() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let source = Source::new("p", "crates/p/src/x.rs", text.to_owned());
        let at = |what: &str| text.find(what).unwrap();
        assert!(!source.in_test(at("fn a")) && source.in_test(at("fn b")));
        assert!(!source.in_test(at("fn c")) && !source.in_test(at("fn d")));
        assert_eq!(source.test_modules, ["more"]);
        assert_eq!(source.line(at("fn c")), 6);
        let file = |path: &str| Source::new("p", path, String::new());
        let mut sources = [source, file("crates/p/src/x/more.rs"), file("crates/p/src/x/moreover.rs")];
        mark_test_modules(&mut sources);
        assert_eq!(sources.map(|source| source.is_test), [false, true, false]);
        assert!(file("crates/p/src/generated/a.rs").is_generated && !file("crates/p/src/a.rs").is_generated);
        assert!(file("crates/p/tests/it.rs").is_test && file("crates/p/src/y/tests.rs").is_test);
    }
}
