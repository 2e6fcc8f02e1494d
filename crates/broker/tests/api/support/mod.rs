//! A broker in a simulated world under virtual time, and clients that speak raw protocol to it.

mod client;
pub(crate) mod real;
pub(crate) mod requests;

use std::sync::Arc;
use std::time::Duration;

use broker::{Node, Usage};
use host::sim::{Control, NodeOptions, Options, Sim};
use host::{Host, Place};
use metadata::config::{BrokerConfig, StaticConfig};
use tokio::sync::oneshot;

pub(crate) use client::Client;

/// The broker's node in the world, which is its host name, too, and its port.
pub(crate) const SERVER: &str = "server";
pub(crate) const PORT: u16 = 9092;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// One broker and whoever talks to it.
pub(crate) struct World {
    pub(crate) sim: Control,
    host: Host,
    statics: StaticConfig,
    node: Option<Node>,
    clients: Host,
}

/// Runs a test against a broker with these configs over the defaults.
pub(crate) fn run(configs: &[(&str, &str)], test: impl AsyncFnOnce(&mut World)) {
    run_in(Options::new(7), configs, test);
}

/// As [`run`], with other rules of the world.
pub(crate) fn run_in(options: Options, configs: &[(&str, &str)], test: impl AsyncFnOnce(&mut World)) {
    let sim = Sim::with_options(options);
    let host = sim.node(SERVER, NodeOptions::default());
    let clients = sim.node("clients", NodeOptions::default());
    let mut statics = StaticConfig::new();
    statics.set("listeners", format!("PLAINTEXT://{SERVER}:{PORT}"));
    statics.set("log.dirs", "/data");
    // Simulated disks are made of memory.
    statics.set("bourn.journal.max.bytes", (64 << 20).to_string());
    for (name, value) in configs {
        statics.set(*name, *value);
    }
    let control: Control = (*sim).clone();
    let mut world = World { sim: control, host, statics, node: None, clients };
    sim.block_on(async {
        world.start().await;
        test(&mut world).await;
    });
}

impl World {
    async fn start(&mut self) {
        self.try_start().await.unwrap();
    }

    /// Starts the broker if it can; why not otherwise.
    async fn try_start(&mut self) -> Result<(), String> {
        let (config, _) = BrokerConfig::load(&self.statics).unwrap();
        let (host, statics) = (self.host.clone(), self.statics.clone());
        let started = self.on_server(async move { Node::start(host, statics, config).await }).await;
        self.node = Some(started.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// Starts a stopped broker again if it can; why not otherwise.
    pub(crate) async fn start_again(&mut self) -> Result<(), String> {
        self.sim.kill(SERVER);
        self.host = self.sim.restart(SERVER);
        self.try_start().await
    }

    /// From the next start on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.statics.set(name, value);
    }

    /// The server's clock.
    pub(crate) fn wall_ms(&self) -> i64 {
        self.host.clock.wall_ms()
    }

    /// The server's files.
    pub(crate) fn files(&self) -> Arc<dyn host::Files> {
        self.host.disk.files()
    }

    /// From now on the server's disk neither reads nor writes in `directory`.
    pub(crate) fn break_directory(&self, directory: &str) {
        self.sim.disk(SERVER).faults(|faults| {
            faults.only = directory.to_owned();
            faults.read_error_ppm = 1_000_000;
            faults.write_error_ppm = 1_000_000;
        });
    }

    /// From now on nothing in `directory` can be synced.
    pub(crate) fn fail_syncs(&self, directory: &str) {
        self.sim.disk(SERVER).faults(|faults| {
            faults.only = directory.to_owned();
            faults.sync_error_ppm = 1_000_000;
        });
    }

    /// Runs a future as a task of the broker's node.
    async fn on_server<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (send, receive) = oneshot::channel();
        self.host.spawn(Place::Control, "test", async move {
            let _ = send.send(future.await);
        });
        receive.await.unwrap()
    }

    /// Stops the broker cleanly and leaves it down.
    pub(crate) async fn stop(&mut self) {
        let node = self.node.take().unwrap();
        self.on_server(node.stop()).await;
    }

    /// Stops the broker cleanly and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await.unwrap();
    }

    /// Ends the broker as `kill -9` does, and leaves it down.
    pub(crate) fn kill(&mut self) {
        self.node = None;
        self.sim.kill(SERVER);
    }

    /// Power loss, then a start on what the disk has kept.
    pub(crate) async fn crash(&mut self) {
        self.sim.crash(SERVER);
        self.node = None;
        self.host = self.sim.restart(SERVER);
        self.start().await;
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_to(PORT).await
    }

    /// A connection to another listener.
    pub(crate) async fn connect_to(&self, port: u16) -> Client {
        Client::connect(&self.sim, &self.clients, port).await
    }

    /// What clients make the broker hold.
    pub(crate) fn usage(&self) -> Usage {
        self.node.as_ref().unwrap().usage()
    }

    /// What the broker says it listens on and tells clients.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        let endpoints = self.node.iter().flat_map(|node| node.endpoints());
        endpoints.map(ToString::to_string).collect()
    }

    /// A connection from a machine of its own.
    pub(crate) async fn connect_from(&self, name: &str) -> Client {
        let host = self.sim.host(name);
        Client::connect(&self.sim, &host.unwrap(), PORT).await
    }

    pub(crate) fn add_machine(&self, name: &str) {
        self.sim.node(name, NodeOptions::default());
    }
}
