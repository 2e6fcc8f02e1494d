//! Lines of text: each is a value, or a key and a value.

use std::io::BufRead;

use bytes::Bytes;

use super::lines::Lines;
use super::source::{Bad, Source, Sourced, Template};

pub(super) struct Text<R> {
    lines: Lines<R>,
    template: Template,
    key_separator: Option<String>,
}

impl<R: BufRead> Text<R> {
    pub(super) fn new(lines: Lines<R>, template: Template, key_separator: Option<String>) -> Self {
        Self { lines, template, key_separator }
    }
}

/// What a line of a length that is not allowed is called in all formats.
pub(super) fn too_long(line: u64, bytes_max: usize) -> Bad {
    let text = format!("the line is longer than {bytes_max} bytes; --line-bytes-max allows more");
    Bad::new(line, text)
}

impl<R: BufRead> Source for Text<R> {
    fn next(&mut self) -> anyhow::Result<Option<Result<Sourced, Bad>>> {
        let Some(line) = self.lines.next()? else { return Ok(None) };
        if line.too_long {
            return Ok(Some(Err(too_long(line.number, self.lines.bytes_max()))));
        }
        let mut record = self.template.record();
        let bytes = Bytes::from(line.bytes);
        match &self.key_separator {
            None => record.value = Some(bytes),
            Some(separator) => {
                let at = bytes.windows(separator.len().max(1)).position(|part| part == separator.as_bytes());
                let Some(at) = at else {
                    let reason = format!("there is no key separator {separator:?}");
                    return Ok(Some(Err(Bad::new(line.number, reason))));
                };
                record.key = Some(bytes.slice(..at));
                record.value = Some(bytes.slice(at + separator.len()..));
            }
        }
        Ok(Some(Ok(Sourced { line: line.number, record })))
    }

    fn read(&self) -> u64 {
        self.lines.read
    }
}
