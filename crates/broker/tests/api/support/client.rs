//! One connection of a client that knows the protocol and trusts nobody.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use host::sim::Control;
use host::{BoxFuture, Host, Stream};
use protocol::wire::Request;
use protocol::{Str, Writer, rpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::SERVER;

/// Far above anything a broker does without being waited for.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Waits, in the time of the world.
pub(crate) type Pause = Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) struct Client {
    pause: Pause,
    stream: Box<dyn Stream>,
    received: BytesMut,
    sent: i32,
    answered: i32,
    client_id: Str,
}

impl Client {
    pub(crate) async fn connect(sim: &Control, host: &Host, port: u16) -> Self {
        let stream = host.net.connect(SERVER, port).await.unwrap();
        let sim = sim.clone();
        Self::over(stream, Box::new(move |time| Box::pin(sim.sleep(time))))
    }

    pub(crate) fn over(stream: Box<dyn Stream>, pause: Pause) -> Self {
        let client_id = Str::from("test");
        Self { pause, stream, received: BytesMut::new(), sent: 0, answered: 0, client_id }
    }

    /// With another client id from here on.
    pub(crate) fn named(mut self, client_id: &str) -> Self {
        self.client_id = Str::from(client_id);
        self
    }

    /// The bytes of the next request.
    pub(crate) fn encode<R: Request>(&mut self, version: i16, request: &R) -> Bytes {
        let client_id = Some(self.client_id.clone());
        let frame = rpc::encode_request(&mut Writer::new(), version, self.sent, client_id, request);
        self.sent += 1;
        frame.unwrap().into_bytes().unwrap()
    }

    /// Sends a request and leaves its answer for [`Client::receive`].
    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        let bytes = self.encode(version, request);
        self.send_bytes(&bytes).await;
    }

    /// Sends anything. A broker that has hung up is no error: the next read tells.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// No answer will come to the request sent last.
    pub(crate) fn skip(&mut self) {
        self.answered += 1;
    }

    /// The answer to the oldest request without one.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let frame = self.frame().await.expect("the broker hung up");
        let (correlation_id, response) = rpc::decode_response::<R>(&frame, version).unwrap();
        assert_eq!(correlation_id, self.answered, "answers come in the order of the requests");
        self.answered += 1;
        response
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.receive::<R>(version).await
    }

    /// The next frame without its length, or none if the broker has hung up.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(len) = self.received.first_chunk::<4>() {
                let len = usize::try_from(i32::from_be_bytes(*len)).unwrap();
                if self.received.len() >= 4 + len {
                    self.received.advance(4);
                    return Some(self.received.split_to(len).freeze());
                }
            }
            let read = self.within(PATIENCE).await.expect("the broker neither answers nor hangs up");
            if !read {
                assert!(self.received.is_empty(), "the broker hung up in the middle of an answer");
                return None;
            }
        }
    }

    /// Reads once: false at the end of the stream, none if nothing came in time.
    async fn within(&mut self, time: Duration) -> Option<bool> {
        tokio::select! {
            biased;
            read = self.stream.read_buf(&mut self.received) => Some(read.is_ok_and(|len| len > 0)),
            () = (self.pause)(time) => None,
        }
    }

    /// Says nothing for a while.
    pub(crate) async fn pause(&self, time: Duration) {
        (self.pause)(time).await;
    }

    /// Whether the broker hangs up without another answer.
    pub(crate) async fn is_hung_up(&mut self) -> bool {
        self.frame().await.is_none()
    }

    /// Sends nothing more; the broker sees the end of the stream.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Reads whatever comes until the broker hangs up; how many bytes that were.
    pub(crate) async fn drain(&mut self) -> usize {
        let mut bytes = self.received.len();
        self.received.clear();
        while self.within(PATIENCE).await.expect("the broker does not hang up") {
            bytes += self.received.len();
            self.received.clear();
        }
        bytes
    }

    /// Reads at least so many bytes, whatever they are, and forgets them.
    pub(crate) async fn some_bytes(&mut self, at_least: usize) -> usize {
        let mut bytes = 0;
        while bytes < at_least {
            assert_eq!(self.within(PATIENCE).await, Some(true), "the broker hung up");
            bytes += self.received.len();
            self.received.clear();
        }
        bytes
    }

    /// Asserts that nothing comes for so long.
    pub(crate) async fn silence(&mut self, time: Duration) {
        assert_eq!(self.within(time).await, None, "the broker said something: {:?}", self.received);
    }
}
