//! One sound request of every API in every version, to be spoilt.

use bytes::Bytes;
use protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use protocol::messages::alter_configs_request::{self, AlterConfigsRequest};
use protocol::messages::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use protocol::messages::api_versions_request::ApiVersionsRequest;
use protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use protocol::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use protocol::messages::create_delegation_token_request::{CreatableRenewers, CreateDelegationTokenRequest};
use protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use protocol::messages::create_topics_request::CreateTopicsRequest;
use protocol::messages::delete_acls_request::{DeleteAclsFilter, DeleteAclsRequest};
use protocol::messages::delete_groups_request::DeleteGroupsRequest;
use protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use protocol::messages::describe_acls_request::DescribeAclsRequest;
use protocol::messages::describe_cluster_request::DescribeClusterRequest;
use protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use protocol::messages::describe_delegation_token_request::DescribeDelegationTokenRequest;
use protocol::messages::describe_groups_request::DescribeGroupsRequest;
use protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use protocol::messages::describe_producers_request::{self, DescribeProducersRequest};
use protocol::messages::describe_topic_partitions_request::{DescribeTopicPartitionsRequest, TopicRequest};
use protocol::messages::describe_transactions_request::DescribeTransactionsRequest;
use protocol::messages::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use protocol::messages::end_txn_request::EndTxnRequest;
use protocol::messages::expire_delegation_token_request::ExpireDelegationTokenRequest;
use protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use protocol::messages::heartbeat_request::HeartbeatRequest;
use protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use protocol::messages::init_producer_id_request::InitProducerIdRequest;
use protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::messages::list_groups_request::ListGroupsRequest;
use protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use protocol::messages::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use protocol::messages::list_transactions_request::ListTransactionsRequest;
use protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use protocol::messages::offset_delete_request::OffsetDeleteRequest;
use protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use protocol::messages::renew_delegation_token_request::RenewDelegationTokenRequest;
use protocol::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use protocol::messages::sasl_handshake_request::SaslHandshakeRequest;
use protocol::messages::sync_group_request::SyncGroupRequest;
use protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use protocol::wire::Request;
use protocol::{Str, Uuid, Writer, rpc};

use crate::support::requests::{Topic, batch, fetch, from_offset, new_topic, produce};

fn encode<R: Request>(
    all: &mut Vec<Bytes>,
    versions: std::ops::RangeInclusive<i16>,
    make: impl Fn(i16) -> R,
) {
    for version in versions {
        let frame = rpc::encode_request(&mut Writer::new(), version, 1, Some(Str::from("c")), &make(version));
        all.push(frame.unwrap().into_bytes().unwrap().slice(4..));
    }
}

/// Requests without their length in front.
pub(crate) fn samples(topic: &Topic) -> Vec<Bytes> {
    let mut all = Vec::new();
    records(&mut all, topic);
    topics(&mut all, topic);
    configs(&mut all, topic);
    placement(&mut all, topic);
    security(&mut all);
    connections(&mut all);
    groups(&mut all, topic);
    transactions(&mut all, topic);
    all
}

fn transactions(all: &mut Vec<Bytes>, topic: &Topic) {
    encode(all, 1..=2, |_| {
        let topics =
            vec![WritableTxnMarkerTopic { name: topic.name.clone(), partition_indexes: vec![0, 1, 9] }];
        let marker = WritableTxnMarker { producer_id: 3, topics, ..Default::default() };
        WriteTxnMarkersRequest { markers: vec![marker] }
    });
    encode(all, 0..=5, |version| {
        let topics = vec![AddPartitionsToTxnTopic { name: topic.name.clone(), partitions: vec![0, 1] }];
        if version < 4 {
            return AddPartitionsToTxnRequest {
                v3_and_below_transactional_id: "tx".into(),
                v3_and_below_topics: topics,
                ..Default::default()
            };
        }
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: "tx".into(),
            verify_only: version == 4,
            topics,
            ..Default::default()
        };
        AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() }
    });
    encode(all, 0..=4, |_| AddOffsetsToTxnRequest {
        transactional_id: "tx".into(),
        group_id: "g".into(),
        ..Default::default()
    });
    encode(all, 0..=5, |_| EndTxnRequest {
        transactional_id: "tx".into(),
        committed: true,
        ..Default::default()
    });
    encode(all, 0..=6, |version| {
        let partition = TxnOffsetCommitRequestPartition { committed_offset: 5, ..Default::default() };
        let by_id = version >= 6;
        let topic = TxnOffsetCommitRequestTopic {
            name: if by_id { Str::EMPTY } else { topic.name.clone() },
            topic_id: if by_id { topic.id } else { Uuid::ZERO },
            partitions: vec![partition],
        };
        TxnOffsetCommitRequest {
            transactional_id: "tx".into(),
            group_id: "g".into(),
            generation_id_or_member_epoch: -1,
            topics: vec![topic],
            ..Default::default()
        }
    });
    encode(all, 0..=0, |_| DescribeTransactionsRequest { transactional_ids: vec!["tx".into(), "".into()] });
    encode(all, 0..=2, |version| ListTransactionsRequest {
        state_filters: vec!["Ongoing".into(), "None".into()],
        duration_filter: if version > 0 { 5 } else { -1 },
        transactional_id_pattern: if version > 1 { Some("t.*".into()) } else { None },
        ..Default::default()
    });
}

fn records(all: &mut Vec<Bytes>, topic: &Topic) {
    encode(all, 3..=13, |version| {
        produce(version, -1, topic, &[(0, batch(&["a", "b"])), (1, batch(&["c"]))])
    });
    encode(all, 4..=18, |version| fetch(version, topic, vec![from_offset(0, 0), from_offset(1, 0)]));
    encode(all, 1..=11, |_| {
        let partition =
            ListOffsetsPartition { timestamp: -1, current_leader_epoch: -1, ..Default::default() };
        let topic = ListOffsetsTopic { name: topic.name.clone(), partitions: vec![partition] };
        ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
    });
    encode(all, 2..=4, |_| {
        let partition = OffsetForLeaderPartition { current_leader_epoch: -1, ..Default::default() };
        let topic = OffsetForLeaderTopic { topic: topic.name.clone(), partitions: vec![partition] };
        OffsetForLeaderEpochRequest { replica_id: -1, topics: vec![topic] }
    });
    encode(all, 0..=2, |_| {
        let partitions = vec![DeleteRecordsPartition { partition_index: 0, offset: -1 }];
        let topics = vec![DeleteRecordsTopic { name: topic.name.clone(), partitions }];
        DeleteRecordsRequest { topics, timeout_ms: 1000 }
    });
    encode(all, 1..=5, |_| DescribeLogDirsRequest {
        topics: Some(vec![DescribableLogDirTopic { topic: topic.name.clone(), partitions: vec![0, 1] }]),
    });
    encode(all, 0..=0, |_| DescribeProducersRequest {
        topics: vec![describe_producers_request::TopicRequest {
            name: topic.name.clone(),
            partition_indexes: vec![0, 1],
        }],
    });
    encode(all, 0..=5, |_| InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: 1000,
        producer_id: -1,
        producer_epoch: -1,
        ..Default::default()
    });
}

fn topics(all: &mut Vec<Bytes>, topic: &Topic) {
    encode(all, 0..=13, |version| MetadataRequest {
        topics: Some(vec![MetadataRequestTopic { name: Some(topic.name.clone()), ..Default::default() }]),
        allow_auto_topic_creation: version < 4,
        ..Default::default()
    });
    encode(all, 2..=7, |_| CreateTopicsRequest {
        topics: vec![new_topic("made", 1, &[("retention.ms", "5000")])],
        ..Default::default()
    });
    encode(all, 1..=6, |version| {
        let name = Str::from("made");
        let state = DeleteTopicState { name: Some(name.clone()), ..Default::default() };
        match version {
            6 => DeleteTopicsRequest { topics: vec![state], ..Default::default() },
            _ => DeleteTopicsRequest { topic_names: vec![name], ..Default::default() },
        }
    });
    encode(all, 0..=3, |_| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic { name: Str::from("made"), count: 2, assignments: None }],
        ..Default::default()
    });
    encode(all, 0..=0, |_| DescribeTopicPartitionsRequest {
        topics: vec![TopicRequest { name: topic.name.clone() }],
        response_partition_limit: 10,
        cursor: None,
    });
}

fn configs(all: &mut Vec<Bytes>, topic: &Topic) {
    encode(all, 1..=4, |_| DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configuration_keys: Some(vec![Str::from("retention.ms")]),
        }],
        include_synonyms: true,
        ..Default::default()
    });
    encode(all, 0..=2, |_| {
        let value = Some(Str::from("5000"));
        let config = alter_configs_request::AlterableConfig { name: Str::from("retention.ms"), value };
        let resource = alter_configs_request::AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configs: vec![config],
        };
        AlterConfigsRequest { resources: vec![resource], validate_only: false }
    });
    encode(all, 0..=1, |_| {
        let value = Some(Str::from("compact"));
        let config = AlterableConfig { name: Str::from("cleanup.policy"), config_operation: 2, value };
        let resource = AlterConfigsResource {
            resource_type: 2,
            resource_name: topic.name.clone(),
            configs: vec![config],
        };
        IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
    });
    encode(all, 0..=2, |version| UpdateFeaturesRequest {
        timeout_ms: 1000,
        feature_updates: vec![FeatureUpdateKey {
            feature: Str::from("transaction.version"),
            max_version_level: 2,
            allow_downgrade: false,
            upgrade_type: 1,
        }],
        validate_only: version > 0,
    });
    encode(all, 0..=1, |version| ListConfigResourcesRequest {
        resource_types: if version == 0 { Vec::new() } else { vec![2, 16] },
    });
}

fn placement(all: &mut Vec<Bytes>, topic: &Topic) {
    encode(all, 0..=2, |_| ElectLeadersRequest {
        topic_partitions: Some(vec![TopicPartitions { topic: topic.name.clone(), partitions: vec![0, 1] }]),
        timeout_ms: 1000,
        ..Default::default()
    });
    encode(all, 0..=1, |_| {
        let partition = ReassignablePartition { partition_index: 0, replicas: Some(vec![1]) };
        let topic = ReassignableTopic { name: topic.name.clone(), partitions: vec![partition] };
        AlterPartitionReassignmentsRequest { topics: vec![topic], ..Default::default() }
    });
    encode(all, 0..=0, |_| ListPartitionReassignmentsRequest {
        topics: Some(vec![ListPartitionReassignmentsTopics {
            name: topic.name.clone(),
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    });
    encode(all, 0..=2, |_| crate::placement::the_quorum());
}

fn security(all: &mut Vec<Bytes>) {
    encode(all, 1..=3, |_| DescribeAclsRequest {
        resource_type_filter: 2,
        resource_name_filter: Some(Str::from("t")),
        ..Default::default()
    });
    encode(all, 1..=3, |_| CreateAclsRequest { creations: vec![AclCreation::default()] });
    encode(all, 1..=3, |_| DeleteAclsRequest { filters: vec![DeleteAclsFilter::default()] });
    encode(all, 1..=3, |_| CreateDelegationTokenRequest {
        renewers: vec![CreatableRenewers::default()],
        ..Default::default()
    });
    encode(all, 1..=2, |_| RenewDelegationTokenRequest { hmac: Bytes::from("h"), renew_period_ms: 1 });
    encode(all, 1..=2, |_| ExpireDelegationTokenRequest { hmac: Bytes::from("h"), expiry_time_period_ms: 1 });
    encode(all, 1..=3, |_| DescribeDelegationTokenRequest { owners: None });
}

fn connections(all: &mut Vec<Bytes>) {
    encode(all, 0..=6, |version| match version {
        0..4 => FindCoordinatorRequest { key: Str::from("g"), ..Default::default() },
        _ => FindCoordinatorRequest { coordinator_keys: vec![Str::from("g")], ..Default::default() },
    });
    encode(all, 0..=1, |_| SaslHandshakeRequest { mechanism: Str::from("PLAIN") });
    encode(all, 0..=2, |_| SaslAuthenticateRequest::default());
    encode(all, 0..=5, |_| ApiVersionsRequest {
        client_software_name: Str::from("test"),
        client_software_version: Str::from("1.0"),
        node_id: -1,
        ..Default::default()
    });
    encode(all, 0..=2, |_| DescribeClusterRequest { endpoint_type: 1, ..Default::default() });
}

fn groups(all: &mut Vec<Bytes>, topic: &Topic) {
    let group_id = || Str::from("g");
    let topics = |version: i16| {
        vec![OffsetCommitRequestTopic {
            name: if version < 10 { topic.name.clone() } else { Str::EMPTY },
            topic_id: if version < 10 { Uuid::ZERO } else { topic.id },
            partitions: vec![OffsetCommitRequestPartition { committed_offset: 1, ..Default::default() }],
        }]
    };
    encode(all, 2..=10, |version| OffsetCommitRequest {
        group_id: group_id(),
        topics: topics(version),
        ..Default::default()
    });
    encode(all, 1..=10, |version| match version {
        ..8 => OffsetFetchRequest { group_id: group_id(), topics: Some(Vec::new()), ..Default::default() },
        _ => OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup { group_id: group_id(), ..Default::default() }],
            ..Default::default()
        },
    });
    encode(all, 0..=9, |_| crate::groups::join(""));
    encode(all, 0..=4, |_| HeartbeatRequest { group_id: group_id(), ..Default::default() });
    encode(all, 0..=5, |version| LeaveGroupRequest {
        group_id: group_id(),
        members: if version < 3 { Vec::new() } else { vec![MemberIdentity::default()] },
        ..Default::default()
    });
    encode(all, 0..=5, |_| SyncGroupRequest { group_id: group_id(), ..Default::default() });
    encode(all, 0..=6, |_| DescribeGroupsRequest { groups: vec![group_id()], ..Default::default() });
    encode(all, 0..=5, |version| ListGroupsRequest {
        states_filter: if version < 4 { Vec::new() } else { vec![Str::from("Stable")] },
        types_filter: if version < 5 { Vec::new() } else { vec![Str::from("classic")] },
    });
    encode(all, 0..=3, |_| DeleteGroupsRequest { groups_names: vec![group_id()] });
    encode(all, 0..=1, |_| ConsumerGroupHeartbeatRequest {
        group_id: group_id(),
        member_id: Str::from("m"),
        rebalance_timeout_ms: 1000,
        subscribed_topic_names: Some(vec![topic.name.clone()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    });
    encode(all, 0..=1, |_| ConsumerGroupDescribeRequest {
        group_ids: vec![group_id()],
        include_authorized_operations: true,
    });
    encode(all, 0..=0, |_| OffsetDeleteRequest { group_id: group_id(), ..Default::default() });
}
