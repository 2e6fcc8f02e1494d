use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use host::net::{Listener, Stream};
use host::{Host, OpenMode, Place};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

type Pair = (Box<dyn Stream>, Box<dyn Stream>);

async fn listen(host: &Host) -> (Box<dyn Listener>, u16) {
    let listener = host.net.listen("127.0.0.1", 0).await.unwrap();
    let port = listener.local_addr().port();
    assert_ne!(port, 0);
    (listener, port)
}

async fn connect(host: &Host, listener: &mut Box<dyn Listener>) -> Pair {
    let port = listener.local_addr().port();
    let (connected, incoming) = tokio::join!(host.net.connect("127.0.0.1", port), listener.accept());
    (connected.unwrap(), incoming.unwrap().into_stream().unwrap())
}

async fn pair(host: &Host) -> Pair {
    let (mut listener, _) = listen(host).await;
    connect(host, &mut listener).await
}

pub(crate) async fn echo(host: Host, _dir: PathBuf) {
    let (mut client, mut server) = pair(&host).await;
    client.write_all(b"ping").await.unwrap();
    let mut buf = [0; 4];
    server.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"ping");
    let pieces = [std::io::IoSlice::new(b"po"), std::io::IoSlice::new(b"ng")];
    let mut sent = server.write_vectored(&pieces).await.unwrap();
    while sent < 4 {
        sent += server.write(&b"pong"[sent..]).await.unwrap();
    }
    server.flush().await.unwrap();
    client.read_exact(&mut buf).await.unwrap();
    assert_eq!(&buf, b"pong");
}

fn pattern(len: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period.repeat(len / period.len() + 1);
    bytes.truncate(len);
    bytes
}

pub(crate) async fn backpressure(host: Host, _dir: PathBuf) {
    let (mut client, mut server) = pair(&host).await;
    let (full, was_full) = oneshot::channel();
    let task = host.spawn(Place::Shard(0), "reader", async move {
        // Nothing is read until the writer has had to wait.
        was_full.await.unwrap();
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert!(read == pattern(read.len()));
        server.write_all(&(read.len() as u64).to_be_bytes()).await.unwrap();
    });
    // More than Linux lets a connection buffer by default.
    let data = pattern(24 << 20);
    let mut full = Some(full);
    let mut sent = 0;
    while sent < data.len() && full.is_some() || sent < 1 << 20 {
        let write = client.write(&data[sent..]);
        tokio::pin!(write);
        let written = std::future::poll_fn(|cx| match write.as_mut().poll(cx) {
            std::task::Poll::Pending => {
                if let Some(full) = full.take() {
                    full.send(()).unwrap();
                }
                std::task::Poll::Pending
            }
            ready => ready,
        });
        sent += written.await.unwrap();
    }
    assert!(full.is_none(), "24 MiB went into a connection that nobody reads");
    client.shutdown().await.unwrap();
    let mut count = [0; 8];
    client.read_exact(&mut count).await.unwrap();
    assert_eq!(u64::from_be_bytes(count), sent as u64);
    task.ended().await;
}

pub(crate) async fn end_of_stream(host: Host, _dir: PathBuf) {
    let (mut client, mut server) = pair(&host).await;
    client.write_all(b"last words").await.unwrap();
    client.shutdown().await.unwrap();
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last words");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    read.clear();
    client.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"answer");
}

pub(crate) async fn peer_gone(host: Host, _dir: PathBuf) {
    let (mut client, server) = pair(&host).await;
    drop(server);
    let mut buf = [0; 1];
    assert_eq!(client.read(&mut buf).await.unwrap(), 0);
    let error = loop {
        if let Err(error) = client.write_all(&[0; 1000]).await {
            break error;
        }
        tokio::task::yield_now().await;
    };
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
}

pub(crate) async fn refused(host: Host, _dir: PathBuf) {
    let (listener, port) = listen(&host).await;
    drop(listener);
    let error = host.net.connect("127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")), "{error}");
    assert!(host.net.connect("no such host!", 1).await.is_err());
}

pub(crate) async fn taken_port(host: Host, _dir: PathBuf) {
    let (listener, port) = listen(&host).await;
    let error = host.net.listen("127.0.0.1", port).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    drop(listener);
    assert_eq!(host.net.listen("127.0.0.1", port).await.unwrap().local_addr().port(), port);
}

pub(crate) async fn addresses(host: Host, _dir: PathBuf) {
    let (mut listener, port) = listen(&host).await;
    let (connected, incoming) = tokio::join!(host.net.connect("localhost", port), listener.accept());
    let (client, incoming) = (connected.unwrap(), incoming.unwrap());
    assert_eq!(incoming.peer_addr(), client.local_addr());
    assert_eq!(incoming.local_addr(), client.peer_addr());
    let server = incoming.into_stream().unwrap();
    assert_eq!(server.peer_addr(), client.local_addr());
    assert_eq!(server.local_addr(), client.peer_addr());
    assert_eq!(client.peer_addr().port(), port);
    let everywhere = host.net.listen("", 0).await.unwrap();
    host.net.connect("127.0.0.1", everywhere.local_addr().port()).await.unwrap();
}

pub(crate) async fn served_on_a_shard(host: Host, _dir: PathBuf) {
    let (mut listener, port) = listen(&host).await;
    let client = host.spawn(Place::Shard(1), "client", {
        let host = host.clone();
        async move {
            let mut stream = host.net.connect("127.0.0.1", port).await.unwrap();
            stream.write_all(b"hi").await.unwrap();
            let mut buf = [0; 2];
            stream.read_exact(&mut buf).await.unwrap();
            assert_eq!(&buf, b"HI");
        }
    });
    let incoming = listener.accept().await.unwrap();
    let (ok, served) = oneshot::channel();
    host.spawn(Place::Shard(0), "server", async move {
        let mut stream = incoming.into_stream().unwrap();
        let mut buf = [0; 2];
        stream.read_exact(&mut buf).await.unwrap();
        stream.write_all(&buf.to_ascii_uppercase()).await.unwrap();
        ok.send(()).unwrap();
    });
    served.await.unwrap();
    client.ended().await;
}

pub(crate) async fn send_file(host: Host, dir: PathBuf) {
    let data = pattern(3 << 20);
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from(data.clone())], 0).unwrap();
    let (mut client, mut server) = pair(&host).await;
    let sender = host.spawn(Place::Control, "sender", async move {
        client.write_all(b"head").await.unwrap();
        client.send_file(&file, 100, 2 << 20).await.unwrap();
        client.send_file(&file, 0, 0).await.unwrap();
        client.write_all(b"tail").await.unwrap();
    });
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert!(read == [b"head", &data[100..100 + (2 << 20)], b"tail"].concat());
    sender.ended().await;
}

pub(crate) async fn send_short_file(host: Host, dir: PathBuf) {
    let file = host.disk.files().open(&dir.join("a"), OpenMode::CREATE).unwrap();
    file.write_at(&[Bytes::from_static(b"short")], 0).unwrap();
    let (mut client, mut server) = pair(&host).await;
    let error = client.send_file(&file, 2, 100).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    drop(client);
    let mut read = Vec::new();
    server.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"ort");
}

pub(crate) async fn many_connections(host: Host, _dir: PathBuf) {
    const COUNT: u64 = 50;
    let (mut listener, port) = listen(&host).await;
    let server_host = host.clone();
    let server = host.spawn(Place::Control, "server", async move {
        for n in 0..COUNT {
            let incoming = listener.accept().await.unwrap();
            let place = Place::Shard(usize::try_from(n).unwrap());
            server_host.spawn(place, "connection", async move {
                let mut stream = incoming.into_stream().unwrap();
                let number = stream.read_u64().await.unwrap();
                stream.write_u64(number * 2).await.unwrap();
            });
        }
    });
    let (results, mut answers) = mpsc::unbounded_channel();
    for n in 0..COUNT {
        let (host, results) = (Arc::new(host.clone()), results.clone());
        host.clone().spawn(Place::Control, "client", async move {
            let mut stream = host.net.connect("127.0.0.1", port).await.unwrap();
            stream.write_u64(n).await.unwrap();
            results.send((n, stream.read_u64().await.unwrap())).unwrap();
        });
    }
    drop(results);
    let mut found = Vec::new();
    while let Some(answer) = answers.recv().await {
        found.push(answer);
    }
    found.sort_unstable();
    assert_eq!(found, (0..COUNT).map(|n| (n, n * 2)).collect::<Vec<_>>());
    server.ended().await;
}
