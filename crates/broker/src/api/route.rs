//! From the first bytes of a frame to the API that answers it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use protocol::{ApiKey, Reader, Writer, rpc};

use super::handler::{self, Api, Call, Client, Handler, Protest, Started};
use super::{
    acls, add_offsets_to_txn, add_partitions_to_txn, alter_configs, alter_partition_reassignments,
    api_versions, consumer_group_describe, consumer_group_heartbeat, create_partitions, create_topics,
    delegation_tokens, delete_groups, delete_records, delete_topics, describe_cluster, describe_configs,
    describe_groups, describe_log_dirs, describe_producers, describe_quorum, describe_topic_partitions,
    describe_transactions, elect_leaders, end_txn, fetch, find_coordinator, get_telemetry_subscriptions,
    heartbeat, incremental_alter_configs, init_producer_id, join_group, leave_group, list_config_resources,
    list_groups, list_offsets, list_partition_reassignments, list_transactions, metadata, offset_commit,
    offset_delete, offset_fetch, offset_for_leader_epoch, produce, push_telemetry, sasl, sync_group,
    txn_offset_commit, update_features, write_txn_markers,
};
use crate::Broker;

/// Every API that is served, by ascending key.
static ROUTES: LazyLock<Vec<Api>> = LazyLock::new(|| {
    let mut routes = vec![
        produce::Produce::api(),
        fetch::Fetch::api(),
        list_offsets::ListOffsets::api(),
        metadata::Metadata::api(),
        find_coordinator::FindCoordinator::api(),
        sasl::SaslHandshake::api(),
        sasl::SaslAuthenticate::api(),
        api_versions::ApiVersions::api(),
        create_topics::CreateTopics::api(),
        delete_topics::DeleteTopics::api(),
        init_producer_id::InitProducerId::api(),
        offset_for_leader_epoch::OffsetForLeaderEpoch::api(),
        describe_configs::DescribeConfigs::api(),
        alter_configs::AlterConfigs::api(),
        create_partitions::CreatePartitions::api(),
        incremental_alter_configs::IncrementalAlterConfigs::api(),
        list_config_resources::ListConfigResources::api(),
        get_telemetry_subscriptions::GetTelemetrySubscriptions::api(),
        push_telemetry::PushTelemetry::api(),
        delete_records::DeleteRecords::api(),
        describe_cluster::DescribeCluster::api(),
        describe_log_dirs::DescribeLogDirs::api(),
        describe_producers::DescribeProducers::api(),
        describe_topic_partitions::DescribeTopicPartitions::api(),
        update_features::UpdateFeatures::api(),
        join_group::JoinGroup::api(),
        sync_group::SyncGroup::api(),
        heartbeat::Heartbeat::api(),
        leave_group::LeaveGroup::api(),
        consumer_group_heartbeat::ConsumerGroupHeartbeat::api(),
        consumer_group_describe::ConsumerGroupDescribe::api(),
        offset_commit::OffsetCommit::api(),
        offset_fetch::OffsetFetch::api(),
        offset_delete::OffsetDelete::api(),
        describe_groups::DescribeGroups::api(),
        list_groups::ListGroups::api(),
        delete_groups::DeleteGroups::api(),
        txn_offset_commit::TxnOffsetCommit::api(),
        list_transactions::ListTransactions::api(),
        end_txn::EndTxn::api(),
        describe_transactions::DescribeTransactions::api(),
        add_partitions_to_txn::AddPartitionsToTxn::api(),
        add_offsets_to_txn::AddOffsetsToTxn::api(),
        write_txn_markers::WriteTxnMarkers::api(),
        acls::DescribeAcls::api(),
        acls::CreateAcls::api(),
        acls::DeleteAcls::api(),
        delegation_tokens::CreateDelegationToken::api(),
        delegation_tokens::RenewDelegationToken::api(),
        delegation_tokens::ExpireDelegationToken::api(),
        delegation_tokens::DescribeDelegationToken::api(),
        elect_leaders::ElectLeaders::api(),
        alter_partition_reassignments::AlterPartitionReassignments::api(),
        list_partition_reassignments::ListPartitionReassignments::api(),
        describe_quorum::DescribeQuorum::api(),
    ];
    routes.sort_by_key(|api| api.key.code());
    routes
});

pub(crate) fn routes() -> &'static [Api] {
    &ROUTES
}

/// Decodes a frame and starts what it asks for.
pub(crate) fn start(broker: &Arc<Broker>, client: &Arc<Client>, frame: &Bytes) -> Result<Started, Protest> {
    let mut reader = Reader::new(frame);
    let (key, header) = rpc::decode_request_header(&mut reader).map_err(Protest::Header)?;
    let version = header.request_api_version;
    let place = ROUTES.binary_search_by_key(&key.code(), |api| api.key.code());
    let api = place.ok().and_then(|place| ROUTES.get(place)).ok_or(Protest::NotServed { key })?;
    if !api.accepted.contains(&version) {
        return unsupported(broker, key, version, header.correlation_id);
    }
    tracing::trace!(peer = %client.peer, client_id = ?header.client_id, ?key, version, "request");
    let call = Call {
        broker: broker.clone(),
        client: client.clone(),
        version,
        correlation_id: header.correlation_id,
        client_id: header.client_id,
    };
    (api.start)(call, reader)
}

/// A client may ask ApiVersions in any version, since that is how it learns which there are; anything else ends the connection.
fn unsupported(broker: &Broker, key: ApiKey, version: i16, correlation_id: i32) -> Result<Started, Protest> {
    if key != ApiKey::ApiVersions {
        return Err(Protest::Version { key, version });
    }
    let response = api_versions::unsupported();
    let frame = rpc::encode_response(&mut Writer::new(), 0, correlation_id, &response);
    let answer = frame.map(|frame| handler::reply(broker, frame)).map_err(|error| Protest::Reply {
        key,
        version: 0,
        error,
    });
    Ok(Box::pin(std::future::ready(answer)))
}
