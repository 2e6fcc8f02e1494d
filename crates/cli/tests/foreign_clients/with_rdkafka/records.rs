//! Writing and reading.

use rdkafka::Offset;

use super::{consume, create_topic, produce};
use crate::node::Node;
use crate::sample::{Sample, samples};
use crate::with_krafka;

#[test]
fn every_kind_of_record_in_every_compression() {
    let node = Node::start();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        create_topic(&node, codec, 1);
        let offsets = produce(&node, codec, &[("compression.type", codec), ("linger.ms", "100")], &samples());
        assert!(offsets.into_iter().eq(0..7), "{codec}");
        let read = consume(&node, codec, 0, Offset::Beginning);
        assert!(read.iter().map(|(offset, _)| *offset).eq(0..7), "{codec}");
        assert!(read.iter().map(|(_, sample)| sample).eq(&samples()), "{codec}");
        // Another client finds the same in what this one has written.
        assert!(with_krafka::read(&node, codec, 0).iter().eq(&samples()), "{codec}");
    }
}

#[test]
fn records_are_written_with_each_acks() {
    let node = Node::start();
    let sample = |text: &str| Sample::of(None, Some(text.as_bytes()));
    for acks in ["0", "1", "all"] {
        create_topic(&node, acks, 1);
        let offsets =
            produce(&node, acks, &[("acks", acks), ("linger.ms", "0")], &[sample("a"), sample("b")]);
        if acks != "0" {
            assert_eq!(offsets, [0, 1], "acks={acks}");
        }
    }
    // One connection may be overtaken by another: what is behind the end of acks=0 comes when it comes.
    let read = with_krafka::read_so_many(&node, "0", 0, 2);
    assert_eq!(read, [sample("a"), sample("b")]);
    for acks in ["1", "all"] {
        assert_eq!(consume(&node, acks, 0, Offset::Beginning), [(0, sample("a")), (1, sample("b"))]);
    }
}

#[test]
fn an_idempotent_producer_writes_many_batches_in_order() {
    let node = Node::start();
    create_topic(&node, "t", 1);
    let many: Vec<Sample> =
        (0..5000).map(|number: i32| Sample::of(None, Some(&number.to_be_bytes()))).collect();
    let settings = [("enable.idempotence", "true"), ("batch.num.messages", "50"), ("linger.ms", "0")];
    assert!(produce(&node, "t", &settings, &many).into_iter().eq(0..5000));
    assert!(consume(&node, "t", 0, Offset::Beginning).into_iter().map(|(_, sample)| sample).eq(many));
}

#[test]
fn reading_begins_anywhere() {
    let node = Node::start();
    create_topic(&node, "t", 1);
    produce(&node, "t", &[], &samples());
    for (from, first) in
        [(Offset::Offset(3), 3), (Offset::End, 7), (Offset::OffsetTail(2), 5), (Offset::Beginning, 0)]
    {
        let read = consume(&node, "t", 0, from);
        assert!(read.iter().map(|(offset, _)| *offset).eq(first..7), "{from:?}");
    }
}
