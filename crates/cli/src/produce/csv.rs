//! CSV with a header row (RFC 4180): each row becomes a JSON object of its columns, or stays as it stands.
//!
//! A quote opens a quoted field only at the field's start, as other readers have it; a quoted field may hold line ends.

use std::io::BufRead;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::lines::Lines;
use super::source::{Bad, Source, Sourced, Template};
use super::text::too_long;

#[derive(Clone, Debug)]
pub(super) struct CsvOptions {
    pub(super) delimiter: u8,
    /// The column whose value is the key.
    pub(super) key: Option<String>,
    /// The value is the row as it stands instead of JSON.
    pub(super) raw: bool,
}

pub(super) struct Csv<R> {
    lines: Lines<R>,
    template: Template,
    options: CsvOptions,
    columns: Vec<String>,
    key: Option<usize>,
}

/// One row: its first line's number, its text, its fields.
struct Row {
    line: u64,
    text: String,
    fields: Vec<String>,
}

impl<R: BufRead> Csv<R> {
    /// Reads the header row.
    pub(super) fn new(mut lines: Lines<R>, template: Template, options: CsvOptions) -> anyhow::Result<Self> {
        let header = row(&mut lines, options.delimiter).context("cannot read the header row")?;
        let mut header = match header {
            None => bail!("the input is empty; CSV needs a header row"),
            Some(Err(bad)) => bail!("the header row cannot be read: {}", bad.reason),
            Some(Ok(header)) => header.fields,
        };
        // Some programs begin their files with a byte order mark.
        if let Some(first) = header.first_mut()
            && let Some(plain) = first.strip_prefix('\u{feff}')
        {
            *first = plain.to_owned();
        }
        let key = match &options.key {
            None => None,
            Some(name) => {
                let place = header.iter().position(|column| column == name);
                let columns = || header.join(", ");
                Some(place.with_context(|| format!("there is no column {name:?}; there are {}", columns()))?)
            }
        };
        for (place, column) in header.iter().enumerate() {
            let mut before = header.iter().take(place);
            if !options.raw && before.any(|other| other == column) {
                bail!("the header row names the column {column:?} twice; use --raw or rename one");
            }
        }
        Ok(Self { lines, template, options, columns: header, key })
    }

    fn sourced(&self, row: Row) -> Result<Sourced, Bad> {
        if row.fields.len() != self.columns.len() {
            let (have, need) = (row.fields.len(), self.columns.len());
            return Err(Bad::new(row.line, format!("the row has {have} fields, the header row {need}")));
        }
        let mut record = self.template.record();
        record.key = self.key.and_then(|place| row.fields.get(place)).map(|key| key.clone().into());
        record.value = Some(if self.options.raw {
            row.text.into()
        } else {
            let fields = row.fields.into_iter().map(Value::String);
            let object: Map<String, Value> = self.columns.iter().cloned().zip(fields).collect();
            Value::Object(object).to_string().into()
        });
        Ok(Sourced { line: row.line, record })
    }
}

impl<R: BufRead> Source for Csv<R> {
    fn next(&mut self) -> anyhow::Result<Option<Result<Sourced, Bad>>> {
        let row = row(&mut self.lines, self.options.delimiter)?;
        Ok(row.map(|row| row.and_then(|row| self.sourced(row))))
    }

    fn read(&self) -> u64 {
        self.lines.read
    }
}

/// The next row that is not empty. A quote that is never closed is an error: nobody knows where the next row begins.
fn row<R: BufRead>(lines: &mut Lines<R>, delimiter: u8) -> anyhow::Result<Option<Result<Row, Bad>>> {
    let mut parser = Parser::new(delimiter);
    let mut text: Vec<u8> = Vec::new();
    let mut first = 0;
    loop {
        let Some(line) = lines.next()? else {
            if first == 0 {
                return Ok(None);
            }
            bail!("line {first}: a quote is opened and never closed; what follows cannot be read");
        };
        if first == 0 {
            if line.bytes.is_empty() {
                continue;
            }
            first = line.number;
            if line.too_long {
                return Ok(Some(Err(too_long(first, lines.bytes_max()))));
            }
        } else {
            text.push(b'\n');
            parser.feed(b"\n");
        }
        text.extend_from_slice(&line.bytes);
        if text.len() > lines.bytes_max() {
            let max = lines.bytes_max();
            bail!(
                "line {first}: a quote is opened and not closed within {max} bytes; what follows cannot be read"
            );
        }
        parser.feed(&line.bytes);
        if !parser.is_quoted() {
            break;
        }
    }
    let fields = parser.finish();
    Ok(Some(match (fields, String::from_utf8(text)) {
        (Some(fields), Ok(text)) => Ok(Row { line: first, text, fields }),
        _ => Err(Bad::new(first, "the row is not UTF-8")),
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: the end, or the first half of a doubled quote.
    Quote,
}

/// Takes a row's bytes apart.
struct Parser {
    delimiter: u8,
    state: State,
    field: Vec<u8>,
    fields: Vec<Vec<u8>>,
}

impl Parser {
    fn new(delimiter: u8) -> Self {
        Self { delimiter, state: State::Start, field: Vec::new(), fields: Vec::new() }
    }

    fn is_quoted(&self) -> bool {
        self.state == State::Quoted
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = match (self.state, *byte) {
                (State::Start, b'"') => State::Quoted,
                (State::Quoted, b'"') => State::Quote,
                (State::Quote, b'"') => self.push(b'"', State::Quoted),
                (State::Quoted, byte) => self.push(byte, State::Quoted),
                (_, byte) if byte == self.delimiter => {
                    self.fields.push(std::mem::take(&mut self.field));
                    State::Start
                }
                (_, byte) => self.push(byte, State::Plain),
            };
        }
    }

    fn push(&mut self, byte: u8, next: State) -> State {
        self.field.push(byte);
        next
    }

    /// The fields, unless one is not UTF-8.
    fn finish(mut self) -> Option<Vec<String>> {
        self.fields.push(self.field);
        self.fields.into_iter().map(|field| String::from_utf8(field).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use protocol::Str;

    use super::*;

    fn source(input: &[u8], key: Option<&str>, raw: bool) -> anyhow::Result<Csv<std::io::Cursor<Vec<u8>>>> {
        let options = CsvOptions { delimiter: b',', key: key.map(str::to_owned), raw };
        let template = Template { topic: Str::from("t"), ..Template::default() };
        Csv::new(Lines::new(std::io::Cursor::new(input.to_vec()), 1000), template, options)
    }

    /// Keys and values of the rows; what is wrong with them behind an exclamation mark.
    fn rows(input: &[u8], key: Option<&str>, raw: bool) -> Vec<String> {
        let text = |bytes: Option<bytes::Bytes>| {
            bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let mut source = match source(input, key, raw) {
            Ok(source) => source,
            Err(error) => return vec![format!("!!{error:#}")],
        };
        let mut all = Vec::new();
        loop {
            match source.next() {
                Ok(None) => return all,
                Ok(Some(Ok(Sourced { record, .. }))) => {
                    all.push(format!("{} {}", text(record.key), text(record.value)));
                }
                Ok(Some(Err(bad))) => all.push(format!("!{}: {}", bad.line, bad.reason)),
                Err(error) => {
                    all.push(format!("!!{error:#}"));
                    return all;
                }
            }
        }
    }

    #[test]
    fn rows_become_objects_or_stay_as_they_are() {
        let input = b"\xef\xbb\xbfa,b\r\n1,x\r\n\r\n\"2\",\"say \"\"hi\"\",\nyou\"\r\n3,5\" disk";
        assert_eq!(
            rows(input, Some("a"), false),
            [
                r#"1 {"a":"1","b":"x"}"#,
                r#"2 {"a":"2","b":"say \"hi\",\nyou"}"#,
                r#"3 {"a":"3","b":"5\" disk"}"#
            ]
        );
        assert_eq!(rows(input, None, true), ["- 1,x", "- \"2\",\"say \"\"hi\"\",\nyou\"", "- 3,5\" disk"]);
    }

    #[test]
    fn bad_input_is_named() {
        for (input, expected) in [
            (&b""[..], &["!!the input is empty; CSV needs a header row"][..]),
            (b"\n\n", &["!!the input is empty; CSV needs a header row"]),
            (b"x,y\n1,2\n", &["!!there is no column \"a\"; there are x, y"]),
            (b"a,a\n1,2\n", &["!!the header row names the column \"a\" twice; use --raw or rename one"]),
            (b"\xff,a\n", &["!!the header row cannot be read: the row is not UTF-8"]),
            (
                b"a,b\n1\n2,y\n3,y,z",
                &[
                    "!2: the row has 1 fields, the header row 2",
                    r#"2 {"a":"2","b":"y"}"#,
                    "!4: the row has 3 fields, the header row 2",
                ],
            ),
            (b"a,b\n1,\xff\n2,y\n", &["!2: the row is not UTF-8", r#"2 {"a":"2","b":"y"}"#]),
            (
                b"a,b\n1,x\n2,\"y\n3,z\n",
                &[
                    r#"1 {"a":"1","b":"x"}"#,
                    "!!line 3: a quote is opened and never closed; what follows cannot be read",
                ],
            ),
        ] {
            assert_eq!(rows(input, Some("a"), false), expected, "{}", input.escape_ascii());
        }
        let long = format!("a,b\n1,{}\n2,y\n", "x".repeat(2000));
        assert_eq!(rows(long.as_bytes(), Some("a"), false).len(), 2);
        let open = format!("a,b\n1,\"{}\n{}\n", "x".repeat(800), "y".repeat(800));
        let expected =
            "!!line 2: a quote is opened and not closed within 1000 bytes; what follows cannot be read";
        assert_eq!(rows(open.as_bytes(), Some("a"), false), [expected]);
    }

    proptest! {
        /// The csv crate writes it, we read it.
        #[test]
        fn what_another_writer_quotes_is_read(table in prop::collection::vec(prop::collection::vec("[a\",\n\r x]{0,6}", 3), 1..6)) {
            // A row that is nothing but an empty line is no row, and line ends are made plain.
            let plain = |field: &String| format!(".{}", field.replace('\r', ""));
            let table: Vec<Vec<String>> = table.iter().map(|row| row.iter().map(plain).collect()).collect();
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["a", "b", "c"]).unwrap();
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let input = writer.into_inner().unwrap();
            let object = |row: &Vec<String>| {
                let fields = ["a", "b", "c"].map(str::to_owned).into_iter().zip(row.iter().cloned().map(Value::String));
                format!("- {}", Value::Object(fields.collect()))
            };
            prop_assert_eq!(rows(&input, None, false), table.iter().map(object).collect::<Vec<_>>());
        }
    }
}
