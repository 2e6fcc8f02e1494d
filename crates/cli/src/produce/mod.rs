//! `bourn produce`

mod csv;
mod json;
mod lines;
mod report;
mod source;
mod text;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Acks, Cluster, Producer, ProducerOptions};
use host::Host;
use protocol::Str;
use protocol::records::{Codec, Compression};

use self::lines::Lines;
use self::report::{Report, Summary};
use self::source::{Source, Sourced, Template};
use crate::context::{Globals, explain};
use crate::output;
use crate::topic::name_value;

#[derive(clap::Args)]
pub(crate) struct Produce {
    topic: String,
    /// Read this file instead of standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the input is
    #[arg(long, value_enum, default_value_t = Input::Text, value_name = "FORMAT")]
    format: Input,
    /// With CSV: the column whose value becomes the key
    #[arg(short, long, value_name = "COLUMN")]
    key: Option<String>,
    /// With CSV: the value is the row as it stands, not a JSON object
    #[arg(long)]
    raw: bool,
    /// With CSV: what stands between two fields; \t for a tab
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// With text: what stands between key and value of a line; \t for a tab
    #[arg(long, value_name = "TEXT", value_parser = separator)]
    key_separator: Option<String>,
    /// A header for every record; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME=VALUE", value_parser = name_value)]
    headers: Vec<(String, String)>,
    /// Write to this partition instead of one chosen by the key
    #[arg(short, long, value_name = "PARTITION", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// How batches are compressed: none, gzip, snappy, lz4 or zstd; zstd:19 for a level
    #[arg(short = 'z', long, value_name = "CODEC", default_value = "none", value_parser = compression)]
    compression: Compression,
    /// Who must have a record before it counts as written
    #[arg(long, value_enum, default_value_t = AcksName::All, value_name = "ACKS")]
    acks: AcksName,
    /// How many bytes of records one batch collects
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10)]
    batch_bytes: usize,
    /// How long a batch waits to fill
    #[arg(long, value_name = "MS", default_value_t = 5)]
    linger_ms: u64,
    /// How long a record is tried
    #[arg(long, value_name = "MS", default_value_t = 120_000)]
    delivery_timeout_ms: u64,
    /// The longest line that is accepted
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    line_bytes_max: usize,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    /// Each line is a value
    Text,
    /// A header row, then a row a record
    Csv,
    /// A JSON value a line; an object with key, value, headers, partition, timestamp is the whole record
    Json,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum AcksName {
    /// Nobody: losses are not noticed
    #[value(name = "0")]
    None,
    /// The leader
    #[value(name = "1")]
    Leader,
    /// All in-sync replicas
    #[value(name = "all", alias = "-1")]
    All,
}

impl AcksName {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }

    pub(crate) fn acks(self) -> Acks {
        match self {
            Self::None => Acks::None,
            Self::Leader => Acks::Leader,
            Self::All => Acks::All,
        }
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text {
        "\\t" => Ok(b'\t'),
        _ => match text.as_bytes() {
            [byte] if *byte != b'"' && *byte != b'\n' => Ok(*byte),
            _ => Err("expected one ASCII character, or \\t".to_owned()),
        },
    }
}

fn separator(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it must not be empty".to_owned()) } else { Ok(text.replace("\\t", "\t")) }
}

pub(crate) fn compression(text: &str) -> Result<Compression, String> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level.parse().map_err(|_| format!("{level:?} is no level"))?)),
        None => (text, None),
    };
    let codec = Codec::from_name(name);
    let codec = codec.ok_or_else(|| "expected none, gzip, snappy, lz4 or zstd".to_owned())?;
    Ok(Compression { codec, level })
}

impl Produce {
    pub(crate) fn run(self, globals: &Globals) -> anyhow::Result<()> {
        self.check()?;
        let (summary, ended) =
            globals.with_cluster(async |host, cluster| self.write(&host, &cluster).await)?;
        if globals.is_json() {
            output::print_json(&summary)?;
        } else {
            eprintln!("{}", summary.sentence());
        }
        ended?;
        if summary.failed > 0 {
            bail!("{} could not be written", output::counted(summary.failed, "record"));
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        let csv_only = [("--key", self.key.is_some()), ("--raw", self.raw)];
        if let Some((flag, _)) = csv_only.iter().find(|(_, given)| *given && self.format != Input::Csv) {
            bail!("{flag} needs --format csv");
        }
        if self.key_separator.is_some() && self.format != Input::Text {
            bail!("--key-separator needs --format text");
        }
        Ok(())
    }

    fn options(&self) -> ProducerOptions {
        let acks = self.acks.acks();
        // Room for the largest line with its headers.
        let largest = self.line_bytes_max.saturating_mul(2).saturating_add(64 << 10);
        ProducerOptions {
            acks,
            idempotence: acks == Acks::All,
            compression: self.compression,
            batch_bytes: self.batch_bytes,
            linger: Duration::from_millis(self.linger_ms),
            delivery_timeout: Duration::from_millis(self.delivery_timeout_ms),
            request_bytes_max: largest.max(4 << 20),
            buffer_bytes: (64 << 20_usize).max(largest.saturating_mul(2)).max(self.batch_bytes),
            ..ProducerOptions::default()
        }
    }

    /// What was written, and whether that was all of the input.
    async fn write(&self, host: &Host, cluster: &Cluster) -> anyhow::Result<(Summary, anyhow::Result<()>)> {
        let (input, input_bytes) = self.open()?;
        let mut source = self.source(input)?;
        let topic = Str::from(&self.topic);
        // So that a wrong name or a broker that is not there is said at once.
        cluster.topic(&topic, true).await.map_err(explain)?;
        let producer = Producer::start(cluster, self.options()).map_err(explain)?;
        let mut report = Report::start(host, &self.topic, input_bytes);
        let ended = feed(&mut *source, &producer, &mut report).await;
        producer.flush().await.map_err(explain)?;
        Ok((report.finish(host).await?, ended))
    }

    fn open(&self) -> anyhow::Result<(Box<dyn BufRead>, Option<u64>)> {
        let Some(path) = &self.file else {
            return Ok((Box::new(BufReader::with_capacity(BUFFER, std::io::stdin().lock())), None));
        };
        let cannot = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot)?;
        let facts = file.metadata().with_context(cannot)?;
        if facts.is_dir() {
            bail!("cannot read {}: it is a directory", path.display());
        }
        let bytes = facts.is_file().then_some(facts.len());
        Ok((Box::new(BufReader::with_capacity(BUFFER, file)), bytes))
    }

    fn source(&self, input: Box<dyn BufRead>) -> anyhow::Result<Box<dyn Source>> {
        let lines = Lines::new(input, self.line_bytes_max);
        let template = Template {
            topic: Str::from(&self.topic),
            partition: self.partition,
            headers: self.headers.clone(),
        };
        Ok(match self.format {
            Input::Text => Box::new(text::Text::new(lines, template, self.key_separator.clone())),
            Input::Json => Box::new(json::Json::new(lines, template)),
            Input::Csv => {
                let options =
                    csv::CsvOptions { delimiter: self.delimiter, key: self.key.clone(), raw: self.raw };
                Box::new(csv::Csv::new(lines, template, options)?)
            }
        })
    }
}

const BUFFER: usize = 256 << 10;

/// Until the input ends. Reading blocks this thread; nothing else runs on it.
async fn feed(source: &mut dyn Source, producer: &Producer, report: &mut Report) -> anyhow::Result<()> {
    while let Some(next) = source.next()? {
        match next {
            Err(bad) => report.bad(bad),
            Ok(Sourced { line, record }) => {
                let len = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                let size = len(&record.key) + len(&record.value);
                match producer.send(record).await {
                    Ok(delivery) => report.sent(line, size, delivery).await?,
                    Err(error @ client::Error::Refused { .. }) => {
                        report.bad(source::Bad::new(line, explain(error).to_string()));
                    }
                    Err(error) => return Err(explain(error)),
                }
            }
        }
        report.progress(source.read());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_options() {
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        assert!(delimiter("").is_err() && delimiter("ab").is_err() && delimiter("ä").is_err());
        assert_eq!(separator("\\t:"), Ok("\t:".to_owned()));
        assert_eq!(compression("zstd:3"), Ok(Compression { codec: Codec::Zstd, level: Some(3) }));
        assert_eq!(compression("none"), Ok(Compression::default()));
        assert!(compression("brotli").is_err() && compression("gzip:x").is_err());
    }
}
