//! How files open, what tests do not do, and what no file says.

use super::Finding;
use super::source::Source;

pub(super) fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let opens = source.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("// "));
    let documented = opens.is_some_and(|line| line.starts_with("//!"));
    if !documented && !source.is_test && !source.is_generated {
        let (why, fix) = ("a module says what it owns and what it does not know", "open it with `//!`");
        findings.push(Finding::new(&source.path, 1, "the file has no module documentation", why, fix));
    }
    for (at, _) in source.code.match_indices("#[ignore") {
        let (why, fix) = ("a test that does not run proves nothing", "make it run, or delete it");
        findings.push(Finding::new(&source.path, source.line(at), "a test is ignored", why, fix));
    }
    findings
}

/// Folders of somebody's machine and hosts of registries, in pieces, so that this file does not hold them.
fn private_words() -> impl Iterator<Item = (String, &'static str)> {
    let folders =
        ["work", "root", "home"].into_iter().map(|name| (format!("/{name}/"), "a path of this machine"));
    let hosts = [
        ["index.crates", "io"],
        ["static.crates", "io"],
        ["pypi", "org"],
        ["files.pythonhosted", "org"],
        ["registry.npmjs", "org"],
        ["repo1.maven", "org"],
        ["repo.maven.apache", "org"],
        ["proxy.golang", "org"],
        ["deb.debian", "org"],
    ];
    folders.chain(hosts.into_iter().map(|parts| (parts.join("."), "a registry's host")))
}

/// Any tracked text, not only Rust.
pub(super) fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (word, kind) in private_words() {
        for (at, _) in text.match_indices(&word) {
            // Inside a longer path or address it is somebody else's folder.
            let before = text.as_bytes().get(at.wrapping_sub(1)).copied().unwrap_or(b' ');
            if before.is_ascii_alphanumeric() || b"-_.~}*".contains(&before) {
                continue;
            }
            let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
            let (why, fix) =
                ("the repository works on every machine", "name the package, or a relative path");
            findings.push(Finding::new(path, line, format!("{word} is {kind}"), why, fix));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(text: &str) -> Vec<String> {
        let source = Source::new("p", "crates/p/src/x.rs", text.to_owned());
        check_source(&source).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn modules_are_documented() {
        assert_eq!(whats("//! What it owns.\nfn a() {}"), [""; 0]);
        assert_eq!(whats("fn a() {}"), ["the file has no module documentation"]);
        assert_eq!(whats("// @generated\nfn a() {}"), [""; 0]);
    }

    #[test]
    fn tests_run() {
        let ignored = format!("//! Doc.\n#[test]\n#[{}]\nfn a() {{}}", "ignore");
        assert_eq!(whats(&ignored), ["a test is ignored"]);
        assert_eq!(whats("//! Doc, not #[ignore].\nconst A: &str = \"#[ignore]\";"), [""; 0]);
    }

    #[test]
    fn private_folders_and_registries_are_found() {
        let lines =
            |text: &str| check_text("README.md", text).into_iter().map(|f| f.line).collect::<Vec<_>>();
        let folder = |before: &str| format!("ok\n{before}/{}/x", "home");
        assert_eq!(lines(&folder("see ")), [2]);
        assert_eq!(lines(&folder("=")), [2]);
        assert!(lines(&folder("$HOME")).is_empty());
        assert!(lines(&folder("example.com")).is_empty());
        assert_eq!(lines(&format!("a\nb\nhttps:/{}/{}.org/simple", "", "pypi")), [3]);
    }
}
