//! Configs, log directories, deleting records: whom is asked what, and what is made of the answers.

use client::admin::{AlterOp, ConfigDetails, ConfigKind, ConfigResource, ConfigSource};
use client::{Admin, Error, TopicPartition};
use protocol::messages::api_versions_response::ApiVersionsResponse;
use protocol::messages::delete_records_request::DeleteRecordsRequest;
use protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use protocol::messages::describe_configs_request::DescribeConfigsRequest;
use protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};
use protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use protocol::messages::incremental_alter_configs_request::IncrementalAlterConfigsRequest;
use protocol::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsResponse,
};
use protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use protocol::messages::list_config_resources_response::{
    ConfigResource as Listed, ListConfigResourcesResponse,
};
use protocol::{ApiKey, ErrorCode, NodeId, Offset, Str};

use super::server::{Reply, Request, TOPIC, metadata, run, versions};

#[test]
fn a_broker_is_asked_about_its_own_configs_and_changes_them_itself() {
    let script = |request: &Request| match request.key {
        ApiKey::DescribeConfigs => {
            let asked = request.read::<DescribeConfigsRequest>();
            assert_eq!((request.node, asked.resources[0].resource_type), (2, 4));
            assert!(asked.include_synonyms && !asked.include_documentation);
            let synonym = |name: &str, value: &str, source| DescribeConfigsSynonym {
                name: Str::from(name),
                value: Some(Str::from(value)),
                source,
            };
            let config = DescribeConfigsResourceResult {
                name: Str::from("num.partitions"),
                value: Some(Str::from("3")),
                read_only: true,
                config_source: 4,
                synonyms: vec![synonym("num.partitions", "3", 4), synonym("num.partitions", "1", 5)],
                ..Default::default()
            };
            let result = DescribeConfigsResult {
                resource_type: 4,
                resource_name: Str::from("2"),
                configs: vec![config],
                ..Default::default()
            };
            Some(request.answer(&DescribeConfigsResponse { results: vec![result], ..Default::default() }))
        }
        ApiKey::IncrementalAlterConfigs => {
            let asked = request.read::<IncrementalAlterConfigsRequest>();
            let resource = &asked.resources[0];
            assert_eq!((request.node, resource.resource_name.as_str()), (2, "2"));
            let configs: Vec<(&str, i8, Option<&str>)> = resource
                .configs
                .iter()
                .map(|config| (config.name.as_str(), config.config_operation, config.value.as_deref()))
                .collect();
            let wanted = [("a", 0, Some("1")), ("b", 1, None), ("c", 2, Some("x")), ("d", 3, Some("y"))];
            assert_eq!((configs, asked.validate_only), (wanted.to_vec(), true));
            let refusal = AlterConfigsResourceResponse {
                error_code: ErrorCode::InvalidConfig.code(),
                error_message: Some(Str::from("a is no config.")),
                resource_type: 4,
                resource_name: Str::from("2"),
            };
            let responses = vec![refusal];
            Some(request.answer(&IncrementalAlterConfigsResponse { responses, ..Default::default() }))
        }
        _ => None,
    };
    run(script, async |world| {
        let cluster = world.cluster();
        cluster.refresh(Vec::new(), false).await.unwrap();
        let (admin, broker) = (Admin::new(&cluster), ConfigResource::Broker(NodeId(2)));
        let details = ConfigDetails { synonyms: true, documentation: false };
        let entry = admin.describe_configs_with(&broker, details).await.unwrap().remove(0);
        assert_eq!((entry.source, entry.is_read_only), (ConfigSource::StaticBroker, true));
        assert_eq!(entry.synonyms[1].source, ConfigSource::Default);
        let changes = [
            (Str::from("a"), AlterOp::Set(Str::from("1"))),
            (Str::from("b"), AlterOp::Delete),
            (Str::from("c"), AlterOp::Append(Str::from("x"))),
            (Str::from("d"), AlterOp::Subtract(Str::from("y"))),
        ];
        let error = admin.incremental_alter_configs(&broker, &changes, true).await.unwrap_err();
        assert_eq!(error.to_string(), "broker 2: a is no config (INVALID_CONFIG)");
    });
}

#[test]
fn a_resource_without_an_answer_is_an_error() {
    let script = |request: &Request| match request.key {
        ApiKey::IncrementalAlterConfigs => Some(request.answer(&IncrementalAlterConfigsResponse::default())),
        _ => None,
    };
    run(script, async |world| {
        let admin = Admin::new(&world.cluster());
        let topic = ConfigResource::Topic(Str::from(TOPIC));
        let error = admin.incremental_alter_configs(&topic, &[], false).await.unwrap_err();
        assert!(error.to_string().contains("did not answer"), "{error}");
    });
}

#[test]
fn what_has_configs_is_listed_as_far_as_the_broker_knows() {
    let listed = |old: bool| {
        move |request: &Request| match request.key {
            ApiKey::ApiVersions if old => {
                let mut all: ApiVersionsResponse = versions();
                let key = ApiKey::ListConfigResources.code();
                all.api_keys.iter_mut().filter(|one| one.api_key == key).for_each(|one| one.max_version = 0);
                Some(request.answer(&all))
            }
            ApiKey::ListConfigResources => {
                let asked = request.read::<ListConfigResourcesRequest>().resource_types;
                assert_eq!(asked, if old { vec![] } else { vec![2, 16] });
                let one =
                    |resource_type, name: &str| Listed { resource_name: Str::from(name), resource_type };
                let config_resources =
                    if old { vec![one(16, "m")] } else { vec![one(16, "m"), one(2, "t"), one(99, "?")] };
                Some(request.answer(&ListConfigResourcesResponse { config_resources, ..Default::default() }))
            }
            _ => None,
        }
    };
    let metrics = || ConfigResource::ClientMetrics(Str::from("m"));
    run(listed(false), async |world| {
        let admin = Admin::new(&world.cluster());
        let found = admin.list_config_resources(&[ConfigKind::Topic, ConfigKind::ClientMetrics]).await;
        assert_eq!(found.unwrap(), [ConfigResource::Topic(Str::from("t")), metrics()]);
    });
    run(listed(true), async |world| {
        let admin = Admin::new(&world.cluster());
        assert_eq!(admin.list_config_resources(&[ConfigKind::ClientMetrics]).await.unwrap(), [metrics()]);
        let error = admin.list_config_resources(&[]).await.unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    });
}

#[test]
fn log_directories_are_those_of_the_broker_that_is_asked() {
    let script = |request: &Request| match request.key {
        ApiKey::DescribeLogDirs => {
            let asked = request.read::<DescribeLogDirsRequest>().topics.unwrap();
            assert_eq!((request.node, asked.len(), asked[0].partitions.clone()), (2, 1, vec![0, 1]));
            let partition = DescribeLogDirsPartition { partition_size: 5, ..Default::default() };
            let topic = DescribeLogDirsTopic { name: Str::from(TOPIC), partitions: vec![partition] };
            let dir = |path: &str, error: ErrorCode, total_bytes| DescribeLogDirsResult {
                error_code: error.code(),
                log_dir: Str::from(path),
                topics: if error.is_none() { vec![topic.clone()] } else { vec![] },
                total_bytes,
                usable_bytes: total_bytes,
                ..Default::default()
            };
            let results = vec![dir("/b", ErrorCode::None, 9), dir("/a", ErrorCode::KafkaStorageError, -1)];
            Some(request.answer(&DescribeLogDirsResponse { results, ..Default::default() }))
        }
        _ => None,
    };
    run(script, async |world| {
        let cluster = world.cluster();
        cluster.refresh(Vec::new(), false).await.unwrap();
        let partitions = [1, 0, 1].map(|partition| TopicPartition::new(TOPIC, partition));
        let found = Admin::new(&cluster).describe_log_dirs(NodeId(2), Some(&partitions)).await.unwrap();
        assert_eq!(found[0].error.as_ref().and_then(Error::code), Some(ErrorCode::KafkaStorageError));
        assert_eq!((found[0].total_bytes, found[1].usable_bytes), (None, Some(9)));
        assert_eq!(found[1].replicas[0].size_bytes, 5);
    });
}

#[test]
fn records_are_deleted_by_the_leader_wherever_it_has_moved() {
    let mut asked = 0;
    let script = move |request: &Request| match request.key {
        ApiKey::Metadata => {
            asked += 1;
            Some(request.answer(&metadata(if asked == 1 { 1 } else { 2 })))
        }
        ApiKey::DeleteRecords => {
            let topics = request.read::<DeleteRecordsRequest>().topics;
            let before = topics[0].partitions[0].offset;
            let (error, low_watermark) = match (request.node, before) {
                (1, _) => (ErrorCode::NotLeaderOrFollower, -1),
                (_, -1) => (ErrorCode::None, 30),
                (_, 99) => (ErrorCode::OffsetOutOfRange, -1),
                (_, offset) => (ErrorCode::None, offset),
            };
            let partition =
                DeleteRecordsPartitionResult { partition_index: 0, low_watermark, error_code: error.code() };
            let topic = DeleteRecordsTopicResult { name: Str::from(TOPIC), partitions: vec![partition] };
            Some(request.answer(&DeleteRecordsResponse { topics: vec![topic], ..Default::default() }))
        }
        _ => None::<Reply>,
    };
    run(script, async |world| {
        let admin = Admin::new(&world.cluster());
        let key = TopicPartition::new(TOPIC, 0);
        for (before, wanted) in [(Some(Offset(7)), Ok(7)), (None, Ok(30)), (Some(Offset(99)), Err(()))] {
            let answer = admin.delete_records([(key.clone(), before)]).await.unwrap().remove(&key).unwrap();
            assert_eq!(answer.map(Offset::get).map_err(drop), wanted);
        }
        let none = TopicPartition::new(TOPIC, 5);
        let answer = admin.delete_records([(none.clone(), None)]).await.unwrap().remove(&none).unwrap();
        assert_eq!(answer.unwrap_err().code(), Some(ErrorCode::UnknownTopicOrPartition));
        assert_eq!(
            world.count(ApiKey::DeleteRecords),
            4,
            "one for each, and one for the leader that was none"
        );
    });
}
