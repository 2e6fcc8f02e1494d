//! Sizes of files and functions.

use super::Finding;
use super::source::{Source, is_name, item_end};

const FILE_LINES_MAX: usize = 800;
const FILE_LINES_ADVICE: usize = 400;
const FILE_LINES_MEDIAN: usize = 150;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(source: &Source) -> Vec<Finding> {
    if source.is_generated {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES_ADVICE {
        let limit = if lines > FILE_LINES_MAX { FILE_LINES_MAX } else { FILE_LINES_ADVICE };
        let what = format!("the file has {lines} lines, more than {limit}");
        let (why, fix) = ("a file holds one main type", "split it by protocol, role or state");
        let advice = lines <= FILE_LINES_MAX;
        findings.push(Finding { advice, ..Finding::new(&source.path, 1, what, why, fix) });
    }
    for (at, name, lines) in functions(&source.code) {
        if lines > FUNCTION_LINES_MAX {
            let what = format!("function {name} has {lines} lines of code, more than {FUNCTION_LINES_MAX}");
            let (why, fix) = ("a function does one thing", "give its steps names");
            findings.push(Finding::new(&source.path, source.line(at), what, why, fix));
        }
    }
    findings
}

pub(super) fn median(sources: &[Source]) -> usize {
    let written = sources.iter().filter(|source| !source.is_generated);
    let mut lines: Vec<usize> = written.map(|source| source.text.lines().count()).collect();
    lines.sort_unstable();
    lines.get(lines.len() / 2).copied().unwrap_or(0)
}

pub(super) fn check_median(sources: &[Source]) -> Option<Finding> {
    let median = median(sources);
    let what = format!("the median file has {median} lines, more than {FILE_LINES_MEDIAN}");
    let (why, fix) =
        ("small files are found and read quickly", "split the large ones by protocol, role or state");
    (median > FILE_LINES_MEDIAN)
        .then(|| Finding { advice: true, ..Finding::new("crates", 1, what, why, fix) })
}

/// Where each function starts, its name, and its lines of code from signature to closing brace.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code.as_bytes().get(at.wrapping_sub(1)).copied();
        if before.is_some_and(is_name) {
            continue;
        }
        let item = code.get(at..).unwrap_or_default();
        let behind = item.get(3..).unwrap_or_default().trim_start();
        let name_len = behind.bytes().take_while(|byte| is_name(*byte)).count();
        let name = behind.get(..name_len).unwrap_or_default();
        if name.is_empty() {
            continue;
        }
        let body = item.get(..item_end(item)).unwrap_or_default();
        found.push((at, name, body.lines().filter(|line| !line.trim().is_empty()).count()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("p", "crates/p/src/x.rs", text.to_owned())
    }

    fn whats(text: &str) -> Vec<(bool, String)> {
        check(&source(text)).into_iter().map(|finding| (finding.advice, finding.what)).collect()
    }

    #[test]
    fn long_files_are_refused_and_longish_ones_told() {
        assert_eq!(whats(&"// a\n".repeat(400)), []);
        assert_eq!(
            whats(&"// a\n".repeat(401)),
            [(true, "the file has 401 lines, more than 400".to_owned())]
        );
        assert_eq!(
            whats(&"// a\n".repeat(801)),
            [(false, "the file has 801 lines, more than 800".to_owned())]
        );
        assert_eq!(whats(&format!("// @generated\n{}", "// a\n".repeat(2_000))), []);
    }

    #[test]
    fn long_functions_are_refused() {
        let long = |lines: usize| {
            format!("fn short();\nfn long(a: [u8; 3]) {{\n{}}}\n", "    // why\n    x();\n".repeat(lines))
        };
        assert_eq!(whats(&long(68)), []);
        assert_eq!(
            whats(&long(69)),
            [(false, "function long has 71 lines of code, more than 70".to_owned())]
        );
    }

    #[test]
    fn the_median_counts_written_files_only() {
        let lines = |count: usize| source(&"x\n".repeat(count));
        assert_eq!(median(&[lines(10), lines(200), source("// @generated\n"), lines(30)]), 30);
        assert!(check_median(&[lines(151)]).is_some_and(|finding| finding.advice));
    }
}
