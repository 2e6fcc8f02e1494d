//! Definitions resolved into what the generator writes: structs with their effective versions, types and defaults.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};

use super::names;
use super::schema::{Definition, FieldDefinition, Kind, Versions};

pub(super) struct Message {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) api_key: Option<i16>,
    pub(super) versions: Versions,
    pub(super) flexible: Versions,
    pub(super) latest_unstable: bool,
    pub(super) listeners: Vec<String>,
    /// The message itself first.
    pub(super) structs: Vec<Struct>,
}

pub(super) struct Struct {
    pub(super) name: String,
    /// Those in which something holds this struct.
    pub(super) versions: Versions,
    pub(super) fields: Vec<Field>,
}

pub(super) struct Field {
    /// As the schema spells it.
    pub(super) name: String,
    /// As Rust spells it.
    pub(super) ident: String,
    pub(super) ty: Type,
    pub(super) versions: Versions,
    pub(super) nullable: Versions,
    pub(super) tag: Option<(u32, Versions)>,
    /// The field keeps fixed lengths in flexible versions too.
    pub(super) never_flexible: bool,
    pub(super) ignorable: bool,
    pub(super) default: String,
    pub(super) sensitive: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Uint32,
    Int32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    fn parse(text: &str) -> anyhow::Result<Type> {
        Ok(match text {
            "bool" => Type::Bool,
            "int8" => Type::Int8,
            "int16" => Type::Int16,
            "uint16" => Type::Uint16,
            "uint32" => Type::Uint32,
            "int32" => Type::Int32,
            "int64" => Type::Int64,
            "float64" => Type::Float64,
            "uuid" => Type::Uuid,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "records" => Type::Records,
            other => match other.strip_prefix("[]") {
                Some(element) => Type::Array(Box::new(Type::parse(element)?)),
                None if other.starts_with(|first: char| first.is_ascii_uppercase()) => {
                    Type::Struct(other.to_owned())
                }
                None => bail!("type {other:?} is not known"),
            },
        })
    }

    pub(super) fn struct_name(&self) -> Option<&str> {
        match self {
            Type::Struct(name) => Some(name),
            Type::Array(element) => element.struct_name(),
            _ => None,
        }
    }
}

impl Message {
    /// `None` for a message that has no version any more.
    pub(super) fn resolve(definition: &Definition) -> anyhow::Result<Option<Message>> {
        let versions = Versions::parse(&definition.valid_versions)?;
        if versions.is_empty() {
            return Ok(None);
        }
        let mut resolver = Resolver { structs: Vec::new(), common: BTreeMap::new(), owners: BTreeMap::new() };
        for common in &definition.common_structs {
            resolver.common.insert(common.name.clone(), (Versions::parse(&common.versions)?, &common.fields));
        }
        resolver.add(&definition.name, versions, &definition.fields, &mut Vec::new())?;
        Ok(Some(Message {
            name: definition.name.clone(),
            kind: definition.kind,
            api_key: definition.api_key,
            versions,
            flexible: Versions::parse_or_none(definition.flexible_versions.as_deref())?.and(versions),
            latest_unstable: definition.latest_version_unstable,
            listeners: definition.listeners.clone(),
            structs: resolver.structs,
        }))
    }

    pub(super) fn structure(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|structure| structure.name == name)
    }

    /// Data is stored, so it keeps tagged fields that it does not know.
    pub(super) fn keeps_tags(&self) -> bool {
        self.kind == Kind::Data && !self.flexible.is_empty()
    }

    /// The least bytes that a struct takes on the wire in any version.
    pub(super) fn min_size(&self, structure: &Struct) -> usize {
        let versions = structure.versions.min..=structure.versions.max;
        versions.map(|version| self.min_size_in(structure, version)).min().unwrap_or(0)
    }

    fn min_size_in(&self, structure: &Struct, version: i16) -> usize {
        let flexible = self.flexible.contains(version);
        let fields =
            structure.fields.iter().filter(|field| field.versions.contains(version) && field.tag.is_none());
        let size: usize = fields.map(|field| self.min_field_size(field, version)).sum();
        size + usize::from(flexible)
    }

    fn min_field_size(&self, field: &Field, version: i16) -> usize {
        let compact = self.flexible.contains(version) && !field.never_flexible;
        match &field.ty {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 => 2,
            Type::Uint32 | Type::Int32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            _ if compact => 1,
            Type::String => 2,
            Type::Bytes | Type::Records | Type::Array(_) => 4,
            Type::Struct(_) if field.nullable.contains(version) => 1,
            Type::Struct(name) => {
                self.structure(name).map_or(0, |structure| self.min_size_in(structure, version))
            }
        }
    }
}

struct Resolver<'a> {
    structs: Vec<Struct>,
    common: BTreeMap<String, (Versions, &'a Vec<FieldDefinition>)>,
    /// Which struct defines another one inline.
    owners: BTreeMap<String, String>,
}

impl Resolver<'_> {
    /// Adds the struct `name` and what it holds. `path` are the structs around it.
    fn add(
        &mut self,
        name: &str,
        versions: Versions,
        fields: &[FieldDefinition],
        path: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        ensure!(
            !path.iter().any(|outer| outer == name),
            "{name} contains itself: nesting would be unbounded"
        );
        let place = match self.structs.iter().position(|known| known.name == name) {
            Some(place) => {
                // A common struct that is used twice: its versions are those of both uses.
                let known = self.structs.get_mut(place).context("a struct that was just found")?;
                known.versions.min = known.versions.min.min(versions.min);
                known.versions.max = known.versions.max.max(versions.max);
                place
            }
            None => {
                self.structs.push(Struct { name: name.to_owned(), versions, fields: Vec::new() });
                self.structs.len() - 1
            }
        };
        path.push(name.to_owned());
        let mut resolved = Vec::new();
        for field in fields {
            let field_versions = Versions::parse(&field.versions)?.and(versions);
            let ty = Type::parse(&field.ty)?;
            if let Some(inner) = ty.struct_name() {
                self.add_inner(inner, field, field_versions, path)
                    .with_context(|| format!("field {}", field.name))?;
            }
            resolved.push(resolve_field(path, field, ty).with_context(|| format!("field {}", field.name))?);
        }
        path.pop();
        if let Some(structure) = self.structs.get_mut(place) {
            structure.fields = resolved;
        }
        Ok(())
    }

    fn add_inner(
        &mut self,
        name: &str,
        field: &FieldDefinition,
        versions: Versions,
        path: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        if versions.is_empty() {
            bail!("a struct in no version");
        }
        if !field.fields.is_empty() {
            let holder = path.last().cloned().unwrap_or_default();
            let owner = self.owners.entry(name.to_owned()).or_insert_with(|| holder.clone());
            ensure!(*owner == holder, "{name} is defined twice");
            return self.add(name, versions, &field.fields, path);
        }
        let (common, fields) = *self.common.get(name).with_context(|| format!("{name} is not defined"))?;
        self.add(name, versions.and(common), fields, path)
    }
}

fn resolve_field(path: &[String], field: &FieldDefinition, ty: Type) -> anyhow::Result<Field> {
    let tagged = Versions::parse_or_none(field.tagged_versions.as_deref())?;
    let versions = Versions::parse(&field.versions)?;
    let tag = match field.tag {
        Some(tag) => {
            // A field that is plain in some versions and tagged in others does not occur.
            ensure!(tagged == versions, "tagged in {tagged} but present in {versions}");
            Some((tag, tagged))
        }
        None => None,
    };
    let nullable = Versions::parse_or_none(field.nullable_versions.as_deref())?;
    if matches!(ty, Type::Struct(_)) {
        ensure!(
            nullable.is_empty() || nullable.covers(versions),
            "a struct that is nullable in some versions"
        );
        ensure!(nullable.is_empty() || tag.is_none(), "a nullable tagged struct");
    }
    let never_flexible = match field.flexible_versions.as_deref() {
        None => false,
        Some(text) => {
            ensure!(text == "none", "flexible versions {text} of a field");
            true
        }
    };
    let default = match &field.default {
        None => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    Ok(Field {
        name: field.name.clone(),
        ident: names::snake_case(&field.name),
        ty,
        versions,
        nullable,
        tag,
        never_flexible,
        ignorable: field.ignorable,
        default,
        sensitive: names::is_sensitive(path, &field.name),
    })
}

#[cfg(test)]
mod tests {
    use super::super::schema::parse;
    use super::*;

    fn resolve(structs: &str) -> anyhow::Result<Option<Message>> {
        let head = r#""name": "Tree", "type": "data", "validVersions": "0", "flexibleVersions": "0+""#;
        let fields = r#"[{ "name": "Root", "type": "Node", "versions": "0+" }]"#;
        Message::resolve(&parse(&format!(
            "{{ {head}, \"fields\": {fields}, \"commonStructs\": [{structs}] }}"
        ))?)
    }

    fn structure(name: &str, ty: &str) -> String {
        let field = format!(r#"{{ "name": "Inner", "type": "{ty}", "versions": "0+" }}"#);
        format!(r#"{{ "name": "{name}", "versions": "0+", "fields": [{field}] }}"#)
    }

    /// Nothing bounds how deep a peer could nest such a struct: the codec goes down into it by recursion.
    #[test]
    fn structs_that_contain_themselves_are_refused() {
        let flat = [structure("Node", "[]Leaf"), structure("Leaf", "int32")].join(",");
        assert_eq!(resolve(&flat).unwrap().unwrap().structs.len(), 3);
        let itself = structure("Node", "[]Node");
        let by_another = [structure("Node", "[]Leaf"), structure("Leaf", "Node")].join(",");
        for structs in [itself, by_another] {
            let Err(error) = resolve(&structs) else { panic!("{structs} is taken") };
            let error = format!("{error:#}");
            assert!(error.contains("Node contains itself"), "{error}");
        }
    }
}
