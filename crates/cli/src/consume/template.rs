//! [`Template`]: how a record is written out, with the tokens of kcat, or as JSON lines.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use client::{Record, TopicPartition};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Template {
    Json,
    Text(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Literal(Vec<u8>),
    Value,
    ValueSize,
    Key,
    KeySize,
    Headers,
    HeaderCount,
    Topic,
    Partition,
    Offset,
    Timestamp,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "json" {
            return Ok(Self::Json);
        }
        let mut tokens = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match character {
                '\\' => literal.push(escaped(&mut rest)?),
                '%' => match token(&mut rest)? {
                    Some(token) => {
                        if !literal.is_empty() {
                            tokens.push(Token::Literal(std::mem::take(&mut literal)));
                        }
                        tokens.push(token);
                    }
                    None => literal.push(b'%'),
                },
                plain => literal.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !literal.is_empty() {
            tokens.push(Token::Literal(literal));
        }
        Ok(Self::Text(tokens))
    }

    pub(super) fn write(
        &self,
        out: &mut impl Write,
        partition: &TopicPartition,
        record: &Record,
    ) -> io::Result<()> {
        match self {
            Self::Json => {
                serde_json::to_writer(&mut *out, &Json { partition, record })?;
                out.write_all(b"\n")
            }
            Self::Text(tokens) => tokens.iter().try_for_each(|token| token.write(out, partition, record)),
        }
    }
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('n') => Ok(b'\n'),
        Some('r') => Ok(b'\r'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some('x') => {
            let digits: String = rest.take(2).collect();
            let byte = (digits.len() == 2).then(|| u8::from_str_radix(&digits, 16).ok()).flatten();
            byte.ok_or_else(|| format!("\\x{digits}: expected two hexadecimal digits"))
        }
        other => Err(format!("\\{} is not known", other.map(String::from).unwrap_or_default())),
    }
}

fn token(rest: &mut std::str::Chars<'_>) -> Result<Option<Token>, String> {
    Ok(Some(match rest.next() {
        Some('s') => Token::Value,
        Some('S') => Token::ValueSize,
        Some('k') => Token::Key,
        Some('K') => Token::KeySize,
        Some('h') => Token::Headers,
        Some('H') => Token::HeaderCount,
        Some('t') => Token::Topic,
        Some('p') => Token::Partition,
        Some('o') => Token::Offset,
        Some('T') => Token::Timestamp,
        Some('%') => return Ok(None),
        other => return Err(format!("%{} is not known", other.map(String::from).unwrap_or_default())),
    }))
}

/// Null is written as nothing, and has the size -1.
fn size(bytes: Option<&bytes::Bytes>) -> i64 {
    bytes.map_or(-1, |bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX))
}

impl Token {
    fn write(&self, out: &mut impl Write, partition: &TopicPartition, record: &Record) -> io::Result<()> {
        match self {
            Self::Literal(bytes) => out.write_all(bytes),
            Self::Value => out.write_all(record.value.as_deref().unwrap_or_default()),
            Self::ValueSize => write!(out, "{}", size(record.value.as_ref())),
            Self::Key => out.write_all(record.key.as_deref().unwrap_or_default()),
            Self::KeySize => write!(out, "{}", size(record.key.as_ref())),
            Self::Headers => {
                for (place, header) in record.headers.iter().enumerate() {
                    if place > 0 {
                        out.write_all(b",")?;
                    }
                    out.write_all(&header.key)?;
                    out.write_all(b"=")?;
                    out.write_all(header.value.as_deref().unwrap_or(b"NULL"))?;
                }
                Ok(())
            }
            Self::HeaderCount => write!(out, "{}", record.headers.len()),
            Self::Topic => out.write_all(partition.topic.as_bytes()),
            Self::Partition => write!(out, "{}", partition.partition),
            Self::Offset => write!(out, "{}", record.offset),
            Self::Timestamp => write!(out, "{}", record.timestamp),
        }
    }
}

/// The JSON that docs/cli.md describes; `bourn produce --format json` reads it back.
struct Json<'a> {
    partition: &'a TopicPartition,
    record: &'a Record,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("topic", self.partition.topic.as_str())?;
        map.serialize_entry("partition", &self.partition.partition)?;
        map.serialize_entry("offset", &self.record.offset.get())?;
        map.serialize_entry("timestamp", &self.record.timestamp)?;
        contents(&mut map, ["key", "key_base64"], self.record.key.as_deref())?;
        contents(&mut map, ["value", "value_base64"], self.record.value.as_deref())?;
        let headers: Vec<JsonHeader<'_>> = self
            .record
            .headers
            .iter()
            .map(|header| JsonHeader { key: &header.key, value: header.value.as_deref() })
            .collect();
        if !headers.is_empty() {
            map.serialize_entry("headers", &headers)?;
        }
        map.end()
    }
}

struct JsonHeader<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

impl Serialize for JsonHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("key", &String::from_utf8_lossy(self.key))?;
        contents(&mut map, ["value", "value_base64"], self.value)?;
        map.end()
    }
}

/// Text as text, null as null, other bytes in base64 under the second name.
fn contents<M: SerializeMap>(map: &mut M, names: [&str; 2], bytes: Option<&[u8]>) -> Result<(), M::Error> {
    let [plain, encoded] = names;
    match bytes.map(std::str::from_utf8) {
        None => map.serialize_entry(plain, &None::<&str>),
        Some(Ok(text)) => map.serialize_entry(plain, text),
        Some(Err(_)) => map.serialize_entry(encoded, &STANDARD.encode(bytes.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use client::RecordHeader;
    use protocol::Offset;

    use super::*;

    fn written(format: &str, record: &Record) -> String {
        let mut out = Vec::new();
        let template = Template::parse(format).unwrap();
        template.write(&mut out, &TopicPartition::new("orders", 3), record).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn record() -> Record {
        let header = |key: &'static str, value| RecordHeader { key: Bytes::from(key), value };
        Record {
            offset: Offset(7),
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from("k")),
            value: Some(Bytes::from("välue")),
            headers: vec![header("a", Some(Bytes::from("1"))), header("b", None)],
        }
    }

    fn empty() -> Record {
        Record { key: None, value: None, headers: vec![], ..record() }
    }

    #[test]
    fn tokens() {
        let all = "%t|%p|%o|%k|%K|%s|%S|%T|%h|%H|%%|\\t\\x41\\\\\\n";
        assert_eq!(written(all, &record()), "orders|3|7|k|1|välue|6|1700000000000|a=1,b=NULL|2|%|\tA\\\n");
        assert_eq!(written("%k%K%s%S%h", &empty()), "-1-1");
        for wrong in ["%", "%q", "\\", "\\q", "\\x4", "\\xzz"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn json_lines() {
        insta::assert_snapshot!(written("json", &record()));
        let binary = Record { value: Some(Bytes::from_static(&[0xff])), ..empty() };
        insta::assert_snapshot!(written("json", &binary));
    }
}
