//! [`From`]: the values of `--from`.

use std::str::FromStr;

use client::Start;
use protocol::Offset;

use crate::time::parse_iso;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct From(Start);

impl From {
    pub(crate) fn start(self) -> Start {
        self.0
    }
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let start = match text {
            "earliest" | "beginning" => Some(Start::Earliest),
            "latest" | "end" => Some(Start::Latest),
            _ => number(text).or_else(|| parse_iso(text).map(Start::Timestamp)),
        };
        start.map(Self).ok_or_else(|| {
            "expected earliest, latest, an offset, -N, a time as 2026-11-23T14:05Z, or @MILLISECONDS"
                .to_owned()
        })
    }
}

fn number(text: &str) -> Option<Start> {
    let parse = |digits: &str| -> Option<i64> {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    if let Some(ms) = text.strip_prefix('@') {
        return parse(ms).map(Start::Timestamp);
    }
    match text.strip_prefix('-') {
        Some(count) => parse(count).map(Start::Tail),
        None => parse(text).map(|offset| Start::Offset(Offset(offset))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        for (text, start) in [
            ("earliest", Some(Start::Earliest)),
            ("latest", Some(Start::Latest)),
            ("17", Some(Start::Offset(Offset(17)))),
            ("-5", Some(Start::Tail(5))),
            ("@1700000000000", Some(Start::Timestamp(1_700_000_000_000))),
            ("1970-01-02", Some(Start::Timestamp(86_400_000))),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("@", None),
            ("soon", None),
        ] {
            assert_eq!(text.parse::<From>().ok().map(From::start), start, "{text}");
        }
    }
}
