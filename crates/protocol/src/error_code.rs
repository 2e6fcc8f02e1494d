//! [`ErrorCode`]: what a client sees when something went wrong.
//!
//! Owns: the codes of Kafka 4.4, their names, and which of them a client may retry.
//!
//! Invariant: every code from -1 to 136 is here; a code from a newer peer reads as `UnknownServerError`.
//!
//! Does not know: why an error happened. Rooms have error types of their own and map them to a code at the edge.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$attribute:meta])* $code:literal, $variant:ident, $name:literal, $retry:ident, $message:literal;)*) => {
        /// An error code of the protocol.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $(
                #[doc = $message]
                $(#[$attribute])*
                $variant = $code,
            )*
        }

        const TABLE: &[Row] = &[$(
            Row { error: ErrorCode::$variant, name: $name, retriable: retry!($retry), message: $message },
        )*];
    };
}

macro_rules! retry {
    (Retry) => {
        true
    };
    (Fatal) => {
        false
    };
}

struct Row {
    error: ErrorCode,
    name: &'static str,
    retriable: bool,
    message: &'static str,
}

error_codes! {
    -1, UnknownServerError, "UNKNOWN_SERVER_ERROR", Fatal, "unexpected failure on the server; see its log";
    #[default]
    0, None, "NONE", Fatal, "no error";
    1, OffsetOutOfRange, "OFFSET_OUT_OF_RANGE", Fatal, "the offset is outside what the partition holds";
    2, CorruptMessage, "CORRUPT_MESSAGE", Retry, "a record batch is damaged: its checksum or size does not match";
    3, UnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", Retry, "this server knows no such topic or partition";
    4, InvalidFetchSize, "INVALID_FETCH_SIZE", Fatal, "the fetch size is not valid";
    5, LeaderNotAvailable, "LEADER_NOT_AVAILABLE", Retry, "the partition is electing a leader";
    6, NotLeaderOrFollower, "NOT_LEADER_OR_FOLLOWER", Retry, "this node neither leads nor replicates the partition";
    7, RequestTimedOut, "REQUEST_TIMED_OUT", Retry, "the time allowed for the request ran out";
    8, BrokerNotAvailable, "BROKER_NOT_AVAILABLE", Fatal, "the broker is not available";
    9, ReplicaNotAvailable, "REPLICA_NOT_AVAILABLE", Retry, "the replica is not available";
    10, MessageTooLarge, "MESSAGE_TOO_LARGE", Fatal, "a record is larger than this topic accepts";
    11, StaleControllerEpoch, "STALE_CONTROLLER_EPOCH", Fatal, "another controller has taken over";
    12, OffsetMetadataTooLarge, "OFFSET_METADATA_TOO_LARGE", Fatal, "the metadata of an offset commit is too long";
    13, NetworkException, "NETWORK_EXCEPTION", Retry, "the connection was lost before the answer came";
    14, CoordinatorLoadInProgress, "COORDINATOR_LOAD_IN_PROGRESS", Retry, "the coordinator is still loading its state";
    15, CoordinatorNotAvailable, "COORDINATOR_NOT_AVAILABLE", Retry, "no coordinator is available";
    16, NotCoordinator, "NOT_COORDINATOR", Retry, "this node does not coordinate that group or transaction";
    17, InvalidTopic, "INVALID_TOPIC_EXCEPTION", Fatal, "the topic name is not valid or the operation is not allowed on it";
    18, RecordListTooLarge, "RECORD_LIST_TOO_LARGE", Fatal, "the record batch is larger than a segment of the log";
    19, NotEnoughReplicas, "NOT_ENOUGH_REPLICAS", Retry, "too few replicas are in sync to accept the write";
    20, NotEnoughReplicasAfterAppend, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Retry, "written, but too few replicas were in sync to keep it";
    21, InvalidRequiredAcks, "INVALID_REQUIRED_ACKS", Fatal, "acks must be -1, 0 or 1";
    22, IllegalGeneration, "ILLEGAL_GENERATION", Fatal, "the group has moved on to another generation";
    23, InconsistentGroupProtocol, "INCONSISTENT_GROUP_PROTOCOL", Fatal, "the member shares no protocol with the group, or names none";
    24, InvalidGroupId, "INVALID_GROUP_ID", Fatal, "the group id is not valid";
    25, UnknownMemberId, "UNKNOWN_MEMBER_ID", Fatal, "the coordinator does not know this member";
    26, InvalidSessionTimeout, "INVALID_SESSION_TIMEOUT", Fatal, "the session timeout is outside the range that the broker allows";
    27, RebalanceInProgress, "REBALANCE_IN_PROGRESS", Fatal, "the group is rebalancing; join again";
    28, InvalidCommitOffsetSize, "INVALID_COMMIT_OFFSET_SIZE", Fatal, "the offset commit is too large";
    29, TopicAuthorizationFailed, "TOPIC_AUTHORIZATION_FAILED", Fatal, "not authorised for the topic";
    30, GroupAuthorizationFailed, "GROUP_AUTHORIZATION_FAILED", Fatal, "not authorised for the group";
    31, ClusterAuthorizationFailed, "CLUSTER_AUTHORIZATION_FAILED", Fatal, "not authorised for the cluster";
    32, InvalidTimestamp, "INVALID_TIMESTAMP", Fatal, "a timestamp is outside the range that the topic accepts";
    33, UnsupportedSaslMechanism, "UNSUPPORTED_SASL_MECHANISM", Fatal, "the broker does not offer this SASL mechanism";
    34, IllegalSaslState, "ILLEGAL_SASL_STATE", Fatal, "the request does not fit the state of authentication";
    35, UnsupportedVersion, "UNSUPPORTED_VERSION", Fatal, "the broker does not support this version of the request";
    36, TopicAlreadyExists, "TOPIC_ALREADY_EXISTS", Fatal, "a topic of this name exists already";
    37, InvalidPartitions, "INVALID_PARTITIONS", Fatal, "the number of partitions is not valid";
    38, InvalidReplicationFactor, "INVALID_REPLICATION_FACTOR", Fatal, "the replication factor is below 1 or above the number of brokers";
    39, InvalidReplicaAssignment, "INVALID_REPLICA_ASSIGNMENT", Fatal, "the replica assignment is not valid";
    40, InvalidConfig, "INVALID_CONFIG", Fatal, "the configuration is not valid";
    41, NotController, "NOT_CONTROLLER", Retry, "this node is not the controller";
    42, InvalidRequest, "INVALID_REQUEST", Fatal, "the request is malformed or contradicts itself";
    43, UnsupportedForMessageFormat, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Fatal, "the message format of the broker does not support the request";
    44, PolicyViolation, "POLICY_VIOLATION", Fatal, "the request breaks a policy of the cluster";
    45, OutOfOrderSequenceNumber, "OUT_OF_ORDER_SEQUENCE_NUMBER", Fatal, "the producer's sequence number leaves a gap";
    46, DuplicateSequenceNumber, "DUPLICATE_SEQUENCE_NUMBER", Fatal, "the producer's sequence number was used before";
    47, InvalidProducerEpoch, "INVALID_PRODUCER_EPOCH", Fatal, "the producer's epoch is old";
    48, InvalidTxnState, "INVALID_TXN_STATE", Fatal, "the transaction is not in a state that allows this";
    49, InvalidProducerIdMapping, "INVALID_PRODUCER_ID_MAPPING", Fatal, "the producer id does not belong to the transactional id";
    50, InvalidTransactionTimeout, "INVALID_TRANSACTION_TIMEOUT", Fatal, "the transaction timeout is above what the broker allows";
    51, ConcurrentTransactions, "CONCURRENT_TRANSACTIONS", Retry, "another operation on the transaction is still running";
    52, TransactionCoordinatorFenced, "TRANSACTION_COORDINATOR_FENCED", Fatal, "a newer transaction coordinator has taken over";
    53, TransactionalIdAuthorizationFailed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Fatal, "not authorised for the transactional id";
    54, SecurityDisabled, "SECURITY_DISABLED", Fatal, "security features are off";
    55, OperationNotAttempted, "OPERATION_NOT_ATTEMPTED", Fatal, "not attempted, because another part of the request failed";
    56, KafkaStorageError, "KAFKA_STORAGE_ERROR", Retry, "the log directory failed";
    57, LogDirNotFound, "LOG_DIR_NOT_FOUND", Fatal, "the broker has no such log directory";
    58, SaslAuthenticationFailed, "SASL_AUTHENTICATION_FAILED", Fatal, "authentication failed";
    59, UnknownProducerId, "UNKNOWN_PRODUCER_ID", Fatal, "the broker holds no state of this producer";
    60, ReassignmentInProgress, "REASSIGNMENT_IN_PROGRESS", Fatal, "a reassignment of the partition is running";
    61, DelegationTokenAuthDisabled, "DELEGATION_TOKEN_AUTH_DISABLED", Fatal, "delegation tokens are off";
    62, DelegationTokenNotFound, "DELEGATION_TOKEN_NOT_FOUND", Fatal, "the server has no such delegation token";
    63, DelegationTokenOwnerMismatch, "DELEGATION_TOKEN_OWNER_MISMATCH", Fatal, "the principal neither owns nor may renew the token";
    64, DelegationTokenRequestNotAllowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Fatal, "delegation tokens need an encrypted or authenticated connection that was not itself opened with one";
    65, DelegationTokenAuthorizationFailed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", Fatal, "not authorised for the delegation token";
    66, DelegationTokenExpired, "DELEGATION_TOKEN_EXPIRED", Fatal, "the delegation token has expired";
    67, InvalidPrincipalType, "INVALID_PRINCIPAL_TYPE", Fatal, "this kind of principal is not supported";
    68, NonEmptyGroup, "NON_EMPTY_GROUP", Fatal, "the group still has members";
    69, GroupIdNotFound, "GROUP_ID_NOT_FOUND", Fatal, "there is no such group";
    70, FetchSessionIdNotFound, "FETCH_SESSION_ID_NOT_FOUND", Retry, "the broker has no such fetch session";
    71, InvalidFetchSessionEpoch, "INVALID_FETCH_SESSION_EPOCH", Retry, "the fetch session is at another epoch";
    72, ListenerNotFound, "LISTENER_NOT_FOUND", Retry, "the leader has no listener of the name that the metadata came from";
    73, TopicDeletionDisabled, "TOPIC_DELETION_DISABLED", Fatal, "deleting topics is off";
    74, FencedLeaderEpoch, "FENCED_LEADER_EPOCH", Retry, "the leader epoch is older than the broker's";
    75, UnknownLeaderEpoch, "UNKNOWN_LEADER_EPOCH", Retry, "the leader epoch is newer than the broker's";
    76, UnsupportedCompressionType, "UNSUPPORTED_COMPRESSION_TYPE", Fatal, "the client cannot read the compression of the partition";
    77, StaleBrokerEpoch, "STALE_BROKER_EPOCH", Fatal, "the broker was registered again in the meantime";
    78, OffsetNotAvailable, "OFFSET_NOT_AVAILABLE", Retry, "the new leader does not know its high watermark yet";
    79, MemberIdRequired, "MEMBER_ID_REQUIRED", Fatal, "a first join gets a member id; join again with it";
    80, PreferredLeaderNotAvailable, "PREFERRED_LEADER_NOT_AVAILABLE", Retry, "the preferred leader is not available";
    81, GroupMaxSizeReached, "GROUP_MAX_SIZE_REACHED", Fatal, "the group is full";
    82, FencedInstanceId, "FENCED_INSTANCE_ID", Fatal, "another instance took over this static member";
    83, EligibleLeadersNotAvailable, "ELIGIBLE_LEADERS_NOT_AVAILABLE", Retry, "none of the replicas that may lead is available";
    84, ElectionNotNeeded, "ELECTION_NOT_NEEDED", Retry, "the partition needs no election";
    85, NoReassignmentInProgress, "NO_REASSIGNMENT_IN_PROGRESS", Fatal, "no reassignment of the partition is running";
    86, GroupSubscribedToTopic, "GROUP_SUBSCRIBED_TO_TOPIC", Fatal, "the group is subscribed to the topic";
    87, InvalidRecord, "INVALID_RECORD", Fatal, "the broker refused a record";
    88, UnstableOffsetCommit, "UNSTABLE_OFFSET_COMMIT", Retry, "offsets are held back by an open transaction";
    89, ThrottlingQuotaExceeded, "THROTTLING_QUOTA_EXCEEDED", Retry, "over quota; slow down";
    90, ProducerFenced, "PRODUCER_FENCED", Fatal, "a newer producer with this transactional id has taken over";
    91, ResourceNotFound, "RESOURCE_NOT_FOUND", Fatal, "the request names something that does not exist";
    92, DuplicateResource, "DUPLICATE_RESOURCE", Fatal, "the request names the same thing twice";
    93, UnacceptableCredential, "UNACCEPTABLE_CREDENTIAL", Fatal, "the credential does not meet the requirements";
    94, InconsistentVoterSet, "INCONSISTENT_VOTER_SET", Fatal, "sender or receiver is not one of the voters";
    95, InvalidUpdateVersion, "INVALID_UPDATE_VERSION", Fatal, "the version of the update is not valid";
    96, FeatureUpdateFailed, "FEATURE_UPDATE_FAILED", Fatal, "the features could not be updated";
    97, PrincipalDeserializationFailure, "PRINCIPAL_DESERIALIZATION_FAILURE", Fatal, "the forwarded principal could not be read";
    98, SnapshotNotFound, "SNAPSHOT_NOT_FOUND", Fatal, "there is no such snapshot";
    99, PositionOutOfRange, "POSITION_OUT_OF_RANGE", Fatal, "the position is outside the snapshot";
    100, UnknownTopicId, "UNKNOWN_TOPIC_ID", Retry, "this server knows no topic with this id";
    101, DuplicateBrokerRegistration, "DUPLICATE_BROKER_REGISTRATION", Fatal, "a live broker holds this node id";
    102, BrokerIdNotRegistered, "BROKER_ID_NOT_REGISTERED", Fatal, "no broker with this id is registered";
    103, InconsistentTopicId, "INCONSISTENT_TOPIC_ID", Retry, "the log belongs to another topic id";
    104, InconsistentClusterId, "INCONSISTENT_CLUSTER_ID", Fatal, "the request is meant for another cluster";
    105, TransactionalIdNotFound, "TRANSACTIONAL_ID_NOT_FOUND", Fatal, "there is no such transactional id";
    106, FetchSessionTopicIdError, "FETCH_SESSION_TOPIC_ID_ERROR", Retry, "the fetch session mixes topic ids and names";
    107, IneligibleReplica, "INELIGIBLE_REPLICA", Fatal, "a replica of the proposed ISR may not join it";
    108, NewLeaderElected, "NEW_LEADER_ELECTED", Fatal, "the change was applied and moved the leader";
    109, OffsetMovedToTieredStorage, "OFFSET_MOVED_TO_TIERED_STORAGE", Fatal, "the offset has moved to tiered storage";
    110, FencedMemberEpoch, "FENCED_MEMBER_EPOCH", Fatal, "the member's epoch is fenced; give up all partitions and join again";
    111, UnreleasedInstanceId, "UNRELEASED_INSTANCE_ID", Fatal, "another member still uses the instance id";
    112, UnsupportedAssignor, "UNSUPPORTED_ASSIGNOR", Fatal, "the group does not know this assignor or its version";
    113, StaleMemberEpoch, "STALE_MEMBER_EPOCH", Fatal, "the member's epoch is old; heartbeat again and retry";
    114, MismatchedEndpointType, "MISMATCHED_ENDPOINT_TYPE", Fatal, "the endpoint is of another kind";
    115, UnsupportedEndpointType, "UNSUPPORTED_ENDPOINT_TYPE", Fatal, "this kind of endpoint is not supported";
    116, UnknownControllerId, "UNKNOWN_CONTROLLER_ID", Fatal, "there is no controller with this id";
    117, UnknownSubscriptionId, "UNKNOWN_SUBSCRIPTION_ID", Fatal, "the telemetry subscription is old or unknown";
    118, TelemetryTooLarge, "TELEMETRY_TOO_LARGE", Fatal, "the telemetry is larger than the broker accepts";
    119, InvalidRegistration, "INVALID_REGISTRATION", Fatal, "the registration of the broker is not valid";
    120, TransactionAbortable, "TRANSACTION_ABORTABLE", Fatal, "the transaction must be aborted; the transactional id stays usable";
    121, InvalidRecordState, "INVALID_RECORD_STATE", Fatal, "the record is not in a state that allows this acknowledgement";
    122, ShareSessionNotFound, "SHARE_SESSION_NOT_FOUND", Retry, "the broker has no such share session";
    123, InvalidShareSessionEpoch, "INVALID_SHARE_SESSION_EPOCH", Retry, "the share session is at another epoch";
    124, FencedStateEpoch, "FENCED_STATE_EPOCH", Fatal, "the state epoch is old";
    125, InvalidVoterKey, "INVALID_VOTER_KEY", Fatal, "the key of the voter does not match";
    126, DuplicateVoter, "DUPLICATE_VOTER", Fatal, "the voter is in the set already";
    127, VoterNotFound, "VOTER_NOT_FOUND", Fatal, "the voter is not in the set";
    128, InvalidRegularExpression, "INVALID_REGULAR_EXPRESSION", Fatal, "the regular expression is not valid";
    129, RebootstrapRequired, "REBOOTSTRAP_REQUIRED", Fatal, "the client's view of the cluster is too old; bootstrap again";
    130, StreamsInvalidTopology, "STREAMS_INVALID_TOPOLOGY", Fatal, "the topology is not valid";
    131, StreamsInvalidTopologyEpoch, "STREAMS_INVALID_TOPOLOGY_EPOCH", Fatal, "the epoch of the topology is not valid";
    132, StreamsTopologyFenced, "STREAMS_TOPOLOGY_FENCED", Fatal, "the epoch of the topology is old";
    133, ShareSessionLimitReached, "SHARE_SESSION_LIMIT_REACHED", Retry, "no more share sessions are allowed";
    134, GroupDeletionFailed, "GROUP_DELETION_FAILED", Fatal, "the group could not be deleted; its message says why";
    135, StreamsTopologyDescriptionUpdateFailed, "STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED", Fatal, "the description of the topology was refused; its message says why";
    136, ControllerIdNotRegistered, "CONTROLLER_ID_NOT_REGISTERED", Fatal, "no controller with this id is registered";
}

/// The code of the first row of the table.
const FIRST: i16 = -1;

impl ErrorCode {
    /// Every code, in ascending order.
    pub fn all() -> impl Iterator<Item = ErrorCode> {
        TABLE.iter().map(|row| row.error)
    }

    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, `UNKNOWN_TOPIC_OR_PARTITION`.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN_SERVER_ERROR", |row| row.name)
    }

    /// Whether the same request may succeed later.
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.retriable)
    }

    /// A short sentence for logs, tools and error messages of answers.
    pub fn message(self) -> &'static str {
        self.row().map_or("", |row| row.message)
    }

    pub const fn is_none(self) -> bool {
        matches!(self, ErrorCode::None)
    }

    pub const fn is_error(self) -> bool {
        !self.is_none()
    }

    /// `Ok` for [`ErrorCode::None`], else the error.
    pub fn into_result(self) -> Result<(), ErrorCode> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }

    /// The code of this number, if 4.4 has one.
    pub fn known(code: i16) -> Option<ErrorCode> {
        let place = usize::try_from(code.checked_sub(FIRST)?).ok()?;
        TABLE.get(place).map(|row| row.error)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.get(usize::try_from(self.code() - FIRST).ok()?)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> ErrorCode {
        ErrorCode::known(code).unwrap_or(ErrorCode::UnknownServerError)
    }
}

impl From<ErrorCode> for i16 {
    fn from(error: ErrorCode) -> i16 {
        error.code()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_dense_from_minus_one_to_136() {
        let codes: Vec<i16> = ErrorCode::all().map(ErrorCode::code).collect();
        assert_eq!(codes, (-1..=136).collect::<Vec<i16>>());
        for code in -1..=136 {
            let error = ErrorCode::from(code);
            assert_eq!((error.code(), ErrorCode::known(code)), (code, Some(error)));
            assert!(!error.name().is_empty() && !error.message().is_empty());
        }
    }

    #[test]
    fn codes_of_newer_peers_are_unknown_server_errors() {
        for code in [-2, 137, i16::MIN, i16::MAX] {
            assert_eq!(ErrorCode::from(code), ErrorCode::UnknownServerError);
            assert_eq!(ErrorCode::known(code), None);
        }
    }

    #[test]
    fn well_known_rows() {
        let error = ErrorCode::NotLeaderOrFollower;
        assert_eq!((error.code(), error.to_string().as_str()), (6, "NOT_LEADER_OR_FOLLOWER"));
        assert!(error.is_retriable() && !ErrorCode::InvalidTopic.is_retriable());
        assert_eq!(ErrorCode::None.into_result(), Ok(()));
        assert_eq!(
            ErrorCode::ControllerIdNotRegistered.into_result(),
            Err(ErrorCode::ControllerIdNotRegistered)
        );
    }
}
