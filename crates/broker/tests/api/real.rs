//! What only the real machine has: sockets of both families, and answers that leave by sendfile.

use protocol::ErrorCode;
use protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use protocol::messages::metadata_request::MetadataRequest;

use crate::support::Client;
use crate::support::real::{Real, run_real};
use crate::support::requests::{FETCH, METADATA, Topic, batch, fetch, from_offset, only, values};

async fn told(client: &mut Client) -> (String, i32) {
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    let answer = client.call(METADATA, &request).await;
    (answer.brokers[0].host.to_string(), answer.brokers[0].port)
}

#[test]
fn each_family_is_told_its_own_address() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        // A machine without IPv6: then one listener is all that can be tried.
        return run_real(&[], async |real| {
            let mut client = real.connect().await;
            assert_eq!(told(&mut client).await, ("127.0.0.1".to_owned(), i32::from(real.port(0))));
        });
    }
    let configs = [
        ("listeners", "PLAINTEXT://127.0.0.1:0,SIX://[::1]:0,ALL://:0"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SIX:PLAINTEXT,ALL:PLAINTEXT"),
        // Counted once, although the third listener sees this machine's IPv4 address as an IPv6 one.
        ("max.connections.per.ip.overrides", "127.0.0.1:2"),
    ];
    run_real(&configs, async |real| {
        let [four, six, all] = [0, 1, 2].map(|listener| real.port(listener));
        let mut client = real.connect_to("127.0.0.1", four).await;
        assert_eq!(told(&mut client).await, ("127.0.0.1".to_owned(), i32::from(four)));
        let mut client = real.connect_to("::1", six).await;
        assert_eq!(told(&mut client).await, ("::1".to_owned(), i32::from(six)));
        let mut mapped = real.connect_to("127.0.0.1", all).await;
        assert_eq!(told(&mut mapped).await, ("localhost".to_owned(), i32::from(all)));
        assert!(real.connect_to("127.0.0.1", all).await.is_hung_up().await);
        let mut client = real.connect_to("::1", all).await;
        assert_eq!(told(&mut client).await.1, i32::from(all));
    });
}

/// A topic of batches of 100 KB in one segment file, and none of it in memory.
async fn cold(real: &mut Real, batches: usize) -> (Topic, Vec<String>) {
    let mut client = real.connect().await;
    let topic = client.create("t", 1, &[]).await;
    let letters = "abcdefghijklmnopqrstuvwxyz".chars().cycle();
    let values: Vec<String> =
        letters.take(batches).map(|letter| letter.to_string().repeat(100_000)).collect();
    for value in &values {
        assert_eq!(client.append_code(&topic, batch(&[value])).await, ErrorCode::None);
    }
    drop(client);
    real.restart().await;
    (topic, values)
}

fn everything(topic: &Topic) -> FetchRequest {
    let part = FetchPartition { partition_max_bytes: 1 << 30, ..from_offset(0, 0) };
    FetchRequest { max_bytes: 1 << 30, ..fetch(FETCH, topic, vec![part]) }
}

#[test]
fn cold_records_come_byte_for_byte_as_they_are_in_the_file() {
    run_real(&[], async |real| {
        let (topic, all) = cold(real, 80).await;
        let file = std::fs::read(real.segment("t")).unwrap();
        let mut client = real.connect().await;
        // More than one call of sendfile takes, and more than a socket holds.
        let answer = client.call(FETCH, &everything(&topic)).await;
        let part = only(&answer);
        assert_eq!(part.records.as_ref().unwrap().to_bytes().unwrap()[..], file[..]);
        assert_eq!(values(part), all);
        // From the middle on, and behind it an answer out of memory.
        let answer = client.read(&topic, 40).await;
        let bytes = answer.records.as_ref().unwrap().to_bytes().unwrap();
        let at = file.len() / 80 * 40;
        assert_eq!(bytes[..], file[at..at + bytes.len()]);
        client.fill(&topic, &["new"]).await;
        assert_eq!(values(&client.read(&topic, 80).await), ["new"]);
    });
}

#[test]
fn a_file_that_turns_out_short_ends_the_connection() {
    run_real(&[("connections.max.idle.ms", "600000")], async |real| {
        let (topic, all) = cold(real, 200).await;
        let mut client = real.connect().await;
        // The sockets hold a part of these 20 MB; the rest waits for a client that does not read yet.
        client.send(FETCH, &everything(&topic)).await;
        let begun = client.some_bytes(1 << 20).await;
        let file = std::fs::OpenOptions::new().write(true).open(real.segment("t")).unwrap();
        let whole = file.metadata().unwrap().len();
        file.set_len(whole / 2).unwrap();
        let came = begun + client.drain().await;
        let promised = all.len() * 100_000;
        assert!(came < promised, "{came} bytes of {promised}: what is missing is not made up");
        // Other connections go on.
        assert_eq!(told(&mut real.connect().await).await.0, "127.0.0.1");
    });
}
