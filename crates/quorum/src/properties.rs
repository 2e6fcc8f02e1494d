//! `meta.properties`: who a data directory belongs to, in Kafka's format.
//!
//! Invariants:
//! * It is written once, whole and synced, and never changed.
//! * Properties this version does not know are ignored, as Kafka does.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use host::Files;
use protocol::Uuid;

use crate::error::{Doing, Error};

const NAME: &str = "meta.properties";
const BYTES_MAX: u64 = 64 << 10;

/// The content of `meta.properties`, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
}

impl MetaProperties {
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }

    /// Reads the file of a data directory; `None` if there is none. Blocking.
    ///
    /// # Errors
    /// When it cannot be read or does not say what it must.
    pub fn load(files: &dyn Files, dir: &Path) -> Result<Option<Self>, Error> {
        let file = Self::path(dir);
        if !files.exists(&file).doing("look for meta.properties")? {
            return Ok(None);
        }
        let bytes = files.read(&file, BYTES_MAX).doing("read meta.properties")?;
        let parsed =
            std::str::from_utf8(&bytes).map_err(|_| "it is not text".to_owned()).and_then(Self::parse);
        parsed.map(Some).map_err(|reason| Error::BadProperties { file, reason })
    }

    /// Writes the file of a data directory, durably. Blocking.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn store(&self, files: &dyn Files, dir: &Path) -> Result<(), Error> {
        files.replace(&Self::path(dir), self.text().as_bytes()).doing("write meta.properties")
    }

    /// Whether a directory with these properties may be used by this cluster and node.
    ///
    /// # Errors
    /// Says whose directory it is instead.
    pub fn check(&self, dir: &Path, cluster_id: Option<&str>, node_id: Option<i32>) -> Result<(), Error> {
        if let Some(expected) = cluster_id.filter(|expected| *expected != self.cluster_id) {
            let (stored, expected) = (self.cluster_id.clone(), expected.to_owned());
            return Err(Error::WrongCluster { file: Self::path(dir), stored, expected });
        }
        if let Some(expected) = node_id.filter(|expected| *expected != self.node_id) {
            return Err(Error::WrongNode { file: Self::path(dir), stored: self.node_id, expected });
        }
        Ok(())
    }

    fn text(&self) -> String {
        let Self { cluster_id, node_id, directory_id } = self;
        let mut text = String::from("#\n");
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "cluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id={node_id}\nversion=1\n"
        );
        text
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (mut version, mut cluster_id, mut node_id, mut directory_id) = (None, None, None, None);
        for line in text.lines().map(str::trim) {
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let (key, value) =
                line.split_once(['=', ':']).ok_or_else(|| format!("{line:?} is no property"))?;
            let value = value.trim();
            match key.trim() {
                "version" => version = Some(value.to_owned()),
                "cluster.id" => cluster_id = Some(value.to_owned()),
                "node.id" => node_id = Some(value.to_owned()),
                "directory.id" => directory_id = Some(value.to_owned()),
                _ => {}
            }
        }
        match version.as_deref() {
            Some("1") => {}
            Some(version) => return Err(format!("version {version} is not supported, only version 1")),
            None => return Err("version is missing".to_owned()),
        }
        let cluster_id = cluster_id.filter(|id| !id.is_empty()).ok_or("cluster.id is missing")?;
        let node_id = node_id.ok_or("node.id is missing")?;
        let node_id = node_id.parse().ok().filter(|id| *id >= 0);
        let node_id = node_id.ok_or("node.id is not a number of 0 or more")?;
        let directory_id = directory_id.ok_or("directory.id is missing")?;
        let directory_id = directory_id.parse().map_err(|error| format!("directory.id: {error}"))?;
        Ok(Self { cluster_id, node_id, directory_id })
    }
}
