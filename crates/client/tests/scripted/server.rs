//! Brokers that follow a script. What the script leaves open is answered as a broker would.

use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes, BytesMut};
use client::{Cluster, ClusterOptions};
use host::sim::{NodeOptions, Sim};
use host::{Host, Place, Stream};
use protocol::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use protocol::messages::init_producer_id_response::InitProducerIdResponse;
use protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use protocol::wire::{self, Response};
use protocol::{ApiKey, ErrorCode, Reader, Str, Uuid, Writer, rpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const PORT: u16 = 9092;
/// The two brokers: host names, and node ids by their places.
pub(crate) const BROKERS: [&str; 2] = ["one", "two"];
pub(crate) const TOPIC: &str = "t";
pub(crate) const TOPIC_ID: Uuid = Uuid::from_bytes([7; 16]);

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Request {
    /// The node id of the broker it was sent to.
    pub(crate) node: i32,
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    body: Bytes,
}

impl Request {
    pub(crate) fn read<R: wire::Request>(&self) -> R {
        R::decode(&mut Reader::new(&self.body), self.version).unwrap()
    }

    pub(crate) fn answer(&self, body: &impl Response) -> Reply {
        self.answer_in(self.version, body)
    }

    pub(crate) fn answer_in(&self, version: i16, body: &impl Response) -> Reply {
        let frame = rpc::encode_response(&mut Writer::new(), version, self.correlation_id, body);
        Reply::Send(frame.unwrap().into_bytes().unwrap())
    }
}

pub(crate) enum Reply {
    /// These bytes, whatever they are.
    Send(Bytes),
    /// These bytes and then the end of the stream.
    SendAndHangUp(Bytes),
    HangUp,
    Silence,
    /// Nothing is read from this connection any more.
    Deaf,
}

/// `None` leaves the answer to [`usual`].
type Script = dyn FnMut(&Request) -> Option<Reply> + Send;

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) sim: host::sim::Control,
    /// Key, version and node of every request.
    pub(crate) seen: Arc<Mutex<Vec<(ApiKey, i16, i32)>>>,
}

impl World {
    pub(crate) fn cluster(&self) -> Cluster {
        self.cluster_with(ClusterOptions::new([format!("one:{PORT}")]))
    }

    pub(crate) fn cluster_with(&self, options: ClusterOptions) -> Cluster {
        Cluster::start(&self.host, options).unwrap()
    }

    /// How many requests of this kind were made.
    pub(crate) fn count(&self, key: ApiKey) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.0 == key).count()
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.host.now().0 / 1_000_000_000
    }
}

/// Runs a test beside two brokers that follow the script.
pub(crate) fn run(
    script: impl FnMut(&Request) -> Option<Reply> + Send + 'static,
    test: impl AsyncFnOnce(&World),
) {
    let sim = Sim::new(11);
    let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(script));
    let seen = Arc::default();
    for (name, node) in BROKERS.into_iter().zip(1..) {
        let host = sim.node(name, NodeOptions::default());
        let (on, script, seen) = (host.clone(), Arc::clone(&script), Arc::clone(&seen));
        host.spawn(Place::Control, "listen", async move {
            let mut listener = on.net.listen(name, PORT).await.unwrap();
            while let Ok(incoming) = listener.accept().await {
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                on.spawn(Place::Control, "serve", async move {
                    serve(incoming.into_stream().unwrap(), node, &script, &seen).await;
                });
            }
        });
    }
    let host = sim.node("client", NodeOptions::default());
    let world = World { host, sim: (*sim).clone(), seen };
    sim.block_on_node("client", async { test(&world).await });
}

async fn serve(
    mut stream: Box<dyn Stream>,
    node: i32,
    script: &Mutex<Script>,
    seen: &Mutex<Vec<(ApiKey, i16, i32)>>,
) {
    while let Some(frame) = next_frame(&mut stream).await {
        let mut reader = Reader::new(&frame);
        let (key, header) = rpc::decode_request_header(&mut reader).unwrap();
        let body = reader.rest();
        let (version, correlation_id) = (header.request_api_version, header.correlation_id);
        seen.lock().unwrap().push((key, version, node));
        let request = Request { node, key, version, correlation_id, body };
        let reply = script.lock().unwrap()(&request);
        match reply.unwrap_or_else(|| usual(&request, 1)) {
            // The client may have hung up.
            Reply::Send(bytes) => drop(stream.write_all(&bytes).await),
            Reply::SendAndHangUp(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Reply::HangUp => return,
            Reply::Silence => {}
            Reply::Deaf => std::future::pending().await,
        }
    }
}

async fn next_frame(stream: &mut Box<dyn Stream>) -> Option<Bytes> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix).await.ok()?;
    let mut frame = BytesMut::zeroed(u32::from_be_bytes(prefix) as usize);
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame.copy_to_bytes(frame.len()))
}

/// What a broker answers in a cluster of two with one topic of one partition.
pub(crate) fn usual(request: &Request, leader: i32) -> Reply {
    match request.key {
        ApiKey::ApiVersions => request.answer(&versions()),
        ApiKey::Metadata => request.answer(&metadata(leader)),
        ApiKey::InitProducerId => {
            request.answer(&InitProducerIdResponse { producer_id: 7, ..Default::default() })
        }
        key => panic!("the script says nothing about {key:?}"),
    }
}

/// Everything in every version.
pub(crate) fn versions() -> ApiVersionsResponse {
    let range = |key: ApiKey| ApiVersion {
        api_key: key.code(),
        min_version: key.versions().min,
        max_version: key.versions().max,
    };
    ApiVersionsResponse { api_keys: ApiKey::all().map(range).collect(), ..Default::default() }
}

pub(crate) fn metadata(leader: i32) -> MetadataResponse {
    let broker = |(name, node_id): (&str, i32)| MetadataResponseBroker {
        node_id,
        host: Str::from(name),
        port: i32::from(PORT),
        ..Default::default()
    };
    let partition = MetadataResponsePartition {
        leader_id: leader,
        leader_epoch: leader,
        replica_nodes: vec![1, 2],
        isr_nodes: vec![1, 2],
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some(Str::from(TOPIC)),
        topic_id: TOPIC_ID,
        partitions: vec![partition],
        ..Default::default()
    };
    MetadataResponse {
        brokers: BROKERS.into_iter().zip(1..).map(broker).collect(),
        controller_id: 1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// A topic that is not as [`metadata`] has it.
pub(crate) fn metadata_error(code: ErrorCode) -> MetadataResponse {
    let mut response = metadata(1);
    response.topics[0].error_code = code.code();
    response.topics[0].partitions.clear();
    response
}
