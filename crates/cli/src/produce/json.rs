//! JSON lines. A line is a record's value; or an object with nothing but `key`, `value`, `headers`, `partition`,
//! `timestamp` (and what else `bourn consume` writes), which is the whole record.

use std::io::BufRead;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use client::{Header, ProducerRecord};
use protocol::Str;
use serde_json::{Map, Value};

use super::lines::Lines;
use super::source::{Bad, Source, Sourced, Template};
use super::text::too_long;

pub(super) struct Json<R> {
    lines: Lines<R>,
    template: Template,
}

/// Fields of a whole record. `topic` and `offset` are what `bourn consume` has added; they are not used.
const FIELDS: [&str; 9] =
    ["key", "key_base64", "value", "value_base64", "headers", "partition", "timestamp", "topic", "offset"];

impl<R: BufRead> Json<R> {
    pub(super) fn new(lines: Lines<R>, template: Template) -> Self {
        Self { lines, template }
    }

    fn record(&self, line: &[u8]) -> Result<ProducerRecord, String> {
        let mut record = self.template.record();
        let value: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
        match value {
            Value::Object(fields) if is_whole(&fields) => whole(fields, &mut record)?,
            // As it stands: digits and order of fields are the user's.
            _ => record.value = Some(Bytes::copy_from_slice(line.trim_ascii())),
        }
        Ok(record)
    }
}

fn is_whole(fields: &Map<String, Value>) -> bool {
    let has = |name: &str| fields.contains_key(name);
    (has("value") || has("value_base64")) && fields.keys().all(|name| FIELDS.contains(&name.as_str()))
}

fn whole(mut fields: Map<String, Value>, record: &mut ProducerRecord) -> Result<(), String> {
    record.key = contents("key", fields.remove("key"), fields.remove("key_base64"))?;
    record.value = contents("value", fields.remove("value"), fields.remove("value_base64"))?;
    match fields.remove("partition") {
        None | Some(Value::Null) => {}
        Some(value) => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            record.partition = Some(number.ok_or_else(|| format!("partition {value} is no partition"))?);
        }
    }
    match fields.remove("timestamp") {
        None | Some(Value::Null) => {}
        Some(value) => {
            let text = || format!("timestamp {value}: expected milliseconds since 1970");
            record.timestamp = Some(value.as_i64().ok_or_else(text)?);
        }
    }
    match fields.remove("headers") {
        None | Some(Value::Null) => Ok(()),
        Some(value) => headers(value, record),
    }
}

/// Text as it is, null as null, anything else as JSON.
fn contents(name: &str, plain: Option<Value>, encoded: Option<Value>) -> Result<Option<Bytes>, String> {
    match (plain, encoded) {
        (Some(Value::Null) | None, None) => Ok(None),
        (Some(Value::String(text)), None) => Ok(Some(Bytes::from(text))),
        (Some(other), None) => Ok(Some(Bytes::from(other.to_string()))),
        (None, Some(Value::String(text))) => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) => Err(format!("{name}_base64: {error}")),
        },
        (None, Some(_)) => Err(format!("{name}_base64 must be text")),
        (Some(_), Some(_)) => Err(format!("{name} and {name}_base64 exclude each other")),
    }
}

/// `{"a": "1"}` or, where a name may come twice, `[{"key": "a", "value": "1"}]`.
fn headers(value: Value, record: &mut ProducerRecord) -> Result<(), String> {
    const EXPECTED: &str = "headers: expected an object, or an array of {\"key\", \"value\"}";
    let mut add = |key: &str, value| -> Result<(), String> {
        record.headers.push(Header { key: Str::from(key), value });
        Ok(())
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                add(&key, contents(&key, Some(value), None)?)?;
            }
        }
        Value::Array(items) => {
            for item in items {
                let Value::Object(mut fields) = item else { return Err(EXPECTED.to_owned()) };
                let Some(Value::String(key)) = fields.remove("key") else { return Err(EXPECTED.to_owned()) };
                let value = contents("value", fields.remove("value"), fields.remove("value_base64"))?;
                add(&key, value)?;
            }
        }
        _ => return Err(EXPECTED.to_owned()),
    }
    Ok(())
}

impl<R: BufRead> Source for Json<R> {
    fn next(&mut self) -> anyhow::Result<Option<Result<Sourced, Bad>>> {
        loop {
            let Some(line) = self.lines.next()? else { return Ok(None) };
            if line.too_long {
                return Ok(Some(Err(too_long(line.number, self.lines.bytes_max()))));
            }
            if line.bytes.trim_ascii().is_empty() {
                continue;
            }
            let record = self.record(&line.bytes);
            return Ok(Some(match record {
                Ok(record) => Ok(Sourced { line: line.number, record }),
                Err(reason) => Err(Bad::new(line.number, reason)),
            }));
        }
    }

    fn read(&self) -> u64 {
        self.lines.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<ProducerRecord, String> {
        let template = Template { topic: Str::from("t"), ..Template::default() };
        let mut source = Json::new(Lines::new(line.as_bytes(), 1000), template);
        source.next().unwrap().expect("a line").map(|sourced| sourced.record).map_err(|bad| bad.reason)
    }

    fn record() -> ProducerRecord {
        ProducerRecord::new("t")
    }

    #[test]
    fn whole_records() {
        assert_eq!(parse(r#"{"value":"v"}"#), Ok(record().value("v")));
        assert_eq!(
            parse(r#"{"key":"k","value":{"b":1,"a":[2]},"partition":3,"timestamp":5,"headers":{"h":"x"}}"#),
            Ok(record().key("k").value(r#"{"b":1,"a":[2]}"#).partition(3).timestamp(5).header("h", "x"))
        );
        let null = ProducerRecord {
            headers: vec![Header { key: Str::from("h"), value: None }],
            ..record().key("1")
        };
        assert_eq!(
            parse(r#"{"key":1,"value":null,"headers":[{"key":"h","value":null}],"offset":9}"#),
            Ok(null)
        );
        assert_eq!(parse(r#"{"value_base64":"/w=="}"#), Ok(record().value(vec![0xff])));
    }

    #[test]
    fn anything_else_is_a_value_as_it_stands() {
        for line in [r#"{"value":1,"unit":"m"}"#, r#"{"key":"k"}"#, "17.0", "null", r#""text""#, "[1,  2]"] {
            assert_eq!(parse(&format!(" {line} \r")), Ok(record().value(line.to_owned())), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, reason) in [
            ("{", "not JSON: EOF while parsing an object at line 1 column 1"),
            (r#"{"value":1,"partition":"x"}"#, r#"partition "x" is no partition"#),
            (r#"{"value":1,"partition":2147483648}"#, "partition 2147483648 is no partition"),
            (r#"{"value":1,"timestamp":"now"}"#, r#"timestamp "now": expected milliseconds since 1970"#),
            (r#"{"value":1,"headers":3}"#, r#"headers: expected an object, or an array of {"key", "value"}"#),
            (r#"{"value":1,"value_base64":"AA=="}"#, "value and value_base64 exclude each other"),
            (r#"{"value_base64":"?"}"#, "value_base64: Invalid symbol 63, offset 0."),
        ] {
            assert_eq!(parse(line), Err(reason.to_owned()), "{line}");
        }
        let mut source = Json::new(Lines::new(&b"\xff\xfe\n"[..], 1000), Template::default());
        assert!(source.next().unwrap().expect("a line").is_err());
    }
}
