import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.*;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.record.internal.Record;

/**
 * Sends a plain request of each API in every version that the broker advertises and the Java classes know, and looks at
 * the answer: it is read by the Java classes to its last byte, carries no error, and says what the version can say.
 */
public class Versions {
    interface Body {
        void run(short version) throws Exception;
    }

    static String host;
    static int port;
    static int correlation;
    static Socket socket;
    static final Map<Short, short[]> ranges = new HashMap<>();
    static boolean failed;

    public static void main(String[] args) throws Exception {
        host = args[0].split(":")[0];
        port = Integer.parseInt(args[0].split(":")[1]);
        connect();
        ApiVersionsResponseData told = ask(ApiKeys.API_VERSIONS, (short) 3, new ApiVersionsRequestData().setClientSoftwareName("compat").setClientSoftwareVersion("1"));
        same(told.errorCode(), (short) 0, "ApiVersions error");
        for (ApiVersionsResponseData.ApiVersion api : told.apiKeys()) {
            ranges.put(api.apiKey(), new short[] {api.minVersion(), api.maxVersion()});
        }
        new Requests().all(args.length > 1 ? args[1] : "");
        System.exit(failed ? 1 : 0);
    }

    static void connect() throws Exception {
        if (socket != null) {
            socket.close();
        }
        socket = new Socket(host, port);
        socket.setSoTimeout(30_000);
    }

    /** Runs `body` for each version, on one connection; the first that fails is named. */
    static void sweep(ApiKeys key, int least, Body body) throws Exception {
        long start = System.nanoTime();
        String status = "PASS";
        String reason = "";
        short[] range = ranges.get(key.id);
        short version = -1;
        try {
            if (range == null) {
                throw new AssertionError("not advertised");
            }
            short first = (short) Math.max(Math.max(range[0], key.oldestVersion()), least);
            short last = (short) Math.min(range[1], key.latestVersion(false));
            for (version = first; version <= last; version++) {
                body.run(version);
            }
            reason = "versions " + first + " to " + last + (range[1] > last ? " of " + range[1] : "");
        } catch (Throwable error) {
            failed = true;
            status = "FAIL";
            reason = "version " + version + ": " + error;
            error.printStackTrace(System.out);
            connect();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        System.out.printf("@case {\"case\": \"%s\", \"status\": \"%s\", \"seconds\": %.2f, \"reason\": \"%s\"}%n", key.name, status, seconds,
            reason.replaceAll("[\\\\\"\\p{Cntrl}]", " "));
    }

    @SuppressWarnings("unchecked")
    static <T extends ApiMessage> T ask(ApiKeys key, short version, ApiMessage request) throws Exception {
        short headerVersion = key.requestHeaderVersion(version);
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(key.id).setRequestApiVersion(version)
            .setClientId("versions").setCorrelationId(++correlation);
        ObjectSerializationCache cache = new ObjectSerializationCache();
        int size = header.size(cache, headerVersion) + request.size(cache, version);
        ByteBuffer out = ByteBuffer.allocate(size + 4);
        out.putInt(size);
        ByteBufferAccessor writer = new ByteBufferAccessor(out);
        header.write(writer, cache, headerVersion);
        request.write(writer, cache, version);
        new DataOutputStream(socket.getOutputStream()).write(out.array());
        DataInputStream in = new DataInputStream(socket.getInputStream());
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        ByteBufferAccessor reader = new ByteBufferAccessor(ByteBuffer.wrap(answer));
        ResponseHeaderData answerHeader = new ResponseHeaderData(reader, key.responseHeaderVersion(version));
        same(answerHeader.correlationId(), correlation, "correlation id");
        T response = (T) key.messageType.newResponse();
        response.read(reader, version);
        same(reader.remaining(), 0, "bytes behind the answer");
        return response;
    }

    static void same(Object actual, Object expected, String what) {
        if (!Objects.equals(actual, expected)) {
            throw new AssertionError(what + ": expected " + expected + ", got " + actual);
        }
    }

    /** The requests, an API a method. */
    static class Requests {
        final String stem = "versions-" + ProcessHandle.current().pid();
        final String log = stem + "-log";
        Uuid logId;
        long end;

        void all(String only) throws Exception {
            Map<ApiKeys, Object[]> bodies = new java.util.LinkedHashMap<>();
            bodies.put(ApiKeys.CREATE_TOPICS, new Object[] {0, (Body) this::createTopics});
            bodies.put(ApiKeys.METADATA, new Object[] {0, (Body) this::metadata});
            bodies.put(ApiKeys.PRODUCE, new Object[] {3, (Body) this::produce});
            bodies.put(ApiKeys.FETCH, new Object[] {4, (Body) this::fetch});
            bodies.put(ApiKeys.LIST_OFFSETS, new Object[] {1, (Body) this::listOffsets});
            bodies.put(ApiKeys.OFFSET_FOR_LEADER_EPOCH, new Object[] {0, (Body) this::offsetForLeaderEpoch});
            bodies.put(ApiKeys.INIT_PRODUCER_ID, new Object[] {0, (Body) this::initProducerId});
            bodies.put(ApiKeys.API_VERSIONS, new Object[] {0, (Body) this::apiVersions});
            bodies.put(ApiKeys.CREATE_PARTITIONS, new Object[] {0, (Body) this::createPartitions});
            bodies.put(ApiKeys.DESCRIBE_CONFIGS, new Object[] {0, (Body) this::describeConfigs});
            bodies.put(ApiKeys.DESCRIBE_CLUSTER, new Object[] {0, (Body) this::describeCluster});
            bodies.put(ApiKeys.DESCRIBE_TOPIC_PARTITIONS, new Object[] {0, (Body) this::describeTopicPartitions});
            bodies.put(ApiKeys.DELETE_TOPICS, new Object[] {0, (Body) this::deleteTopics});
            make(log, 2, (short) 5);
            logId = idOf(log);
            for (Map.Entry<ApiKeys, Object[]> entry : bodies.entrySet()) {
                if (only.isEmpty() || only.equals(entry.getKey().name)) {
                    sweep(entry.getKey(), (Integer) entry.getValue()[0], (Body) entry.getValue()[1]);
                }
            }
        }

        CreateTopicsResponseData.CreatableTopicResult make(String name, int partitions, short version) throws Exception {
            CreateTopicsRequestData request = new CreateTopicsRequestData().setTimeoutMs(10_000);
            CreateTopicsRequestData.CreatableTopicConfigCollection configs = new CreateTopicsRequestData.CreatableTopicConfigCollection();
            configs.add(new CreateTopicsRequestData.CreatableTopicConfig().setName("retention.ms").setValue("7777777"));
            request.topics().add(new CreateTopicsRequestData.CreatableTopic().setName(name).setNumPartitions(partitions)
                .setReplicationFactor((short) 1).setConfigs(configs));
            CreateTopicsResponseData answer = ask(ApiKeys.CREATE_TOPICS, version, request);
            CreateTopicsResponseData.CreatableTopicResult topic = answer.topics().find(name);
            same(topic.errorCode(), (short) 0, "error of " + name);
            waitForLeaders(name, partitions);
            return topic;
        }

        MetadataResponseData.MetadataResponseTopic describe(String name, short version) throws Exception {
            MetadataResponseData answer = ask(ApiKeys.METADATA, version, new MetadataRequestData().setAllowAutoTopicCreation(version < 4)
                .setTopics(List.of(new MetadataRequestData.MetadataRequestTopic().setName(name))));
            return answer.topics().find(name);
        }

        void waitForLeaders(String name, int partitions) throws Exception {
            for (int n = 0; n < 600; n++) {
                MetadataResponseData.MetadataResponseTopic topic = describe(name, (short) 8);
                boolean told = topic.errorCode() == 0 && topic.partitions().size() == partitions
                    && topic.partitions().stream().allMatch(p -> p.errorCode() == 0);
                // Kafka tells of a partition before its leader is ready.
                if (told && offset(name, -1L, (short) 4).errorCode() == 0) {
                    return;
                }
                Thread.sleep(50);
            }
            throw new AssertionError("no leaders for " + name);
        }

        Uuid idOf(String name) throws Exception {
            return describe(name, (short) 10).topicId();
        }

        void createTopics(short version) throws Exception {
            CreateTopicsResponseData.CreatableTopicResult topic = make(stem + "-create-" + version, 3, version);
            if (version >= 5) {
                same(topic.numPartitions(), 3, "partitions");
                same(topic.replicationFactor(), (short) 1, "replication factor");
                same(topic.configs().stream().filter(c -> c.name().equals("retention.ms")).findFirst().get().value(), "7777777", "retention.ms");
            }
            if (version >= 7) {
                same(topic.topicId(), idOf(topic.name()), "topic id");
            }
        }

        void metadata(short version) throws Exception {
            MetadataResponseData.MetadataResponseTopic topic = describe(log, version);
            same(topic.errorCode(), (short) 0, "error");
            same(topic.partitions().stream().map(p -> p.partitionIndex()).sorted().toList(), List.of(0, 1), "partitions");
            same(topic.partitions().get(0).isrNodes(), topic.partitions().get(0).replicaNodes(), "ISR");
            if (version >= 7) {
                same(topic.partitions().get(0).leaderEpoch() >= 0, true, "a leader epoch");
            }
            if (version >= 10) {
                same(topic.topicId(), logId, "topic id");
            }
            MetadataResponseData all = ask(ApiKeys.METADATA, version, new MetadataRequestData().setTopics(version == 0 ? List.of() : null));
            same(all.topics().find(log) != null, true, "listed among all topics");
            same(all.brokers().iterator().next().port(), port, "port of the broker");
            if (version >= 2) {
                same(all.clusterId().length(), 22, "length of the cluster id");
            }
            if (version >= 12) {
                MetadataResponseData byId = ask(ApiKeys.METADATA, version, new MetadataRequestData().setAllowAutoTopicCreation(false)
                    .setTopics(List.of(new MetadataRequestData.MetadataRequestTopic().setName(null).setTopicId(logId))));
                same(byId.topics().iterator().next().name(), log, "name found by id");
            }
        }

        void produce(short version) throws Exception {
            ProduceRequestData.TopicProduceData topic = new ProduceRequestData.TopicProduceData().setName(version >= 13 ? "" : log)
                .setTopicId(version >= 13 ? logId : Uuid.ZERO_UUID);
            topic.setPartitionData(List.of(new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(Batches.of("version " + version))));
            ProduceRequestData request = new ProduceRequestData().setAcks((short) -1).setTimeoutMs(10_000);
            request.topicData().add(topic);
            ProduceResponseData answer = ask(ApiKeys.PRODUCE, version, request);
            ProduceResponseData.PartitionProduceResponse part = answer.responses().iterator().next().partitionResponses().get(0);
            same(part.errorCode(), (short) 0, "error");
            same(part.baseOffset(), end++, "base offset");
            same(part.logAppendTimeMs(), -1L, "log append time");
            if (version >= 5) {
                same(part.logStartOffset(), 0L, "log start offset");
            }
        }

        void fetch(short version) throws Exception {
            FetchRequestData request = new FetchRequestData().setMaxWaitMs(500).setMinBytes(1).setMaxBytes(1 << 20).setSessionEpoch(-1);
            request.setTopics(List.of(new FetchRequestData.FetchTopic().setTopic(version >= 13 ? "" : log).setTopicId(version >= 13 ? logId : Uuid.ZERO_UUID)
                .setPartitions(List.of(new FetchRequestData.FetchPartition().setPartition(0).setFetchOffset(0).setPartitionMaxBytes(1 << 20)))));
            FetchResponseData answer = ask(ApiKeys.FETCH, version, request);
            same(answer.errorCode(), (short) 0, "top error");
            FetchResponseData.PartitionData part = answer.responses().get(0).partitions().get(0);
            same(part.errorCode(), (short) 0, "error");
            same(part.highWatermark(), end, "high watermark");
            same(part.lastStableOffset(), end, "last stable offset");
            if (version >= 5) {
                same(part.logStartOffset(), 0L, "log start offset");
            }
            same(Batches.count(part), (int) end, "records");
        }

        ListOffsetsResponseData.ListOffsetsPartitionResponse offset(String name, long when, short version) throws Exception {
            ListOffsetsRequestData request = new ListOffsetsRequestData().setReplicaId(-1).setTimeoutMs(10_000).setTopics(List.of(
                new ListOffsetsRequestData.ListOffsetsTopic().setName(name).setPartitions(List.of(
                    new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(0).setTimestamp(when)))));
            ListOffsetsResponseData answer = ask(ApiKeys.LIST_OFFSETS, version, request);
            return answer.topics().get(0).partitions().get(0);
        }

        void listOffsets(short version) throws Exception {
            Map<Long, Long> wanted = new java.util.LinkedHashMap<>(Map.of(-1L, end, -2L, 0L, Batches.TIME, 0L, Batches.TIME + 1, -1L));
            if (version >= 7) {
                wanted.put(-3L, 0L);
            }
            if (version >= 8) {
                wanted.put(-4L, 0L);
            }
            for (Map.Entry<Long, Long> entry : wanted.entrySet()) {
                ListOffsetsResponseData.ListOffsetsPartitionResponse part = offset(log, entry.getKey(), version);
                same(part.errorCode(), (short) 0, "error at " + entry.getKey());
                same(part.offset(), entry.getValue(), "offset at " + entry.getKey());
            }
        }

        void offsetForLeaderEpoch(short version) throws Exception {
            OffsetForLeaderEpochRequestData request = new OffsetForLeaderEpochRequestData().setReplicaId(-1);
            request.topics().add(new OffsetForLeaderEpochRequestData.OffsetForLeaderTopic().setTopic(log).setPartitions(List.of(
                new OffsetForLeaderEpochRequestData.OffsetForLeaderPartition().setPartition(0).setLeaderEpoch(
                    describe(log, (short) 8).partitions().stream().filter(p -> p.partitionIndex() == 0).findFirst().get().leaderEpoch()))));
            OffsetForLeaderEpochResponseData answer = ask(ApiKeys.OFFSET_FOR_LEADER_EPOCH, version, request);
            OffsetForLeaderEpochResponseData.EpochEndOffset part = answer.topics().iterator().next().partitions().get(0);
            same(part.errorCode(), (short) 0, "error");
            same(part.endOffset(), end, "end offset");
        }

        void initProducerId(short version) throws Exception {
            InitProducerIdResponseData answer = null;
            for (int n = 0; n < 600 && (answer == null || answer.errorCode() == 14); n++) {
                answer = ask(ApiKeys.INIT_PRODUCER_ID, version, new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(60_000));
                if (answer.errorCode() == 14) {
                    Thread.sleep(50); // Kafka is still fetching a block of ids.
                }
            }
            same(answer.errorCode(), (short) 0, "error");
            same(answer.producerId() >= 0 && answer.producerEpoch() == 0, true, "an id with epoch 0");
        }

        void apiVersions(short version) throws Exception {
            ApiVersionsResponseData answer = ask(ApiKeys.API_VERSIONS, version, new ApiVersionsRequestData().setClientSoftwareName("compat").setClientSoftwareVersion("1"));
            same(answer.errorCode(), (short) 0, "error");
            same(answer.apiKeys().size(), ranges.size(), "APIs");
        }

        void createPartitions(short version) throws Exception {
            String name = stem + "-grow-" + version;
            make(name, 1, (short) 5);
            CreatePartitionsRequestData request = new CreatePartitionsRequestData().setTimeoutMs(10_000);
            request.topics().add(new CreatePartitionsRequestData.CreatePartitionsTopic().setName(name).setCount(3).setAssignments(null));
            CreatePartitionsResponseData answer = ask(ApiKeys.CREATE_PARTITIONS, version, request);
            same(answer.results().get(0).errorCode(), (short) 0, "error");
            waitForLeaders(name, 3);
        }

        void describeConfigs(short version) throws Exception {
            DescribeConfigsRequestData request = new DescribeConfigsRequestData().setIncludeSynonyms(version >= 1).setIncludeDocumentation(version >= 3)
                .setResources(List.of(new DescribeConfigsRequestData.DescribeConfigsResource().setResourceType((byte) 2).setResourceName(log)
                    .setConfigurationKeys(List.of("retention.ms"))));
            DescribeConfigsResponseData answer = ask(ApiKeys.DESCRIBE_CONFIGS, version, request);
            DescribeConfigsResponseData.DescribeConfigsResult result = answer.results().get(0);
            same(result.errorCode(), (short) 0, "error");
            same(result.configs().size(), 1, "configs");
            DescribeConfigsResponseData.DescribeConfigsResourceResult entry = result.configs().get(0);
            same(entry.value(), "7777777", "retention.ms");
            if (version >= 1) {
                same(entry.configSource(), (byte) 1, "source");
                same(entry.synonyms().get(0).value(), "7777777", "first synonym");
            }
            if (version >= 3) {
                same(entry.configType(), (byte) 5, "type");
                same(entry.documentation() != null && !entry.documentation().isEmpty(), true, "documentation");
            }
        }

        void describeCluster(short version) throws Exception {
            DescribeClusterResponseData answer = ask(ApiKeys.DESCRIBE_CLUSTER, version, new DescribeClusterRequestData());
            same(answer.errorCode(), (short) 0, "error");
            same(answer.clusterId().length(), 22, "length of the cluster id");
            same(answer.brokers().iterator().next().port(), port, "port of the broker");
        }

        void describeTopicPartitions(short version) throws Exception {
            DescribeTopicPartitionsResponseData answer = ask(ApiKeys.DESCRIBE_TOPIC_PARTITIONS, version, new DescribeTopicPartitionsRequestData()
                .setTopics(List.of(new DescribeTopicPartitionsRequestData.TopicRequest().setName(log))).setResponsePartitionLimit(1));
            DescribeTopicPartitionsResponseData.DescribeTopicPartitionsResponseTopic topic = answer.topics().find(log);
            same(topic.errorCode(), (short) 0, "error");
            same(topic.topicId(), logId, "topic id");
            same(topic.partitions().size(), 1, "partitions of the first page");
            same(answer.nextCursor().partitionIndex(), 1, "where the next page begins");
        }

        void deleteTopics(short version) throws Exception {
            List<String> names = new ArrayList<>(List.of(stem + "-delete-" + version));
            make(names.get(0), 1, (short) 5);
            DeleteTopicsRequestData request = new DeleteTopicsRequestData().setTimeoutMs(10_000);
            if (version >= 6) {
                request.setTopics(List.of(new DeleteTopicsRequestData.DeleteTopicState().setName(null).setTopicId(idOf(names.get(0)))));
            } else {
                request.setTopicNames(names);
            }
            DeleteTopicsResponseData answer = ask(ApiKeys.DELETE_TOPICS, version, request);
            same(answer.responses().iterator().next().errorCode(), (short) 0, "error");
        }
    }

    static class Batches {
        static final long TIME = 1_700_000_000_000L;

        static MemoryRecords of(String value) {
            return MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(TIME, "key".getBytes(), value.getBytes()));
        }

        static int count(FetchResponseData.PartitionData part) {
            int count = 0;
            for (Record record : ((Records) part.records()).records()) {
                record.ensureValid();
                count++;
            }
            return count;
        }
    }
}
