//! Transactions.

use super::reasons::{PARKED, TWO_PHASES};
use super::table;

table! {
    Broker TRANSACTION_LOG
    "transaction.state.log.min.isr": Int = Some("2"), AtLeast(1), High, ReadOnly;
        "min.insync.replicas of __transaction_state.";
    "transaction.state.log.load.buffer.size": Int = Some("5242880"), AtLeast(1), High, ReadOnly;
        "Bytes read at a time when transactions are loaded.";
    "transaction.state.log.replication.factor": Short = Some("3"), AtLeast(1), High, ReadOnly;
        "Replicas of __transaction_state.";
    "transaction.state.log.num.partitions": Int = Some("50"), AtLeast(1), High, ReadOnly;
        "Partitions of __transaction_state.";
    "transaction.state.log.segment.bytes": Int = Some("104857600"), AtLeast(1), High, ReadOnly;
        "Segment size of __transaction_state.";
    "transaction.partition.verification.enable": Boolean = Some("true"), Any, Low, ClusterWide;
        "Check with the coordinator that a partition belongs to the transaction that writes to it.";
    "transaction.two.phase.commit.enable": Boolean = Some("false"), Any, Low, ReadOnly, TWO_PHASES;
        "Allow transactions that an outside coordinator commits.";
    "transactional.id.expiration.ms": Int = Some("604800000"), AtLeast(1), High, ReadOnly;
        "How long an unused transactional id is remembered.";
    "transaction.max.timeout.ms": Int = Some("900000"), AtLeast(1), High, ReadOnly;
        "Longest transaction timeout a producer may ask for.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = Some("10000"), AtLeast(1), Low, ReadOnly;
        "Time between looks for transactions to abort.";
    "transaction.remove.expired.transaction.cleanup.interval.ms": Int = Some("3600000"), AtLeast(1), Low, ReadOnly;
        "Time between looks for transactional ids to forget.";
    "add.partitions.to.txn.retry.backoff.ms": Int = Some("20"), AtLeast(1), High, ReadOnly, PARKED;
        "Wait before a partition is added to a transaction again.";
    "add.partitions.to.txn.retry.backoff.max.ms": Int = Some("100"), AtLeast(0), High, ReadOnly;
        "Longest such wait.";
}
