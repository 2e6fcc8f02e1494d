//! Asks for everything at once, takes the answers a few bytes at a time, and goes away in the middle of one.

use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use host::net::Stream;
use protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use protocol::rpc::encode_request;
use protocol::wire::Writer;
use tokio::io::ReadBuf;

use super::Context;
use super::fetch::Fetcher;
use crate::scenario::{BROKER, PORT};

/// The newest version that names topics by their ids.
const VERSION: i16 = 16;

pub(super) async fn run(context: Context) {
    while !context.is_stopped() {
        if let Some(Err(error)) = context.until_stopped(dawdle(&context)).await {
            context.history.note(&format!("the sluggard: {error}"));
        }
        context.pause(context.dice.millis(10, 2000)).await;
    }
}

async fn dawdle(context: &Context) -> io::Result<()> {
    let topic = context.dice.index(context.scenario.topics.len());
    let Some(plan) = context.scenario.topics.get(topic) else { return Ok(()) };
    let fetcher = Fetcher::new(&context.cluster(), &context.history, context.reader(), &plan.name);
    let (id, partitions) = fetcher.look_up().await.map_err(io::Error::other)?;
    let partitions = (0..partitions.min(50)).map(|partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    });
    let request = FetchRequest {
        min_bytes: 1,
        max_bytes: 10 << 20,
        topics: vec![FetchTopic {
            topic_id: id.0,
            partitions: partitions.collect(),
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    };
    let mut stream = context.host.net.connect(BROKER, PORT).await?;
    for correlation_id in 0..20 {
        let frame = encode_request(&mut Writer::new(), VERSION, correlation_id, None, &request);
        let bytes = frame.and_then(|frame| frame.into_bytes()).map_err(io::Error::other)?;
        // The last request is cut off in the middle.
        let end = if correlation_id == 19 { bytes.len() / 2 } else { bytes.len() };
        write_all(&mut *stream, bytes.get(..end).unwrap_or_default()).await?;
    }
    for _ in 0..context.dice.between(1, 300) {
        if context.is_stopped() {
            break;
        }
        let most = context.dice.pick(&[1, 1000, 60_000]);
        if read_some(&mut *stream, most).await? == 0 {
            break;
        }
        context.pause(Duration::from_millis(context.dice.pick(&[0, 5, 50]))).await;
    }
    Ok(())
}

async fn write_all(stream: &mut dyn Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, bytes)).await?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

async fn read_some(stream: &mut dyn Stream, most: usize) -> io::Result<usize> {
    let mut bytes = vec![0; most];
    let mut into = ReadBuf::new(&mut bytes);
    std::future::poll_fn(|cx| match Pin::new(&mut *stream).poll_read(cx, &mut into) {
        Poll::Ready(result) => Poll::Ready(result.map(|()| into.filled().len())),
        Poll::Pending => Poll::Pending,
    })
    .await
}
