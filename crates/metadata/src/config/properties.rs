//! Java's properties files.
//!
//! Does not know: which names are configs.

/// A line that is not a property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    #[error("line {line}: \\u needs four hexadecimal digits, not {found:?}")]
    BadUnicodeEscape { line: usize, found: String },
    #[error("line {line}: half a surrogate pair")]
    LoneSurrogate { line: usize },
}

/// The text of a file: UTF-8, or else Latin-1, in which Java reads it, so that an old comment stops nobody.
pub fn decode_properties(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
}

/// Names and values in the order of the file; a name that is there twice keeps its last value.
///
/// Comments begin with `#` or `!`; a name ends with `=`, `:` or a space; a backslash continues the line or escapes
/// what follows, with `\t`, `\n`, `\r`, `\f` and `\uXXXX` as in Java.
pub fn parse_properties(text: &str) -> Result<Vec<(String, String)>, PropertiesError> {
    let mut found: Vec<(String, String)> = Vec::new();
    // Lines end with \n, \r or both.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').zip(1..);
    while let Some((first, line)) = lines.next() {
        let first = first.trim_start_matches(is_space);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        while continues(&whole) {
            whole.pop();
            let Some((next, _)) = lines.next() else { break };
            whole.push_str(next.trim_start_matches(is_space));
        }
        let (name, value) = split(&whole);
        let (name, value) = (unescape(name, line)?, unescape(value, line)?);
        found.retain(|(earlier, _)| *earlier != name);
        found.push((name, value));
    }
    Ok(found)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// An odd number of backslashes at the end.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    for (place, character) in line.char_indices() {
        if !escaped && (is_space(character) || matches!(character, '=' | ':')) {
            let (name, rest) = line.split_at(place);
            let rest = rest.trim_start_matches(is_space);
            let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
            return (name, value.trim_start_matches(is_space));
        }
        escaped = character == '\\' && !escaped;
    }
    (line, "")
}

fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    let push = |units: &mut Vec<u16>, character: char| {
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    };
    while let Some(character) = characters.next() {
        if character != '\\' {
            push(&mut units, character);
            continue;
        }
        match characters.next() {
            None => {}
            Some('t') => push(&mut units, '\t'),
            Some('n') => push(&mut units, '\n'),
            Some('r') => push(&mut units, '\r'),
            Some('f') => push(&mut units, '\u{c}'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                let all = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                let unit = all.then(|| u16::from_str_radix(&digits, 16).ok()).flatten();
                units.push(unit.ok_or(PropertiesError::BadUnicodeEscape { line, found: digits })?);
            }
            Some(other) => push(&mut units, other),
        }
    }
    String::from_utf16(&units).map_err(|_| PropertiesError::LoneSurrogate { line })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_read_as_java_reads_them() {
        // Checked against java.util.Properties.
        let text = "# comment\n! another = one\n\n a=1\nb : 2\nc 3\n  d\t=\te f  \ne\\ f\\=g=h\\:i\n\
                    list=one,\\\n     two,\\\n\tthree\ntext=\\u00e4\\t\\uD83D\\uDE00\\z\npath=C\\:\\\\x\nempty\n\
                    twice=1\ntwice=2\n  \\\n  joined=yes\nlast=x\\";
        let pairs = parse_properties(text).unwrap();
        let expected = [
            ("a", "1"),
            ("b", "2"),
            ("c", "3"),
            ("d", "e f  "),
            ("e f=g", "h:i"),
            ("list", "one,two,three"),
            ("text", "ä\t😀z"),
            ("path", "C:\\x"),
            ("empty", ""),
            ("twice", "2"),
            ("joined", "yes"),
            ("last", "x"),
        ];
        let pairs: Vec<(&str, &str)> =
            pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn lines_end_as_in_any_editor() {
        let expected = [("a", "12"), ("b", "3"), ("c", "4")];
        for end in ["\n", "\r\n", "\r"] {
            let text = ["a=1\\", " 2", "#\\", "b=3", "", "c=4"].join(end);
            let pairs = parse_properties(&text).unwrap();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(pairs, expected, "{end:?}");
        }
    }

    #[test]
    fn files_that_are_not_utf_8_are_latin_1() {
        assert_eq!(decode_properties("# ä\na=ö".into()), "# ä\na=ö");
        assert_eq!(decode_properties(b"# \xe4\na=\xf6".to_vec()), "# ä\na=ö");
    }

    #[test]
    fn what_java_refuses_is_refused() {
        let line_2 = |text: &str| parse_properties(&format!("a=b\n{text}")).unwrap_err();
        assert_eq!(line_2("x=\\u12"), PropertiesError::BadUnicodeEscape { line: 2, found: "12".into() });
        assert_eq!(line_2("x=\\uzzzz"), PropertiesError::BadUnicodeEscape { line: 2, found: "zzzz".into() });
        assert_eq!(line_2("x=\\ud83d"), PropertiesError::LoneSurrogate { line: 2 });
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(\\PC|[\\\\\n =:#!])*") {
            let _ = parse_properties(&text);
        }

        #[test]
        fn plain_properties_are_kept(pairs in prop::collection::btree_map("[a-z.]{1,8}", "[a-z0-9/:,=]{0,8}", 0..6)) {
            let text: String = pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            let read = parse_properties(&text).unwrap();
            prop_assert_eq!(read.into_iter().collect::<std::collections::BTreeMap<_, _>>(), pairs);
        }
    }
}
