//! `bourn consume --group`: as a member of a consumer group.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Assignor, Chunk, Cluster, ConsumerOptions, GroupConsumer, GroupOptions, GroupProtocol};
use client::{OutOfRange, Start};
use host::real::{self, Signals};
use host::{Host, Instant};
use protocol::{Offset, Str};

use super::failures::Failures;
use super::template::Template;
use super::{BUFFER, Consume, FLUSH_AFTER, fetch_error};
use crate::context::explain;
use crate::output;
use crate::start::first;

#[derive(clap::Args)]
#[command(next_help_heading = "Consumer groups")]
pub(super) struct GroupArgs {
    /// Read as a member of this consumer group: from where it has come to, or --from where nothing is committed; what has
    /// been written out is committed every five seconds and at the end
    #[arg(short, long, conflicts_with = "partitions")]
    pub(super) group: Option<String>,
    /// How the group assigns partitions: by its coordinator (consumer, KIP-848) or by a member (classic) [default: consumer,
    /// or classic where the brokers or the group cannot have that]
    #[arg(long, value_enum, requires = "group", value_name = "PROTOCOL")]
    group_protocol: Option<Protocol>,
    /// Be the static member of this name, which keeps its partitions while it is away for a short time
    #[arg(long, requires = "group", value_name = "ID")]
    instance_id: Option<String>,
    /// Who gets what: uniform or range with the consumer protocol; range, roundrobin or cooperative-sticky with the classic one
    #[arg(long, requires = "group", value_name = "NAME,...", value_delimiter = ',')]
    assignor: Vec<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Classic,
    Consumer,
}

/// Whoever gets nothing for so long has nothing to wait for, unless it follows.
const IDLE_AFTER: Duration = Duration::from_secs(15);

impl GroupArgs {
    fn options(&self, group: &str, topic: &Str, consumer: ConsumerOptions) -> anyhow::Result<GroupOptions> {
        let mut options = GroupOptions::new(group, [topic.clone()]);
        options.protocol = match self.group_protocol {
            None => GroupProtocol::Auto,
            Some(Protocol::Classic) => GroupProtocol::Classic,
            Some(Protocol::Consumer) => GroupProtocol::Consumer,
        };
        options.instance_id = self.instance_id.as_ref().map(Str::from);
        options.consumer = consumer;
        match (self.group_protocol, self.assignor.as_slice()) {
            (_, []) => {}
            (Some(Protocol::Classic), names) => {
                let named = |name: &String| {
                    let known = Assignor::ALL.map(Assignor::name).join(", ");
                    Assignor::named(name).with_context(|| format!("--assignor {name}: there are {known}"))
                };
                options.assignors = names.iter().map(named).collect::<anyhow::Result<_>>()?;
            }
            (Some(Protocol::Consumer), [name]) => options.server_assignor = Some(Str::from(name)),
            (Some(Protocol::Consumer), _) => bail!("--assignor: a group of the consumer protocol has one"),
            (None, _) => bail!("--assignor goes with --group-protocol, whose protocols have different ones"),
        }
        Ok(options)
    }
}

impl Consume {
    pub(super) async fn read_as_member(
        &self,
        group: &str,
        host: &Host,
        cluster: &Cluster,
        format: &Template,
    ) -> anyhow::Result<()> {
        let topic = Str::from(&self.topic);
        let out_of_range = match self.from.start() {
            Start::Earliest => OutOfRange::Earliest,
            Start::Latest => OutOfRange::Latest,
            _ => bail!("--from is earliest or latest with --group: the group's offsets say where it goes on"),
        };
        cluster.topic(&topic, false).await.map_err(explain)?;
        let consumer = ConsumerOptions { out_of_range, ..self.options() };
        let options = self.member.options(group, &topic, consumer)?;
        let mut signals = real::signals().context("cannot catch SIGINT")?;
        let mut consumer = GroupConsumer::start(cluster, options).map_err(explain)?;
        match self.copy_as_member(host, &mut consumer, &mut signals, format).await {
            Ok(()) => consumer.close().await.map_err(explain),
            Err(error) => {
                consumer.leave().await;
                Err(error)
            }
        }
    }

    /// Until a signal or an end.
    async fn copy_as_member(
        &self,
        host: &Host,
        consumer: &mut GroupConsumer,
        signals: &mut Signals,
        format: &Template,
    ) -> anyhow::Result<()> {
        let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut failures = Failures::default();
        let mut empty_since: Option<Instant> = None;
        loop {
            let polled = match first(signals.next(), consumer.poll(FLUSH_AFTER)).await {
                Ok(_) => return Ok(()),
                Err(polled) => polled.map_err(fetch_error)?,
            };
            failures.look(host.now(), consumer.reader(), self.follow)?;
            let Some(Chunk { partition, records, .. }) = polled else {
                if !self.follow && (consumer.is_at_end() || idles(consumer, &mut empty_since, host.now())) {
                    return Ok(());
                }
                continue;
            };
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(records.len());
            for record in records.iter().take(wanted) {
                output::written(format.write(&mut out, &partition, record))?;
            }
            // What is committed has been written.
            output::written(out.flush())?;
            left = left.saturating_sub(wanted as u64);
            if left == 0 {
                if let Some(last) = wanted.checked_sub(1).and_then(|place| records.get(place)) {
                    consumer.seek(&partition, Offset(last.offset.get() + 1));
                }
                return Ok(());
            }
        }
    }
}

/// Whether nothing has been assigned for so long that nothing will be.
fn idles(consumer: &GroupConsumer, empty_since: &mut Option<Instant>, now: Instant) -> bool {
    if !consumer.assignment().is_empty() {
        *empty_since = None;
        return false;
    }
    now.since(*empty_since.get_or_insert(now)) >= IDLE_AFTER
}
