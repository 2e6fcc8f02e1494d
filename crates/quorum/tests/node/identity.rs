//! Whose directory it is.

use std::path::PathBuf;

use host::Host;
use quorum::{Bootstrap, Error, MetaProperties, Options};

use crate::support::{History, batch, dir, open, world};

fn state_file() -> PathBuf {
    dir().join("__cluster_metadata-0/quorum-state")
}

/// Makes a directory with something in it.
async fn make(host: &Host, options: &Options) {
    let log = open(host, options, &History::default()).await.unwrap();
    log.propose(batch(1)).await.unwrap();
    log.shutdown().await;
}

#[test]
fn a_new_directory_gets_an_identity_in_kafkas_format() {
    let (sim, host) = world(1);
    sim.block_on_node("a", async {
        let options = Options { node_id: Some(7), ..Options::default() };
        let log = open(&host, &options, &History::default()).await.unwrap();
        let identity = log.identity().clone();
        assert_eq!(identity.node_id, 7);
        assert_eq!(identity.cluster_id.len(), 22);
        let text = host.disk.files().read(&MetaProperties::path(dir()), 1000).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (cluster_id, directory_id) = (&identity.cluster_id, identity.directory_id);
        let expected =
            format!("#\ncluster.id={cluster_id}\ndirectory.id={directory_id}\nnode.id=7\nversion=1\n");
        assert_eq!(text, expected);
        assert_eq!(log.status().voters[0].directory_id, directory_id);
        log.shutdown().await;
    });
}

#[test]
fn a_directory_of_another_cluster_or_node_is_refused() {
    let (sim, host) = world(2);
    sim.block_on_node("a", async {
        make(&host, &Options { cluster_id: Some("mine".to_owned()), ..Options::default() }).await;
        let options = Options { cluster_id: Some("yours".to_owned()), ..Options::default() };
        let error = open(&host, &options, &History::default()).await.unwrap_err();
        assert!(matches!(error, Error::WrongCluster { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("meta.properties") && text.contains("mine") && text.contains("yours"),
            "{text}"
        );
        let options = Options { node_id: Some(2), ..Options::default() };
        let error = open(&host, &options, &History::default()).await.unwrap_err();
        assert!(matches!(error, Error::WrongNode { stored: 1, expected: 2, .. }), "{error:?}");
        make(&host, &Options { cluster_id: Some("mine".to_owned()), node_id: Some(1), ..Options::default() })
            .await;
    });
}

#[test]
fn half_a_directory_is_refused() {
    let (sim, host) = world(3);
    sim.block_on_node("a", async {
        make(&host, &Options::default()).await;
        let files = host.disk.files();
        let properties = MetaProperties::path(dir());
        let text = files.read(&properties, 1000).unwrap();
        files.remove_file(&properties).unwrap();
        let error = open(&host, &Options::default(), &History::default()).await.unwrap_err();
        assert!(matches!(error, Error::IdentityMissing { .. }), "{error:?}");
        files.replace(&properties, &text).unwrap();
        let state = files.read(&state_file(), 1 << 20).unwrap();
        files.remove_file(&state_file()).unwrap();
        let error = open(&host, &Options::default(), &History::default()).await.unwrap_err();
        assert!(matches!(error, Error::LogMissing { .. }), "{error:?}");
        files.replace(&state_file(), &state).unwrap();
        make(&host, &Options::default()).await;
    });
}

#[test]
fn properties_that_make_no_sense_are_refused() {
    let bad = [
        ("", "version"),
        ("version=0\nbroker.id=1\n", "version 0"),
        ("version=1\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA\n", "cluster.id"),
        ("version=1\ncluster.id=c\nnode.id=-1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA\n", "node.id"),
        ("version=1\ncluster.id=c\nnode.id=one\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA\n", "node.id"),
        ("version=1\ncluster.id=c\nnode.id=1\ndirectory.id=A\n", "directory.id"),
        ("version=1\ncluster.id=c\nnode.id=1\n", "directory.id"),
        ("nonsense", "nonsense"),
    ];
    let (sim, host) = world(4);
    sim.block_on_node("a", async {
        let files = host.disk.files();
        files.create_dir_all(dir()).unwrap();
        for (text, expected) in bad {
            files.replace(&MetaProperties::path(dir()), text.as_bytes()).unwrap();
            let error = open(&host, &Options::default(), &History::default()).await.unwrap_err();
            assert!(matches!(error, Error::BadProperties { .. }), "{text:?}: {error:?}");
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
        }
    });
}

#[test]
fn a_joining_node_waits_for_the_cluster() {
    let (sim, host) = world(5);
    sim.block_on_node("a", async {
        let join = Options { bootstrap: Bootstrap::Join, ..Options::default() };
        let error = open(&host, &join, &History::default()).await.unwrap_err();
        assert!(matches!(error, Error::ClusterIdNeeded), "{error:?}");
        let join = Options { cluster_id: Some("theirs".to_owned()), ..join };
        for _ in 0..2 {
            let log = open(&host, &join, &History::default()).await.unwrap();
            host.clock.sleep(std::time::Duration::from_secs(60)).await;
            assert_eq!(*log.leadership().borrow(), None);
            let status = log.status();
            assert_eq!((status.term, status.voters.len(), status.last_index), (0, 0, None));
            log.shutdown().await;
        }
    });
}
