//! `Codec` and `Fill` of one struct: the code that reads, writes and invents its fields version by version.

use std::fmt::Write;

use anyhow::ensure;

use super::emit::{default_value, is_option};
use super::model::{Field, Message, Struct, Type};
use super::schema::Versions;

pub(super) fn write_codec(out: &mut String, message: &Message, structure: &Struct) -> anyhow::Result<()> {
    let read = with_flexible(message, structure, read_body(message, structure)?);
    let write = with_flexible(message, structure, write_body(message, structure)?);
    writeln!(out, "impl Codec for {} {{", structure.name)?;
    let (r, version) = (unused(&read, "r"), unused(&read, "version"));
    // Most structs are read in one place, which then needs no call.
    writeln!(
        out,
        "#[inline]\nfn read_into(&mut self, {r}r: &mut Reader<'_>, {version}version: i16) -> Result<(), Error> {{"
    )?;
    writeln!(out, "{read}\n}}\n")?;
    let (w, version) = (unused(&write, "w"), unused(&write, "version"));
    writeln!(out, "fn write(&self, {w}w: &mut Writer, {version}version: i16) {{")?;
    writeln!(out, "{write}\n}}\n}}\n")?;
    Ok(())
}

/// The underscore in front of a parameter that the body does not use.
fn unused(body: &str, parameter: &str) -> &'static str {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let used = body.match_indices(parameter).any(|(place, _)| {
        let before = body.get(..place).and_then(|before| before.chars().next_back()).unwrap_or(' ');
        let after = body.get(place + parameter.len()..).and_then(|after| after.chars().next()).unwrap_or(' ');
        // Not part of a longer name, no field of something, no field of a struct literal.
        !is_part(before) && before != '.' && !is_part(after) && after != ':'
    });
    if used { "" } else { "_" }
}

/// The body behind the line that says what `flexible` is.
fn with_flexible(message: &Message, structure: &Struct, body: String) -> String {
    if !body.contains("flexible") {
        return body;
    }
    let condition = message.flexible.condition(structure.versions);
    format!("let flexible = {};\n{body}", condition.unwrap_or_else(|| "true".to_owned()))
}

/// How the code says whether lengths are compact.
fn flexible(message: &Message, structure: &Struct, field: &Field) -> &'static str {
    let always = message.flexible.covers(structure.versions.and(field.versions));
    let never =
        field.never_flexible || message.flexible.and(structure.versions).and(field.versions).is_empty();
    if never {
        "false"
    } else if always {
        "true"
    } else {
        "flexible"
    }
}

fn nullable(structure: &Struct, field: &Field) -> String {
    let current = structure.versions.and(field.versions);
    field.nullable.condition(current).unwrap_or_else(|| "true".to_owned())
}

/// What the version does not have keeps its default.
fn read_body(message: &Message, structure: &Struct) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut tagged = Vec::new();
    for field in &structure.fields {
        if field.tag.is_some() {
            tagged.push(field);
            continue;
        }
        let read = read_value(message, structure, field);
        match field.versions.condition(structure.versions) {
            None => writeln!(out, "{read};")?,
            Some(condition) if condition == "false" => {}
            Some(condition) => writeln!(out, "if {condition} {{ {read}; }}")?,
        }
    }
    let section = message.flexible.and(structure.versions);
    let always = message.flexible.covers(structure.versions);
    if message.keeps_tags() {
        ensure!(tagged.is_empty(), "{} is data with tagged fields of its own", structure.name);
        ensure!(always, "{} is data that became flexible", structure.name);
        writeln!(out, "self.unknown_tagged_fields = r.keep_tags()?;")?;
    } else if section.is_empty() {
        ensure!(tagged.is_empty(), "{} has tagged fields but is never flexible", structure.name);
    } else {
        let tags = read_tags(message, structure, &tagged)?;
        match always {
            true => writeln!(out, "{tags}")?,
            false => writeln!(out, "if flexible {{ {tags} }}")?,
        }
    }
    out.push_str("Ok(())");
    Ok(out)
}

fn read_tags(message: &Message, structure: &Struct, tagged: &[&Field]) -> anyhow::Result<String> {
    if tagged.is_empty() {
        return Ok("r.skip_tags()?;".to_owned());
    }
    let mut out = String::from("r.tags(|tag, r| { match tag {\n");
    let flexible = message.flexible.and(structure.versions);
    for field in tagged {
        let Some((tag, versions)) = field.tag else { continue };
        let guard = match versions.condition(flexible) {
            Some(condition) => format!(" if {condition}"),
            None => String::new(),
        };
        let read = read_value(message, structure, field);
        // A tag that comes twice must not find what it left the first time.
        let read = match &field.ty {
            Type::Struct(_) if !is_option(field) => {
                format!("{{ self.{} = {}; {read}; }}", field.ident, default_value(field))
            }
            _ => read,
        };
        writeln!(out, "{tag}{guard} => {read},")?;
    }
    out.push_str("_ => return Ok(false),\n}\nOk(true)\n})?;");
    Ok(out)
}

/// The statement that reads a field into its place.
fn read_value(message: &Message, structure: &Struct, field: &Field) -> String {
    let flexible = flexible(message, structure, field);
    let name = &field.name;
    let option = is_option(field);
    let (prefix, allowed) = match option {
        true => ("nullable_", format!(", {}", nullable(structure, field))),
        false => ("", String::new()),
    };
    let place = format!("self.{}", field.ident);
    match &field.ty {
        Type::Struct(_) if option => {
            format!("r.nullable_struct(&mut {place}, |r, x| x.read_into(r, version))?")
        }
        Type::Struct(_) => format!("{place}.read_into(r, version)?"),
        Type::String => format!("r.{prefix}string({flexible}{allowed}, {name:?}, &mut {place})?"),
        Type::Bytes => format!("r.{prefix}bytes({flexible}{allowed}, {name:?}, &mut {place})?"),
        Type::Records => format!("r.{prefix}records({flexible}{allowed}, {name:?}, &mut {place})?"),
        Type::Array(element) => {
            let (size, read) = element_reader(message, element, flexible, name);
            format!("r.{prefix}array({flexible}{allowed}, {size}, {name:?}, &mut {place}, {read})?")
        }
        scalar => format!("{place} = r.{}()?", scalar_method(scalar)),
    }
}

/// The least size of an element and the closure that reads one.
fn element_reader(message: &Message, element: &Type, flexible: &str, name: &str) -> (usize, String) {
    let scalar = || format!("|r, x| r.{}().map(|value| *x = value)", scalar_method(element));
    match element {
        Type::Struct(inner) => {
            let size = message.structure(inner).map_or(1, |structure| message.min_size(structure));
            (size.max(1), "|r, x| x.read_into(r, version)".to_owned())
        }
        Type::String => (1, format!("|r, x| r.string({flexible}, {name:?}, x)")),
        Type::Bytes => (1, format!("|r, x| r.bytes({flexible}, {name:?}, x)")),
        Type::Int8 | Type::Bool => (1, scalar()),
        Type::Int16 | Type::Uint16 => (2, scalar()),
        Type::Int64 | Type::Float64 => (8, scalar()),
        Type::Uuid => (16, scalar()),
        _ => (4, scalar()),
    }
}

fn scalar_method(ty: &Type) -> &'static str {
    match ty {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Uint32 => "u32",
        Type::Int32 => "i32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => "unsupported",
    }
}

fn write_body(message: &Message, structure: &Struct) -> anyhow::Result<String> {
    let mut out = String::new();
    let mut tags = String::new();
    for field in &structure.fields {
        let write = write_value(message, structure, field);
        let differs = differs_from_default(field);
        let fail = format!("w.absent({:?}, version);", field.name);
        let absent = (!field.ignorable).then(|| format!("if {differs} {{ {fail} }}"));
        let condition = field.versions.condition(structure.versions);
        if let Some((tag, versions)) = field.tag {
            let set = match versions.condition(message.flexible.and(structure.versions)) {
                Some(condition) => format!("{condition} && {differs}"),
                None => differs.clone(),
            };
            writeln!(tags, "if {set} {{ w.tag(&mut tags, {tag}, |w| {write}); }}")?;
            if let (Some(condition), false) = (condition, field.ignorable) {
                writeln!(out, "if !({condition}) && {differs} {{ {fail} }}")?;
            }
            continue;
        }
        match (condition, absent) {
            (None, _) => writeln!(out, "{write};")?,
            (Some(never), Some(absent)) if never == "false" => writeln!(out, "{absent}")?,
            (Some(never), None) if never == "false" => {}
            (Some(condition), None) => writeln!(out, "if {condition} {{ {write}; }}")?,
            (Some(condition), Some(absent)) => {
                writeln!(out, "if {condition} {{ {write}; }} else {absent}")?;
            }
        }
    }
    let section = message.flexible.and(structure.versions);
    if section.is_empty() {
        return Ok(out);
    }
    if message.keeps_tags() {
        tags.push_str("w.kept_tags(&mut tags, &self.unknown_tagged_fields);\n");
    }
    let section = match tags.is_empty() {
        true => "w.no_tags();".to_owned(),
        false => format!("let mut tags = w.begin_tags();\n{tags}w.end_tags(tags);"),
    };
    match message.flexible.covers(structure.versions) {
        true => writeln!(out, "{section}")?,
        false => writeln!(out, "if flexible {{ {section} }}")?,
    }
    Ok(out)
}

fn write_value(message: &Message, structure: &Struct, field: &Field) -> String {
    let flexible = flexible(message, structure, field);
    let name = &field.name;
    let option = is_option(field);
    let value = format!("self.{}", field.ident);
    let allowed = nullable(structure, field);
    let nullable = |kind: &str, tail: &str| {
        format!("w.nullable_{kind}({flexible}, {allowed}, {name:?}, {value}.as_ref(){tail})")
    };
    match &field.ty {
        Type::Struct(_) if option => {
            format!("w.nullable_struct({value}.as_ref(), |w, x| x.write(w, version))")
        }
        Type::Struct(_) => format!("{value}.write(w, version)"),
        Type::String if option => nullable("string", ""),
        Type::String => format!("w.string({flexible}, {name:?}, &{value})"),
        Type::Bytes if option => nullable("bytes", ""),
        Type::Bytes => format!("w.bytes({flexible}, &{value})"),
        Type::Records if option => nullable("records", ""),
        Type::Records => format!("w.records({flexible}, &{value})"),
        Type::Array(element) => {
            let write = match element.as_ref() {
                Type::Struct(_) => "|w, x| x.write(w, version)".to_owned(),
                Type::String => format!("|w, x| w.string({flexible}, {name:?}, x)"),
                Type::Bytes => format!("|w, x| w.bytes({flexible}, x)"),
                Type::Uuid => "|w, x| w.uuid(x)".to_owned(),
                scalar => format!("|w, x| w.{}(*x)", scalar_method(scalar)),
            };
            match option {
                true => nullable("array", &format!(", {write}")),
                false => format!("w.array({flexible}, &{value}, {write})"),
            }
        }
        Type::Uuid => format!("w.uuid(&{value})"),
        scalar => format!("w.{}({value})", scalar_method(scalar)),
    }
}

fn differs_from_default(field: &Field) -> String {
    let value = format!("self.{}", field.ident);
    let default = default_value(field);
    if is_option(field) {
        return match (default.as_str(), &field.ty) {
            ("None", _) => format!("{value}.is_some()"),
            (_, Type::Struct(_)) => format!("{value} != {default}"),
            _ => format!("{value}.as_ref().is_none_or(|x| !x.is_empty())"),
        };
    }
    match &field.ty {
        Type::Bool if default == "true" => format!("!{value}"),
        Type::Bool => value,
        Type::String | Type::Bytes | Type::Records | Type::Array(_) => format!("!{value}.is_empty()"),
        Type::Uuid => format!("!{value}.is_zero()"),
        _ => format!("{value} != {default}"),
    }
}

/// `Fill`: random values in every field that the version has.
pub(super) fn write_fill(out: &mut String, message: &Message, structure: &Struct) -> anyhow::Result<()> {
    let mut body = String::from("Self {\n");
    for field in &structure.fields {
        let current = structure.versions.and(field.versions);
        let fill = fill_value(field, current);
        let value = match field.versions.condition(structure.versions) {
            None => fill,
            Some(never) if never == "false" => default_value(field),
            Some(condition) => format!("if {condition} {{ {fill} }} else {{ {} }}", default_value(field)),
        };
        writeln!(body, "{}: {value},", field.ident)?;
    }
    if message.keeps_tags() {
        body.push_str("unknown_tagged_fields: g.unknown_tags(),\n");
    }
    body.push('}');
    let (g, version) = (unused(&body, "g"), unused(&body, "version"));
    writeln!(out, "#[cfg(feature = \"testing\")]\nimpl Fill for {} {{", structure.name)?;
    writeln!(out, "fn fill({g}g: &mut Gen, {version}version: i16) -> Self {{\n{body}\n}}\n}}\n")?;
    Ok(())
}

fn fill_value(field: &Field, current: Versions) -> String {
    let plain = fill_plain(&field.ty);
    if !is_option(field) {
        return plain;
    }
    let allowed = field.nullable.condition(current).unwrap_or_else(|| "true".to_owned());
    format!("g.option({allowed}, |g| {plain})")
}

fn fill_plain(ty: &Type) -> String {
    match ty {
        Type::Struct(name) => format!("{name}::fill(g, version)"),
        Type::Array(element) => format!("g.vec(|g| {})", fill_plain(element)),
        Type::String => "g.string()".to_owned(),
        Type::Bytes => "g.bytes()".to_owned(),
        Type::Records => "g.records()".to_owned(),
        scalar => format!("g.{}()", scalar_method(scalar)),
    }
}
