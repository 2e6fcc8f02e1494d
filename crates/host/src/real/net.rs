//! TCP: names, listening, connecting.

use std::io;
use std::net::SocketAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

use socket2::{Domain, Protocol, Socket, Type};

use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::BoxFuture;
use crate::net::{Listener, Net, Stream};

#[derive(Debug)]
pub(super) struct TcpNet {
    backlog: i32,
}

impl TcpNet {
    pub(super) fn new(backlog: u32) -> Self {
        Self { backlog: i32::try_from(backlog).unwrap_or(i32::MAX) }
    }

    fn bind(&self, addr: SocketAddr) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        // A restart must not wait for the old connections to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        if addr.is_ipv6() {
            socket.set_only_v6(!addr.ip().is_unspecified())?;
        }
        socket.bind(&addr.into())?;
        socket.listen(self.backlog)?;
        TcpListener::new(socket.into())
    }

    async fn try_listen(&self, host: &str, port: u16) -> io::Result<TcpListener> {
        let mut addrs = if host.is_empty() {
            // All interfaces of both families, or of the old one where the kernel has no IPv6.
            vec![
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            ]
        } else {
            let mut addrs = resolve(host, port).await?;
            // `localhost` means 127.0.0.1 first, as for the Java server.
            addrs.sort_by_key(SocketAddr::is_ipv6);
            addrs
        };
        addrs.dedup();
        first_of(addrs.into_iter().map(|addr| self.bind(addr)))
    }
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    // An IPv6 address may come in brackets, as in a listener's URL.
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

/// The first success, or the last error. A port that is taken is told at once: the server must not end up on another
/// address of its name, where only some clients find it.
fn first_of<T>(attempts: impl Iterator<Item = io::Result<T>>) -> io::Result<T> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for attempt in attempts {
        match attempt {
            Ok(success) => return Ok(success),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn try_connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in resolve(host, port).await? {
        match tokio::net::TcpStream::connect(addr).await {
            Ok(stream) => return TcpStream::new(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn at(doing: &'static str, host: &str, port: u16) -> impl FnOnce(io::Error) -> io::Error {
    let text = format!("cannot {doing} {host}:{port}");
    move |error| io::Error::new(error.kind(), format!("{text}: {error}"))
}

impl Net for TcpNet {
    fn listen<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = self.try_listen(host, port).await.map_err(at("listen on", host, port))?;
            Ok(Box::new(listener) as Box<dyn Listener>)
        })
    }

    fn connect<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = try_connect(host, port).await.map_err(at("connect to", host, port))?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}
