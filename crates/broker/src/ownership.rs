//! Whose the log directories are: `cluster.id` and `node.id` in the `meta.properties` of each, as in Kafka.
//!
//! Invariants:
//! * A node never founds a cluster over the data of another one, nor serves data that its metadata does not know: it is
//!   told before anything is written.
//! * The two stand in a log directory from the first start on that could write them, and are not written again.

use std::path::{Path, PathBuf};

use host::Files;
use quorum::{Identity, MetaProperties};
use storage::directory::{META, Meta};

const CLUSTER_ID: &str = "cluster.id";
const NODE_ID: &str = "node.id";

/// A log directory that is not this node's.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    #[error(
        "{} says that this log directory belongs to node {node_id} of cluster {cluster_id}, but the metadata directory {} is \
         new; restore the metadata directory, or move the log directory away to begin anew",
        file.display(),
        metadata.display()
    )]
    MetadataGone { file: PathBuf, node_id: String, cluster_id: String, metadata: PathBuf },
    #[error(
        "the metadata directory {} is new, but {} is there, of the same node {node_id} of cluster {cluster_id}: the order of \
         log.dirs has changed, or metadata.log.dir; set metadata.log.dir={}",
        metadata.display(),
        found.display(),
        directory.display()
    )]
    MetadataElsewhere {
        metadata: PathBuf,
        found: PathBuf,
        directory: PathBuf,
        node_id: String,
        cluster_id: String,
    },
    #[error("log.dirs has {} in {}: take one of them out, or give it a place of its own", inner.display(), outer.display())]
    Nested { inner: PathBuf, outer: PathBuf },
    #[error(
        "{} says that this log directory belongs to node {node_id} of cluster {cluster_id}, but the metadata directory {} \
         belongs to node {owner_node} of cluster {owner}; take the log directory out of log.dirs, or restore its metadata directory",
        file.display(),
        metadata.display()
    )]
    Foreign {
        file: PathBuf,
        node_id: String,
        cluster_id: String,
        metadata: PathBuf,
        owner_node: i32,
        owner: String,
    },
}

/// Refuses log directories of others. What cannot be read is left to those who open it for good.
pub(crate) fn check(
    files: &dyn Files,
    metadata: &Path,
    log_dirs: &[PathBuf],
) -> Result<(), Box<OwnershipError>> {
    check_apart(log_dirs)?;
    let Ok(owner) = MetaProperties::load(files, metadata) else { return Ok(()) };
    for dir in log_dirs {
        let Ok(Some(meta)) = Meta::read(files, dir) else { continue };
        let Some(cluster_id) = meta.get(CLUSTER_ID).map(str::to_owned) else { continue };
        let node_id = meta.get(NODE_ID).unwrap_or("unknown").to_owned();
        let (file, metadata) = (dir.join(META), metadata.to_owned());
        let Some(MetaProperties { cluster_id: owner, node_id: owner_node, .. }) = &owner else {
            let name = metadata.file_name().unwrap_or_default();
            let is_it = |found: &MetaProperties| found.cluster_id == cluster_id;
            let elsewhere = log_dirs.iter().find(|dir| {
                MetaProperties::load(files, &dir.join(name))
                    .is_ok_and(|found| found.as_ref().is_some_and(is_it))
            });
            if let Some(directory) = elsewhere.cloned() {
                let found = directory.join(name);
                let elsewhere =
                    OwnershipError::MetadataElsewhere { metadata, found, directory, node_id, cluster_id };
                return Err(Box::new(elsewhere));
            }
            return Err(Box::new(OwnershipError::MetadataGone { file, node_id, cluster_id, metadata }));
        };
        if *owner != cluster_id || owner_node.to_string() != node_id {
            let (owner, owner_node) = (owner.clone(), *owner_node);
            let foreign = OwnershipError::Foreign { file, node_id, cluster_id, metadata, owner_node, owner };
            return Err(Box::new(foreign));
        }
    }
    Ok(())
}

/// One directory in another would have files there that are none of its own.
fn check_apart(log_dirs: &[PathBuf]) -> Result<(), Box<OwnershipError>> {
    for (place, inner) in log_dirs.iter().enumerate() {
        let others = log_dirs.iter().enumerate().filter(|(other, _)| *other != place);
        if let Some((_, outer)) = others.into_iter().find(|(_, outer)| inner.starts_with(outer)) {
            let (inner, outer) = (inner.clone(), outer.clone());
            return Err(Box::new(OwnershipError::Nested { inner, outer }));
        }
    }
    Ok(())
}

/// Writes down whose the log directories are, in those that do not say. A disk that refuses costs nothing but the check.
pub(crate) fn claim<'a>(files: &dyn Files, identity: &Identity, log_dirs: impl Iterator<Item = &'a PathBuf>) {
    for dir in log_dirs {
        let Ok(Some(mut meta)) = Meta::read(files, dir) else { continue };
        if meta.get(CLUSTER_ID).is_some() {
            continue;
        }
        meta.set(CLUSTER_ID, &identity.cluster_id);
        meta.set(NODE_ID, &identity.node_id.to_string());
        if let Err(error) = meta.write(files, dir) {
            tracing::warn!("the cluster's id is not noted in a log directory before the next start: {error}");
        }
    }
}
