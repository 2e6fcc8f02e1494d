//! Log directories that belong to somebody else, or whose metadata is gone.

use std::path::Path;

use crate::support::requests::values;
use crate::support::{World, run};

/// The properties of a log directory.
fn meta(world: &World, dir: &str) -> String {
    let path = Path::new(dir).join("meta.properties");
    String::from_utf8(world.files().read(&path, 4096).unwrap()).unwrap()
}

fn replace_meta(world: &World, dir: &str, text: &str) {
    world.files().replace(&Path::new(dir).join("meta.properties"), text.as_bytes()).unwrap();
}

fn property<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap()
}

/// It used to found a new cluster, whose retention then removed what the old one had.
#[test]
fn without_its_metadata_directory_a_node_with_data_does_not_start() {
    run(&[], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[("retention.ms", "-1")]).await;
        client.fill(&topic, &["a"]).await;
        world.stop().await;
        let before = meta(world, "/data");
        assert_eq!(property(&before, "cluster.id"), property(&meta(world, "/data/metadata"), "cluster.id"));
        assert_eq!(property(&before, "node.id"), "1");
        world.files().rename(Path::new("/data/metadata"), Path::new("/elsewhere")).unwrap();
        let why = world.start_again().await.unwrap_err();
        for expected in ["/data/meta.properties", "/data/metadata is new", property(&before, "cluster.id")] {
            assert!(why.contains(expected), "{why:?} should say {expected:?}");
        }
        assert!(!world.files().exists(Path::new("/data/metadata")).unwrap(), "nothing was made");
        world.files().create_dir_all(Path::new("/data/metadata")).unwrap();
        assert_eq!(world.start_again().await.unwrap_err(), why, "emptied is as bad as gone");
        world.files().remove_dir_all(Path::new("/data/metadata")).unwrap();
        world.files().rename(Path::new("/elsewhere"), Path::new("/data/metadata")).unwrap();
        world.start_again().await.unwrap();
        assert_eq!(values(&world.connect().await.read(&topic, 0).await), ["a"]);
        assert_eq!(meta(world, "/data"), before);
    });
}

#[test]
fn a_log_directory_of_another_cluster_or_node_is_refused() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        world.stop().await;
        let own = meta(world, "/b");
        let cluster_id = property(&own, "cluster.id").to_owned();
        for (from, to) in [(cluster_id.as_str(), "another"), ("node.id=1", "node.id=7")] {
            let foreign = own.replace(from, to);
            replace_meta(world, "/b", &foreign);
            let why = world.start_again().await.unwrap_err();
            let node = property(&foreign, "node.id");
            let its = format!("belongs to node {node} of cluster {}", property(&foreign, "cluster.id"));
            let ours = format!("/a/metadata belongs to node 1 of cluster {cluster_id}");
            for expected in ["/b/meta.properties", &its, &ours] {
                assert!(why.contains(expected), "{why:?} should say {expected:?}");
            }
            assert_eq!(meta(world, "/b"), foreign);
        }
        replace_meta(world, "/b", &own);
        world.start_again().await.unwrap();
    });
}

#[test]
fn a_log_directory_of_nobody_is_claimed() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        world.stop().await;
        let own = meta(world, "/b");
        let unclaimed = own.lines().filter(|line| !line.contains("cluster.id") && !line.contains("node.id"));
        let unclaimed: String = unclaimed.map(|line| format!("{line}\n")).collect();
        replace_meta(world, "/b", &unclaimed);
        world.start_again().await.unwrap();
        assert_eq!(meta(world, "/b"), own);
    });
}

#[test]
fn log_directories_in_another_order_are_told_where_the_metadata_is() {
    run(&[("log.dirs", "/a,/b")], async |world| {
        let mut client = world.connect().await;
        let topic = client.create("t", 1, &[]).await;
        client.fill(&topic, &["a"]).await;
        world.stop().await;
        world.set("log.dirs", "/b,/a");
        let why = world.start_again().await.unwrap_err();
        for expected in ["/b/metadata is new", "/a/metadata is there", "metadata.log.dir=/a"] {
            assert!(why.contains(expected), "{why:?} should say {expected:?}");
        }
        world.set("metadata.log.dir", "/a");
        world.start_again().await.unwrap();
        assert_eq!(values(&world.connect().await.read(&topic, 0).await), ["a"]);
    });
}

#[test]
fn a_log_directory_in_another_one_is_refused() {
    run(&[("log.dirs", "/a")], async |world| {
        for dirs in ["/a,/a/b", "/a/b,/a", "/a,/c,/a/"] {
            world.stop().await;
            world.set("log.dirs", dirs);
            let why = world.start_again().await.unwrap_err();
            assert!(why.starts_with("log.dirs has /a"), "{why}");
            world.set("log.dirs", "/a");
            world.start_again().await.unwrap();
        }
    });
}
