//! [`Lines`]: input line by line, with a bound on what one line may be.

use std::io::{self, BufRead};

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    /// The line is longer than allowed; `bytes` is its beginning.
    pub(super) too_long: bool,
}

pub(super) struct Lines<R> {
    input: R,
    bytes_max: usize,
    number: u64,
    /// Bytes of input so far.
    pub(super) read: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, bytes_max: usize) -> Self {
        Self { input, bytes_max, number: 0, read: 0 }
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// The next line; its end is `\n` or `\r\n`, and the last one may have none.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { number: self.number + 1, bytes: Vec::new(), too_long: false };
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("cannot read the input: {error}")));
                }
                Ok(buffer) => buffer,
            };
            if buffer.is_empty() {
                break;
            }
            any = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            let content = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
            // One more than allowed is kept to hold the \r of a \r\n.
            let room = (self.bytes_max + 1).saturating_sub(line.bytes.len()).min(content.len());
            line.bytes.extend_from_slice(content.get(..room).unwrap_or_default());
            line.too_long |= room < content.len();
            self.input.consume(used);
            self.read += used as u64;
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        if line.bytes.last() == Some(&b'\r') && !line.too_long {
            line.bytes.pop();
        }
        line.too_long |= line.bytes.len() > self.bytes_max;
        self.number += 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(input: &[u8], buffer: usize) -> Vec<(String, bool)> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer, input), 5);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            assert_eq!(line.number, all.len() as u64 + 1);
            all.push((String::from_utf8(line.bytes).unwrap(), line.too_long));
        }
        assert_eq!(lines.read, input.len() as u64);
        all
    }

    #[test]
    fn ends_bounds_and_the_last_line() {
        let input = b"a\r\n\nabcde\r\nabcdef\nabcdefgh\nrest";
        for buffer in [1, 2, 3, 100] {
            let all = lines(input, buffer);
            let texts: Vec<(&str, bool)> = all.iter().map(|(text, long)| (text.as_str(), *long)).collect();
            assert_eq!(
                texts,
                [
                    ("a", false),
                    ("", false),
                    ("abcde", false),
                    ("abcdef", true),
                    ("abcdef", true),
                    ("rest", false)
                ]
            );
        }
        assert!(lines(b"", 1).is_empty());
    }
}
