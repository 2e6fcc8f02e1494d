//! The simulated world.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod network;
mod worlds;

use std::time::Duration;

use host::sim::{NodeOptions, Sim};
use host::{Host, Place, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const PORT: u16 = 9092;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Answers every number with its double.
async fn serve(host: Host) {
    let mut listener = host.net.listen("", PORT).await.unwrap();
    loop {
        let Ok(incoming) = listener.accept().await else { continue };
        host.spawn(Place::Shard(host.rng.below(2) as usize), "connection", async move {
            let mut stream = incoming.into_stream().unwrap();
            while let Ok(number) = stream.read_u64().await {
                if stream.write_u64(number * 2).await.is_err() {
                    return;
                }
            }
        });
    }
}

pub(crate) fn server(sim: &Sim, name: &str) -> Host {
    let host = sim.node(name, NodeOptions::default());
    host.spawn(Place::Control, "server", serve(host.clone()));
    host
}

pub(crate) async fn ask(stream: &mut Box<dyn Stream>, number: u64) -> std::io::Result<u64> {
    stream.write_u64(number).await?;
    stream.read_u64().await
}
