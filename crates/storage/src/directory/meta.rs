//! `meta.properties`: who this directory is. Kafka's names for what Kafka has, `bourn.layout` for ours.

use std::path::Path;

use host::Files;
use protocol::Uuid;

use crate::Error;

pub const META: &str = "meta.properties";
/// The version of everything in a log directory that is not in a file of Kafka's.
pub const LAYOUT: u32 = 1;
const LAYOUT_KEY: &str = "bourn.layout";
const ID_KEY: &str = "directory.id";
const FILE_BYTES_MAX: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    pub directory_id: Uuid,
    /// All other properties, such as `cluster.id` and `node.id`, in the order of the file.
    pub others: Vec<(String, String)>,
}

impl Meta {
    pub(super) fn new(directory_id: Uuid) -> Self {
        Self { directory_id, others: vec![("version".to_owned(), "1".to_owned())] }
    }

    /// `None` if there is no such file.
    pub fn read(files: &dyn Files, directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(META);
        if !files.exists(&path).map_err(Error::io(&path, "tell whose the log directory is"))? {
            return Ok(None);
        }
        let bytes =
            files.read(&path, FILE_BYTES_MAX).map_err(Error::io(&path, "tell whose the log directory is"))?;
        Self::parse(&path, &bytes).map(Some)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let damaged = |what: &str| Error::Damaged { path: path.into(), offset: 0, what: what.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pairs = lines.map(|line| line.split_once('=').ok_or_else(|| damaged("a line without `=`")));
        let mut others = Vec::new();
        let (mut layout, mut id) = (None, None);
        for pair in pairs {
            let (key, value) = pair?;
            match key.trim() {
                LAYOUT_KEY => layout = Some(value.trim().to_owned()),
                ID_KEY => id = Some(value.trim().parse().map_err(|_| damaged("directory.id is not an id"))?),
                key => others.push((key.to_owned(), value.trim().to_owned())),
            }
        }
        let found = layout.unwrap_or_else(|| "of another program (no bourn.layout)".to_owned());
        if found != LAYOUT.to_string() {
            return Err(Error::Version { path: path.into(), found, known: LAYOUT });
        }
        Ok(Self { directory_id: id.ok_or_else(|| damaged("no directory.id"))?, others })
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.others.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Sets a property; [`Self::write`] makes it durable.
    pub fn set(&mut self, key: &str, value: &str) {
        match self.others.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => value.clone_into(old),
            None => self.others.push((key.to_owned(), value.to_owned())),
        }
    }

    pub fn write(&self, files: &dyn Files, directory: &Path) -> Result<(), Error> {
        let path = directory.join(META);
        let mut text = format!("{LAYOUT_KEY}={LAYOUT}\n{ID_KEY}={}\n", self.directory_id);
        for (key, value) in &self.others {
            text.push_str(&format!("{key}={value}\n"));
        }
        files.replace(&path, text.as_bytes()).map_err(Error::io(&path, "note whose the log directory is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Meta, String> {
        Meta::parse(Path::new("d/meta.properties"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_kafka_and_we_write() {
        let meta =
            parse("#a comment\n bourn.layout = 1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=3\n").unwrap();
        assert_eq!((meta.directory_id, meta.get("node.id")), (Uuid::ONE, Some("3")));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (text, expected) in [
            ("version=1\nnode.id=1\n", "d/meta.properties: layout version of another program"),
            ("bourn.layout=2\n", "d/meta.properties: layout version 2, this program knows 1"),
            ("bourn.layout=1\n", "no directory.id"),
            ("bourn.layout=1\ndirectory.id=?", "directory.id is not an id"),
            ("bourn.layout", "a line without `=`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}
