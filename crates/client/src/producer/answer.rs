//! What a broker's answer means for a batch.

use protocol::messages::produce_response::PartitionProduceResponse;
use protocol::{ErrorCode, Offset};

use crate::Error;
use crate::cluster::refused;

#[derive(Debug)]
pub(super) enum Verdict {
    Written {
        base_offset: Offset,
        append_time_ms: Option<i64>,
    },
    /// Send it again, after a pause.
    Again {
        error: Error,
    },
    /// The broker's idea of our sequences is not ours: send again, in a new epoch if this is the oldest batch.
    AgainInOrder {
        error: Error,
    },
    /// Too large for the topic: send its halves.
    Halves {
        error: Error,
    },
    Refused {
        error: Error,
    },
}

pub(super) fn verdict(answer: &PartitionProduceResponse, subject: &str, idempotence: bool) -> Verdict {
    let code = ErrorCode::from(answer.error_code);
    let reason = answer.error_message.as_ref().or_else(|| {
        let first = answer.record_errors.first();
        first.and_then(|record| record.batch_index_error_message.as_ref())
    });
    let error = refused(subject, code, reason);
    match code {
        ErrorCode::None => Verdict::Written {
            base_offset: Offset(answer.base_offset),
            append_time_ms: Some(answer.log_append_time_ms).filter(|ms| *ms >= 0),
        },
        // An earlier attempt has been written, longer ago than the broker remembers offsets for.
        ErrorCode::DuplicateSequenceNumber => {
            Verdict::Written { base_offset: Offset::NONE, append_time_ms: None }
        }
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if idempotence => {
            Verdict::AgainInOrder { error }
        }
        ErrorCode::MessageTooLarge => Verdict::Halves { error },
        code if code.is_retriable() => Verdict::Again { error },
        _ => Verdict::Refused { error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let judge = |code: ErrorCode| {
            let answer = PartitionProduceResponse { error_code: code.code(), ..Default::default() };
            let text = format!("{:?}", verdict(&answer, "t-0", true));
            text.split(' ').next().unwrap_or_default().to_owned()
        };
        for (code, expected) in [
            (ErrorCode::None, "Written"),
            (ErrorCode::DuplicateSequenceNumber, "Written"),
            (ErrorCode::NotLeaderOrFollower, "Again"),
            (ErrorCode::NotEnoughReplicasAfterAppend, "Again"),
            (ErrorCode::KafkaStorageError, "Again"),
            (ErrorCode::OutOfOrderSequenceNumber, "AgainInOrder"),
            (ErrorCode::UnknownProducerId, "AgainInOrder"),
            (ErrorCode::MessageTooLarge, "Halves"),
            (ErrorCode::TopicAuthorizationFailed, "Refused"),
            (ErrorCode::InvalidRecord, "Refused"),
        ] {
            assert_eq!(judge(code), expected, "{code}");
        }
    }
}
