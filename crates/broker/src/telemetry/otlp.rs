//! Metrics as OpenTelemetry's protocol has them (`MetricsData`, v1), read and told as JSON: a list with one object a
//! data point, of the metric's name and kind, the value, and labels.
//!
//! Invariants:
//! * The text ends at [`TEXT_BYTES_MAX`]: what comes after the first point that did not fit is counted and no more, so
//!   cost and memory are linear in the input, however often it has one long name or label told.
//! * Fields that are not known are passed over, as the format asks for.

use std::fmt::Write;

use super::protobuf::{Error, Field, Fields};

/// No client of sense has more to tell at a time.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Metrics as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) json: String,
    /// Data points in the text.
    pub(super) points: usize,
    /// Those that it had no room for.
    pub(super) left_out: usize,
}

/// Reads `MetricsData`.
pub(super) fn to_json(bytes: &[u8]) -> Result<Told, Error> {
    let mut told = Told { json: String::from("["), points: 0, left_out: 0 };
    for resource in children(bytes, 1) {
        let resource = resource?;
        let mut labels = Vec::new();
        for attributes in children(resource, 1) {
            labels.extend(children(attributes?, 1).collect::<Result<Vec<_>, _>>()?);
        }
        for scope in children(resource, 2) {
            for metric in children(scope?, 2) {
                told.metric(metric?, &labels)?;
            }
        }
    }
    told.json.push(']');
    Ok(told)
}

/// The messages that the field `number` of a message holds.
fn children(bytes: &[u8], number: u64) -> impl Iterator<Item = Result<&[u8], Error>> {
    Fields(bytes).filter_map(move |field| match field {
        Ok(field) if field.number == number => Some(field.bytes()),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

/// A kind of metric: the number of its field, its name, and in which field a point of it has attributes.
const KINDS: [(u64, &str, u64); 5] = [
    (5, "gauge", 7),
    (7, "sum", 7),
    (9, "histogram", 9),
    (10, "exponential histogram", 1),
    (11, "summary", 7),
];

impl Told {
    /// `Metric`
    fn metric(&mut self, bytes: &[u8], labels: &[&[u8]]) -> Result<(), Error> {
        let mut name = &[][..];
        for field in Fields(bytes) {
            let field = field?;
            if field.number == 1 {
                name = field.bytes()?;
            }
        }
        for field in Fields(bytes) {
            let field = field?;
            let Some((_, kind, attributes)) = KINDS.into_iter().find(|(number, ..)| *number == field.number)
            else {
                continue;
            };
            let mut head = String::from("{\"name\":");
            quote(&mut head, name);
            let _ = write!(head, ",\"kind\":\"{kind}\"");
            for field in Fields(field.bytes()?) {
                let field = field?;
                match field.number {
                    2 if kind != "summary" => temporality(&mut head, field)?,
                    3 if kind == "sum" => drop(write!(head, ",\"monotonic\":{}", field.varint()? != 0)),
                    _ => {}
                }
            }
            for point in children(field.bytes()?, 1) {
                let point = point?;
                if self.left_out > 0 {
                    self.left_out += 1;
                    continue;
                }
                let mut text = head.clone();
                point_values(&mut text, point, kind)?;
                attributes_of(&mut text, labels.iter().copied().map(Ok).chain(children(point, attributes)))?;
                self.push(&text);
            }
        }
        Ok(())
    }

    fn push(&mut self, point: &str) {
        if self.json.len() + point.len() > TEXT_BYTES_MAX {
            self.left_out += 1;
            return;
        }
        if self.points > 0 {
            self.json.push(',');
        }
        self.json.push_str(point);
        self.points += 1;
    }
}

fn temporality(text: &mut String, field: Field<'_>) -> Result<(), Error> {
    let name = match field.varint()? {
        1 => "delta",
        2 => "cumulative",
        _ => return Ok(()),
    };
    let _ = write!(text, ",\"temporality\":\"{name}\"");
    Ok(())
}

/// `NumberDataPoint`, `HistogramDataPoint`, `ExponentialHistogramDataPoint` and `SummaryDataPoint`; the last two are
/// told by count and sum.
fn point_values(text: &mut String, bytes: &[u8], kind: &str) -> Result<(), Error> {
    let is_number = matches!(kind, "gauge" | "sum");
    let (mut counts, mut bounds) = (Vec::new(), Vec::new());
    for field in Fields(bytes) {
        let field = field?;
        match field.number {
            3 => drop(write!(text, ",\"time_ms\":{}", field.fixed64()? / 1_000_000)),
            4 if is_number => member(text, "value", field.double()?),
            6 if is_number => drop(write!(text, ",\"value\":{}", field.fixed64()?.cast_signed())),
            4 => drop(write!(text, ",\"count\":{}", field.fixed64()?)),
            5 if !is_number => member(text, "sum", field.double()?),
            6 if kind == "histogram" => counts.extend(field.each_fixed64()?),
            7 if kind == "histogram" => bounds.extend(field.each_fixed64()?.map(f64::from_bits)),
            11 if kind == "histogram" => member(text, "min", field.double()?),
            12 if kind == "histogram" => member(text, "max", field.double()?),
            _ => {}
        }
    }
    if !counts.is_empty() {
        let _ = write!(text, ",\"counts\":{counts:?},\"bounds\":[");
        for (place, bound) in bounds.into_iter().enumerate() {
            text.push_str(if place == 0 { "" } else { "," });
            double(text, bound);
        }
        text.push(']');
    }
    Ok(())
}

fn member(text: &mut String, name: &str, value: f64) {
    let _ = write!(text, ",\"{name}\":");
    double(text, value);
}

/// JSON has no word for what is no number.
fn double(text: &mut String, value: f64) {
    let quote = if value.is_finite() { "" } else { "\"" };
    let _ = write!(text, "{quote}{value:?}{quote}");
}

/// Ends an object with `KeyValue`s as its labels.
fn attributes_of<'a>(
    text: &mut String,
    attributes: impl Iterator<Item = Result<&'a [u8], Error>>,
) -> Result<(), Error> {
    text.push_str(",\"labels\":{");
    for (place, attribute) in attributes.enumerate() {
        let (mut key, mut value) = (&[][..], &[][..]);
        for field in Fields(attribute?) {
            let field = field?;
            match field.number {
                1 => key = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        text.push_str(if place == 0 { "" } else { "," });
        quote(text, key);
        text.push(':');
        any_value(text, value)?;
    }
    text.push_str("}}");
    Ok(())
}

/// `AnyValue`; lists and maps are no labels, and are told as null.
fn any_value(text: &mut String, bytes: &[u8]) -> Result<(), Error> {
    let mut told = false;
    for field in Fields(bytes) {
        let field = field?;
        match field.number {
            _ if told => {}
            1 | 7 => quote(text, field.bytes()?),
            2 => drop(write!(text, "{}", field.varint()? != 0)),
            3 => drop(write!(text, "{}", field.varint()?.cast_signed())),
            4 => double(text, field.double()?),
            _ => continue,
        }
        told = true;
    }
    if !told {
        text.push_str("null");
    }
    Ok(())
}

fn quote(text: &mut String, bytes: &[u8]) {
    text.push('"');
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            character if character.is_control() => drop(write!(text, "\\u{:04x}", u32::from(character))),
            character => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests;
