//! A broker on the real machine, in a directory of its own and on ports that are free.

use std::path::Path;

use broker::Node;
use host::Host;
use host::real::{self, Options};
use metadata::config::{BrokerConfig, StaticConfig};

use super::Client;

pub(crate) struct Real {
    pub(crate) host: Host,
    pub(crate) node: Option<Node>,
    pub(crate) dir: tempfile::TempDir,
    statics: StaticConfig,
}

/// Runs a test against a broker on sockets and files, with these configs over the defaults.
pub(crate) fn run_real(configs: &[(&str, &str)], test: impl AsyncFnOnce(&mut Real)) {
    let dir = tempfile::tempdir().unwrap();
    let mut statics = StaticConfig::new();
    statics.set("listeners", "PLAINTEXT://127.0.0.1:0");
    statics.set("log.dirs", dir.path().to_str().unwrap());
    for (name, value) in configs {
        statics.set(*name, *value);
    }
    let options = Options { shards: 2, ..Options::default() };
    let ran = real::run(options, async |host: Host| {
        let mut real = Real { host, node: None, dir, statics };
        real.start().await;
        test(&mut real).await;
        real.stop().await;
    });
    ran.unwrap();
}

impl Real {
    async fn start(&mut self) {
        let (config, _) = BrokerConfig::load(&self.statics).unwrap();
        self.node = Some(Node::start(self.host.clone(), self.statics.clone(), config).await.unwrap());
    }

    async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.stop().await;
        }
    }

    /// Stops the broker cleanly and starts it again, on other ports.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// The port of the n-th listener.
    pub(crate) fn port(&self, listener: usize) -> u16 {
        self.node.as_ref().unwrap().endpoints()[listener].port
    }

    pub(crate) async fn connect(&self) -> Client {
        self.connect_to("127.0.0.1", self.port(0)).await
    }

    pub(crate) async fn connect_to(&self, host: &str, port: u16) -> Client {
        let stream = self.host.net.connect(host, port).await.unwrap();
        let clock = self.host.clock.clone();
        Client::over(stream, Box::new(move |time| Box::pin(clock.sleep(time))))
    }

    /// The only segment file of a topic's partition 0.
    pub(crate) fn segment(&self, topic: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("{topic}-0")).join(Path::new("00000000000000000000.log"))
    }
}
