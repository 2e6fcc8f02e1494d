//! `bourn log dump`

use std::io::{self, Write};

use anyhow::{Context, bail};
use host::{Files, OpenMode};
use protocol::ProducerId;
use protocol::records::{BatchHeader, Limits, Records, Scratch, TimestampType, TxnMarker, ValidBatch};
use serde::Serialize;
use serde_json::{Value, json};
use storage::producers::{AbortedTransaction, ProducerState};
use storage::segment::names::FileKind;
use storage::segment::{epoch_file, producer_snapshot, txn_index};

use super::Paths;
use super::files::{Found, Kind, find};
use super::index;
use super::segment::Walk;
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    paths: Paths,
    /// Show the records of each batch, too
    #[arg(short, long)]
    records: bool,
}

/// The bound of the small text files and snapshots.
const SMALL_BYTES_MAX: u64 = 64 << 20;

impl Dump {
    pub(super) fn run(&self, files: &dyn Files, json: bool) -> anyhow::Result<()> {
        let mut out = Out { to: io::BufWriter::new(io::stdout().lock()), json };
        let mut damaged = 0;
        for found in find(files, &self.paths.paths)? {
            if !json {
                output::written(writeln!(out.to, "{}", found.path().display()))?;
            }
            if let Err(error) = self.file(files, &found, &mut out) {
                out.to.flush()?;
                if output::is_broken_pipe(&error) {
                    return Err(error);
                }
                damaged += 1;
                eprintln!("bourn: {}: {error:#}", found.path().display());
            }
        }
        output::written(out.to.flush())?;
        if damaged > 0 {
            bail!(
                "{} could not be read to the end; `bourn log verify` says what is wrong and what to do",
                output::counted(damaged, "file")
            );
        }
        Ok(())
    }

    fn file(&self, files: &dyn Files, found: &Found, out: &mut Out<impl Write>) -> anyhow::Result<()> {
        let path = found.path();
        let file = path.display().to_string();
        let small = || files.read(&path, SMALL_BYTES_MAX);
        match found.kind {
            Kind::Segment(_, FileKind::Log) => self.log(files, found, out),
            Kind::Segment(base, FileKind::Index) => {
                for entry in index::offsets(files, &path, base)?.entries {
                    let line = format!("offset {} position {}", entry.last_offset, entry.position);
                    let json =
                        json!({"file": file, "offset": entry.last_offset.get(), "position": entry.position});
                    out.line(&line, &json)?;
                }
                Ok(())
            }
            Kind::Segment(base, FileKind::TimeIndex) => {
                for entry in index::times(files, &path, base)?.entries {
                    let line = format!("timestamp {} offset {}", entry.timestamp_ms, entry.offset);
                    let json =
                        json!({"file": file, "timestamp": entry.timestamp_ms, "offset": entry.offset.get()});
                    out.line(&line, &json)?;
                }
                Ok(())
            }
            Kind::Segment(_, FileKind::TxnIndex) => {
                for aborted in txn_index::decode(&small()?).map_err(anyhow::Error::msg)? {
                    out.aborted(&file, &aborted)?;
                }
                Ok(())
            }
            Kind::Segment(base, FileKind::Snapshot) => {
                let producers =
                    producer_snapshot::decode(&small()?, base).context("the snapshot is damaged")?;
                for (id, state) in producers.iter() {
                    out.producer(&file, id, state)?;
                }
                Ok(())
            }
            Kind::Epochs => {
                let text = String::from_utf8(small()?)?;
                let epochs = epoch_file::decode(&text).context("the file is damaged")?;
                for entry in epochs.entries() {
                    let line = format!("leader epoch {} from offset {}", entry.epoch, entry.start);
                    let (epoch, start) = (entry.epoch.get(), entry.start.get());
                    out.line(&line, &json!({"file": file, "leader_epoch": epoch, "start_offset": start}))?;
                }
                Ok(())
            }
            Kind::Metadata => {
                let text = String::from_utf8(small()?)?;
                for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
                    out.line(
                        &format!("{name} {value}"),
                        &json!({"file": file, "name": name, "value": value}),
                    )?;
                }
                Ok(())
            }
        }
    }

    fn log(&self, files: &dyn Files, found: &Found, out: &mut Out<impl Write>) -> anyhow::Result<()> {
        let path = found.path();
        let name = path.display().to_string();
        let file = files.open(&path, OpenMode::READ)?;
        let mut walk = Walk::new(&*file)?;
        let (mut scratch, mut damaged) = (Scratch::default(), 0);
        while let Some(next) = walk.next()? {
            let at = next.with_context(|| format!("at byte {}", walk.position))?;
            let batch = Batch::new(&name, at.position, &at.header, at.checked.as_ref().ok());
            out.line(&batch.line(), &batch)?;
            match at.checked {
                Ok(batch) if self.records => records(&name, &batch, &mut scratch, out)
                    .with_context(|| format!("at byte {}", at.position))?,
                Ok(_) => {}
                Err(error) => {
                    damaged += 1;
                    eprintln!("bourn: {name}: at byte {}: {error}", at.position);
                }
            }
        }
        if damaged > 0 {
            bail!("damaged batches: {}", output::grouped(damaged));
        }
        Ok(())
    }
}

struct Out<W> {
    to: W,
    json: bool,
}

impl<W: Write> Out<W> {
    fn aborted(&mut self, file: &str, aborted: &AbortedTransaction) -> anyhow::Result<()> {
        let AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset } = *aborted;
        let line = format!(
            "producer {producer_id} aborted offsets {first_offset}-{last_offset} last stable offset {last_stable_offset}"
        );
        let json = json!({
            "file": file, "producer_id": producer_id.get(), "first_offset": first_offset.get(),
            "last_offset": last_offset.get(), "last_stable_offset": last_stable_offset.get(),
        });
        self.line(&line, &json)
    }

    fn producer(&mut self, file: &str, id: ProducerId, state: &ProducerState) -> anyhow::Result<()> {
        let last = state.batches.back();
        let (sequence, offset) = last.map_or((-1, -1), |mark| (mark.last_sequence, mark.last_offset.get()));
        let transaction = state.transaction.map(protocol::Offset::get);
        let (epoch, coordinator_epoch) = (state.epoch, state.coordinator_epoch);
        let coordinator = if coordinator_epoch < 0 {
            String::new()
        } else {
            format!(" coordinator epoch {coordinator_epoch}")
        };
        let open =
            transaction.map_or(String::new(), |first| format!(" transaction open from offset {first}"));
        let line = format!(
            "producer {id} epoch {epoch} last sequence {sequence} last offset {offset}{coordinator}{open}"
        );
        let json = json!({
            "file": file, "producer_id": id.get(), "producer_epoch": epoch, "last_sequence": sequence,
            "last_offset": offset, "coordinator_epoch": coordinator_epoch,
            "transaction_first_offset": transaction.unwrap_or(-1),
        });
        self.line(&line, &json)
    }

    fn line(&mut self, text: &str, json: &impl Serialize) -> anyhow::Result<()> {
        output::written(match self.json {
            true => serde_json::to_string(json)
                .map_err(io::Error::from)
                .and_then(|line| writeln!(self.to, "{line}")),
            false => writeln!(self.to, "  {text}"),
        })
    }
}

/// Part of the JSON that docs/cli.md describes.
#[derive(Serialize)]
struct Batch<'a> {
    file: &'a str,
    position: u64,
    size: usize,
    base_offset: i64,
    last_offset: i64,
    records: i32,
    leader_epoch: i32,
    max_timestamp: i64,
    timestamp_type: &'static str,
    compression: String,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    /// How a transaction ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    marker: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinator_epoch: Option<i32>,
    crc: u32,
    crc_valid: bool,
}

impl<'a> Batch<'a> {
    fn new(file: &'a str, position: u64, header: &BatchHeader, checked: Option<&ValidBatch>) -> Self {
        let attributes = header.attributes;
        let marker = checked.filter(|_| attributes.is_control());
        let marker = marker.and_then(|batch| TxnMarker::of(batch).ok().flatten());
        let codec = attributes.codec().map(|codec| codec.name().to_owned());
        Self {
            file,
            position,
            size: header.size(),
            base_offset: header.base_offset.get(),
            last_offset: header.last_offset().get(),
            records: header.record_count,
            leader_epoch: header.partition_leader_epoch.get(),
            max_timestamp: header.max_timestamp,
            timestamp_type: match attributes.timestamp_type() {
                TimestampType::CreateTime => "CreateTime",
                TimestampType::LogAppendTime => "LogAppendTime",
            },
            compression: codec.unwrap_or_else(|| format!("unknown ({})", attributes.codec_id())),
            producer_id: header.producer_id.get(),
            producer_epoch: header.producer_epoch.get(),
            base_sequence: header.base_sequence,
            transactional: attributes.is_transactional(),
            control: attributes.is_control(),
            marker: marker.map(|marker| if marker.commit { "COMMIT" } else { "ABORT" }),
            coordinator_epoch: marker.map(|marker| marker.coordinator_epoch),
            crc: header.crc,
            crc_valid: checked.is_some(),
        }
    }

    fn line(&self) -> String {
        let producer = if self.producer_id < 0 {
            String::new()
        } else {
            format!(" producer {}/{} sequence {}", self.producer_id, self.producer_epoch, self.base_sequence)
        };
        let flags = [
            (self.transactional, " transactional"),
            (self.control, " control"),
            (!self.crc_valid, " DAMAGED"),
        ];
        let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        let marker = self.marker.zip(self.coordinator_epoch);
        let marker =
            marker.map_or(String::new(), |(kind, epoch)| format!(" {kind} coordinator epoch {epoch}"));
        format!(
            "position {} size {} offsets {}-{} records {} epoch {} timestamp {} {} {}{producer}{flags}{marker}",
            self.position,
            self.size,
            self.base_offset,
            self.last_offset,
            self.records,
            self.leader_epoch,
            self.max_timestamp,
            self.timestamp_type,
            self.compression,
        )
    }
}

fn records(
    file: &str,
    batch: &ValidBatch,
    scratch: &mut Scratch,
    out: &mut Out<impl Write>,
) -> anyhow::Result<()> {
    let text = |bytes: &Option<bytes::Bytes>| match bytes {
        None => "null".to_owned(),
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    };
    let lossy = |bytes: &Option<bytes::Bytes>| {
        bytes.as_ref().map_or(Value::Null, |bytes| Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    for record in Records::open(batch, scratch, &Limits::default())? {
        let record = record?;
        let headers: Vec<String> = record
            .headers
            .iter()
            .map(|header| format!("{}={}", header.key.escape_ascii(), text(&header.value)))
            .collect();
        let line = format!(
            "  offset {} timestamp {} key {} value {} headers [{}]",
            record.offset,
            record.timestamp,
            text(&record.key),
            text(&record.value),
            headers.join(", "),
        );
        let headers: Vec<Value> = record
            .headers
            .iter()
            .map(|header| json!({"key": String::from_utf8_lossy(&header.key), "value": lossy(&header.value)}))
            .collect();
        let json = json!({
            "file": file, "offset": record.offset.get(), "timestamp": record.timestamp,
            "key": lossy(&record.key), "value": lossy(&record.value), "headers": headers,
        });
        out.line(&line, &json)?;
    }
    Ok(())
}
