//! What clients see of a broker, in a simulated world under virtual time: each rule that Kafka's clients count on, as
//! one test named after it.
//!
//! | rule | where |
//! |---|---|
//! | advertised ranges of 4.4; Produce from 0 though 0-2 are refused; unknown ApiVersions -> v0 and 35; cluster and node check -> 129 | `versions` |
//! | every version of every API is answered; other keys and versions end the connection | `versions` |
//! | acks; one bad partition fails no other; RecordErrors; LogAppendTime; max timestamp; control batches; one batch a partition; codecs by version | `produce` |
//! | acks=0: no answer, and a closed connection on failure; NOT_ENOUGH_REPLICAS before the append; order of pipelined writes | `produce` |
//! | duplicates, gaps, epochs, wrap at the largest int32, any sequence after expiry, state over restarts, ids given once | `producers` |
//! | high watermark and log end; out of range; first batch exempt from limits; FENCED and UNKNOWN epochs; diverging epoch; ids; isolation | `fetch` |
//! | max wait, min bytes over all partitions, what wakes a reader, requests behind a waiting one | `waiting` |
//! | sessions: incremental answers, errors, eviction, turns | `sessions` |
//! | ListOffsets -1 to -6, times, epochs; OffsetForLeaderEpoch at its edges | `offsets` |
//! | creation is visible when answered; automatic creation; null and empty lists; ids; re-created topics; epochs at each start; pages | `metadata` |
//! | names, collisions, counts, assignments, validate_only, deletion by id, adding partitions, sources and synonyms of configs | `topics` |
//! | idle close, max.connections(.per.ip), slow readers, order of answers before an end, clean stop | `connections` |
//! | random, cut and changed frames; lengths and counts; damaged, lying and exploding batches; negative times | `hostile` |
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]

mod connections;
mod disks;
mod fetch;
mod fetch_limits;
mod hostile;
mod listeners;
mod metadata;
mod offsets;
mod produce;
mod producers;
mod real;
mod sessions;
mod support;
mod topics;
mod versions;
mod waiting;
