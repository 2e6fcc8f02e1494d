//! Records of a coordinator as batches that its topic takes.

use coordinator::{Producer, Record};
use protocol::records::{BatchBuilder, BatchOptions, BuildError, Compression, NewRecord, ValidBatch};

use super::kind::Kind;
use super::partition::PartitionTask;

/// Bytes of a batch unless the topic allows less; one record may be larger.
const BATCH_BYTES: usize = 512 << 10;

/// Records that follow each other, all of them of one transaction or of none.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) producer: Option<Producer>,
    pub(super) records: Vec<Record>,
}

pub(super) fn batches<K: Kind>(task: &PartitionTask<K>, runs: &[Run]) -> Result<Vec<ValidBatch>, BuildError> {
    let view = task.view.view();
    let allowed = view.settings_of(task.key.topic_id).map(|settings| settings.rules.message_bytes_max);
    let bytes_max = BATCH_BYTES.min(allowed.unwrap_or(BATCH_BYTES));
    let timestamp = task.host.clock.wall_ms();
    let compression = Compression { codec: K::codec(&view), level: None };
    let mut batches = Vec::new();
    for run in runs {
        let mut options = BatchOptions { compression, ..BatchOptions::default() };
        if let Some(producer) = run.producer {
            options.producer_id = producer.id;
            options.producer_epoch = producer.epoch;
            options.transactional = true;
        }
        let mut builder = BatchBuilder::new(options);
        for record in &run.records {
            let key = Some(record.key.as_ref());
            let record = NewRecord { timestamp, key, value: record.value.as_deref(), headers: &[] };
            let full = builder.uncompressed_size() + BatchBuilder::size_of(&record) > bytes_max;
            if full && !builder.is_empty() {
                batches.push(builder.build_valid()?);
                builder = BatchBuilder::new(options);
            }
            builder.append(&record)?;
        }
        batches.push(builder.build_valid()?);
    }
    Ok(batches)
}
