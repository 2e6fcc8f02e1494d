//! [`Event`]: what happens in a run, as clients and the outside world see it.

use std::fmt;

use protocol::records::BatchHeader;
use protocol::{Offset, ProducerId, Str, TopicId};

use crate::value::Id;

/// One partition of one topic. Topics that are deleted and made again have a log for each life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Log {
    pub(crate) topic: Str,
    pub(crate) partition: i32,
}

impl Log {
    /// The topic's name; of a topic that comes and goes, without the id of this life.
    pub(crate) fn name(&self) -> &str {
        self.topic.as_str().split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What the end of a process may have cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// The operating system has lived on: everything written is there.
    Process,
    /// What was not synced may be gone.
    Unsynced,
}

/// A record as a reader got it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) offset: Offset,
    /// `None` if it is nothing that a producer of ours makes.
    pub(crate) id: Option<Id>,
    /// Whether it is what was sent, byte for byte but for its time.
    pub(crate) whole: bool,
    /// Whether its time is that which was sent.
    pub(crate) in_time: bool,
}

/// One transaction of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Transaction {
    pub(crate) transactor: usize,
    /// Tells those apart that have the same number in another life.
    pub(crate) life: u64,
    pub(crate) number: u64,
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}/{}#{}", self.transactor, self.life, self.number)
    }
}

/// Configs of a topic by name; `None` for the default.
pub(crate) type Settings = Vec<(Str, Option<Str>)>;

/// Who reads; each has a number of its own.
pub(crate) type Reader = usize;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// What this producer sends from number `n` on is a new producer's work; it knows nothing of the one before.
    ProducerBegins {
        producer: usize,
        n: u64,
    },
    /// A record is about to be handed to a producer.
    Sent {
        id: Id,
        log: Log,
    },
    /// The producer says that it is written.
    Acked {
        id: Id,
        log: Log,
        offset: Option<Offset>,
    },
    /// The producer says that it does not know, or that it is not.
    Failed {
        id: Id,
        error: String,
    },
    /// The broker's process has ended.
    Down {
        setback: Setback,
    },
    /// A bit of a file is another one now.
    Rotten {
        path: String,
        byte: u64,
    },
    /// The broker serves.
    Up,
    /// A raw fetch leaves.
    FetchBegins {
        reader: Reader,
        log: Log,
    },
    /// Its answer has come.
    Watermark {
        reader: Reader,
        log: Log,
        log_start: Offset,
        high_watermark: Offset,
    },
    /// The answer brought a batch; `expected` is the offset that the reader wanted next.
    Batch {
        reader: Reader,
        log: Log,
        expected: Offset,
        header: BatchHeader,
        records: Vec<Seen>,
    },
    /// The consumer of the client library brought records.
    Chunk {
        reader: Reader,
        log: Log,
        high_watermark: Offset,
        records: Vec<Seen>,
    },
    /// A position that was good once is refused.
    OutOfRange {
        reader: Reader,
        log: Log,
        position: Offset,
    },
    /// The first record at or after a time was asked for. The answer speaks of all records below `end`, at least.
    FoundByTime {
        log: Log,
        timestamp: i64,
        end: Offset,
        found: Option<Offset>,
    },
    /// A reader begins anew, from the earliest offset.
    ReaderBegins {
        reader: Reader,
    },
    /// A producer id was given out on request.
    ProducerIdGiven {
        id: ProducerId,
    },
    TopicMade {
        topic: Str,
        id: TopicId,
    },
    /// A topic just made holds records already.
    NotEmpty {
        log: Log,
        end: Offset,
    },
    TopicDeleted {
        topic: Str,
        id: TopicId,
    },
    /// A change of configs is about to be asked for.
    AlterBegins {
        topic: Str,
        settings: Settings,
    },
    /// The broker says that they are changed.
    Altered {
        topic: Str,
        settings: Settings,
    },
    /// The broker tells what is set.
    Described {
        topic: Str,
        settings: Settings,
    },
    /// Records below an offset, or all if there is none, are about to be deleted.
    TrimBegins {
        log: Log,
        before: Option<Offset>,
    },
    /// They are, and the log starts there now.
    Trimmed {
        log: Log,
        before: Option<Offset>,
        start: Offset,
    },
    /// A record is about to be sent as part of a transaction.
    Joined {
        transaction: Transaction,
        id: Id,
        log: Log,
    },
    /// The broker says that it is written.
    Written {
        transaction: Transaction,
        id: Id,
        offset: Option<Offset>,
    },
    /// The end of a transaction is about to be asked for.
    EndBegins {
        transaction: Transaction,
        commit: bool,
    },
    /// The broker says that it has ended so.
    Ended {
        transaction: Transaction,
        commit: bool,
    },
    /// A reader of committed records was told how far it may read.
    Stable {
        reader: Reader,
        log: Log,
        last_stable: Offset,
    },
    /// What this reader reads next is part of a transaction. It may be anywhere.
    ReadsFor {
        reader: Reader,
        transaction: Transaction,
    },
    /// What this reader reads next may be anywhere.
    Sought {
        reader: Reader,
    },
    /// What it has delivered.
    Committed {
        reader: Reader,
        log: Log,
        records: Vec<Seen>,
    },
    /// A list of topics was asked for. Deletions that were answered before must be in the answer.
    ListBegins {
        reader: Reader,
    },
    Listed {
        reader: Reader,
        topics: Vec<(Str, TopicId)>,
    },
}

fn ids(records: &[Seen]) -> String {
    const SHOWN_MAX: usize = 6;
    let ids = records.iter().take(SHOWN_MAX).map(|record| match record.id {
        Some(id) => id.to_string(),
        None => "?".to_owned(),
    });
    let mut text = ids.collect::<Vec<_>>().join(" ");
    if records.len() > SHOWN_MAX {
        text += &format!(" and {} more", records.len() - SHOWN_MAX);
    }
    text
}

fn shown(settings: &Settings) -> String {
    let one = |(name, value): &(Str, Option<Str>)| match value {
        Some(value) => format!("{name}={value}"),
        None => format!("{name} as usual"),
    };
    settings.iter().map(one).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProducerBegins { producer, n } => write!(f, "p{producer} begins anew at #{n}"),
            Self::Sent { id, log } => write!(f, "{id} -> {log}"),
            Self::Acked { id, log, offset: Some(offset) } => write!(f, "{id} acked at {log}@{offset}"),
            Self::Acked { id, log, offset: None } => write!(f, "{id} acked at {log}, somewhere"),
            Self::Failed { id, error } => write!(f, "{id} failed: {error}"),
            Self::Down { setback } => write!(f, "the broker is down: {setback:?}"),
            Self::Rotten { path, byte } => write!(f, "{path} has changed at byte {byte}"),
            Self::Up => write!(f, "the broker is up"),
            Self::FetchBegins { reader, log } => write!(f, "r{reader} fetches {log}"),
            Self::Watermark { reader, log, log_start, high_watermark } => {
                write!(f, "r{reader} sees {log} from {log_start} to {high_watermark}")
            }
            Self::Batch { reader, log, expected, header, records } => {
                let (base, epoch) = (header.base_offset, header.partition_leader_epoch);
                let (producer, sequence) = (header.producer_id, header.base_sequence);
                let ids = ids(records);
                write!(
                    f,
                    "r{reader} at {log}@{expected} reads {base} epoch {epoch} of {producer}/{sequence}: {ids}"
                )
            }
            Self::Chunk { reader, log, high_watermark, records } => {
                let first = records.first().map_or(Offset::NONE, |record| record.offset);
                write!(f, "r{reader} takes {log}@{first} of {high_watermark}: {}", ids(records))
            }
            Self::OutOfRange { reader, log, position } => {
                write!(f, "r{reader} finds {log}@{position} out of range")
            }
            Self::FoundByTime { log, timestamp, end, found } => {
                write!(f, "{log} has {found:?} at or after {timestamp}, up to {end}")
            }
            Self::ReaderBegins { reader } => write!(f, "r{reader} begins anew"),
            Self::ProducerIdGiven { id } => write!(f, "producer id {id} is given"),
            Self::TopicMade { topic, id } => write!(f, "topic {topic} is made as {id}"),
            Self::NotEmpty { log, end } => write!(f, "{log} is new and ends at {end}"),
            Self::TopicDeleted { topic, id } => write!(f, "topic {topic}, {id}, is deleted"),
            Self::AlterBegins { topic, settings } => write!(f, "{topic} is to have {}", shown(settings)),
            Self::Altered { topic, settings } => write!(f, "{topic} is changed to {}", shown(settings)),
            Self::Described { topic, settings } => write!(f, "{topic} has {}", shown(settings)),
            Self::TrimBegins { log, before } => write!(f, "{log} is to lose what is below {before:?}"),
            Self::Trimmed { log, before, start } => {
                write!(f, "{log} has lost what is below {before:?} and starts at {start}")
            }
            Self::Joined { transaction, id, log } => write!(f, "{transaction} has {id} in {log}"),
            Self::Written { transaction, id, offset } => {
                write!(f, "{id} of {transaction} is written at {offset:?}")
            }
            Self::EndBegins { transaction, commit: true } => write!(f, "{transaction} is to be committed"),
            Self::EndBegins { transaction, commit: false } => write!(f, "{transaction} is to be aborted"),
            Self::Ended { transaction, commit: true } => write!(f, "{transaction} is committed"),
            Self::Ended { transaction, commit: false } => write!(f, "{transaction} is aborted"),
            Self::Stable { reader, log, last_stable } => {
                write!(f, "r{reader} may read {log} up to {last_stable}")
            }
            Self::Committed { reader, log, records } => {
                write!(f, "r{reader} delivers of {log}: {}", ids(records))
            }
            Self::ReadsFor { reader, transaction } => write!(f, "r{reader} reads for {transaction}"),
            Self::Sought { reader } => write!(f, "r{reader} goes elsewhere"),
            Self::ListBegins { reader } => write!(f, "r{reader} lists the topics"),
            Self::Listed { reader, topics } => write!(f, "r{reader} sees {} topics", topics.len()),
        }
    }
}
