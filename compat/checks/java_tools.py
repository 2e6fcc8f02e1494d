"""Kafka's own command line tools, called by their main classes."""
import json
import re

from harness import shell, wire
from harness.cases import BOOTSTRAP, KIND, Skip, Suite, new_topic, same

PORT = int(BOOTSTRAP.rpartition(":")[2])
TOOLS = "org.apache.kafka.tools."
SERVER = ["--bootstrap-server", BOOTSTRAP]
suite = Suite()


def tool(name, *arguments, **options):
    return shell.java(TOOLS + name, *arguments, **options)


def create(name, partitions=1, **options):
    return wire.make_topic(PORT, name, partitions, **options)


def fill(topic, count, partition=0):
    with wire.Connection(PORT) as connection:
        records = [wire.record(n, b"k%d" % n, b"value %d" % n, headers=[(b"h", b"%d" % n)]) for n in range(count)]
        same(wire.produce(connection, topic, wire.batch(records), partition=partition)[0], 0, "produce error")


@suite.case("topics")
def _():
    topic = new_topic("java.topics")
    made = tool("TopicCommand", *SERVER, "--create", "--topic", topic, "--partitions", 3, "--replication-factor", 1,
                "--config", "retention.ms=1234567", "--config", "max.message.bytes=64000").text
    assert f"Created topic {topic}." in made, made
    assert topic in tool("TopicCommand", *SERVER, "--list").text.splitlines()
    told = tool("TopicCommand", *SERVER, "--describe", "--topic", topic).text.splitlines()
    head = dict(field.split(": ", 1) for field in told[0].split("\t") if ": " in field)
    same((head["Topic"], head["PartitionCount"], head["ReplicationFactor"]), (topic, "3", "1"), "head line")
    same(len(head["TopicId"]), 22, "length of the topic id")
    configs = head["Configs"].split(",")
    assert "max.message.bytes=64000" in configs and "retention.ms=1234567" in configs, configs
    same(len(told), 4, "lines")
    assert re.search(r"\tTopic: \S+\tPartition: 2\tLeader: 1\tReplicas: 1\tIsr: 1", told[3]), told[3]


@suite.case("topics-more-partitions")
def _():
    topic = create(new_topic("java-grow"), 2)
    tool("TopicCommand", *SERVER, "--alter", "--topic", topic, "--partitions", 5)
    assert "PartitionCount: 5" in tool("TopicCommand", *SERVER, "--describe", "--topic", topic).text
    fewer = tool("TopicCommand", *SERVER, "--alter", "--topic", topic, "--partitions", 3, check=False)
    assert fewer.returncode != 0 and "INVALID_PARTITIONS" in fewer.text + fewer.error or "InvalidPartitions" in fewer.text + fewer.error


@suite.case("topics-delete")
def _():
    topic = create(new_topic("java-delete"))
    tool("TopicCommand", *SERVER, "--delete", "--topic", topic)
    assert topic not in tool("TopicCommand", *SERVER, "--list").text.splitlines()
    again = tool("TopicCommand", *SERVER, "--delete", "--topic", topic, check=False)
    assert again.returncode != 0 and "does not exist" in again.text + again.error


@suite.case("topics-refused")
def _():
    topic = create(new_topic("java-twice"))

    def refused(*words):
        done = tool("TopicCommand", *SERVER, "--create", *words, check=False)
        assert done.returncode != 0, "it was accepted"
        return done.text + done.error

    assert "TopicExistsException" in refused("--topic", topic)
    assert "InvalidReplicationFactorException" in refused("--topic", new_topic(), "--replication-factor", 3)
    assert "retention.ms" in refused("--topic", new_topic(), "--config", "retention.ms=soon")
    tool("TopicCommand", *SERVER, "--create", "--if-not-exists", "--topic", topic)


@suite.case("console-producer-consumer")
def _():
    topic = create(new_topic("java-console"))
    tool("ConsoleProducer", *SERVER, "--topic", topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=|",
         "--reader-property", "parse.headers=true", "--reader-property", "headers.delimiter=;", stdin="a:1,b:2;k1|one\nc:3;k2|two\n")
    read = tool("consumer.ConsoleConsumer", *SERVER, "--topic", topic, "--partition", 0, "--offset", "earliest", "--max-messages", 2,
                "--timeout-ms", 20000, *sum((["--formatter-property", f"print.{what}=true"] for what in ("key", "headers", "offset", "partition")), []))
    same(read.text, "Partition:0\tOffset:0\ta:1,b:2\tk1\tone\nPartition:0\tOffset:1\tc:3\tk2\ttwo\n", "output")
    assert "Processed a total of 2 messages" in read.error + read.text
    read = tool("consumer.ConsoleConsumer", *SERVER, "--topic", topic, "--partition", 0, "--offset", 1, "--max-messages", 1, "--timeout-ms", 20000)
    same(read.text, "two\n", "from an offset")


def codec_case(codec, number):
    @suite.case(f"console-producer-{codec}")
    def _():
        topic = create(new_topic("java-codec"))
        lines = "".join(f"line {n} {'xyz' * 9}\n" for n in range(300))
        tool("ConsoleProducer", *SERVER, "--topic", topic, "--compression-codec", codec, stdin=lines)
        read = tool("consumer.ConsoleConsumer", *SERVER, "--topic", topic, "--partition", 0, "--offset", "earliest",
                    "--max-messages", 300, "--timeout-ms", 20000)
        same(read.text, lines, "records")
        same({batch[1] for batch in wire.all_batches(PORT, topic)}, {number}, "codec of the stored batches")


for codec_, number_ in {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}.items():
    codec_case(codec_, number_)


@suite.case("console-consumer-group", needs="groups")
def _():
    topic = create(new_topic("java-group"), 2)
    fill(topic, 5, 0)
    fill(topic, 5, 1)
    read = tool("consumer.ConsoleConsumer", *SERVER, "--topic", topic, "--from-beginning", "--max-messages", 10, "--timeout-ms", 30000)
    same(len(read.text.splitlines()), 10, "records")


@suite.case("get-offsets")
def _():
    topic = create(new_topic("java-offsets"), 3)
    for part in range(3):
        fill(topic, part + 1, part)

    def offsets(*words):
        return tool("GetOffsetShell", *SERVER, "--topic", topic, *words).text.splitlines()

    same(offsets(), [f"{topic}:{part}:{part + 1}" for part in range(3)], "latest")
    same(offsets("--time", "earliest"), [f"{topic}:{part}:0" for part in range(3)], "earliest")
    same(offsets("--time", "max-timestamp", "--partitions", "2"), [f"{topic}:2:0"], "max timestamp")
    same(offsets("--time", 1_700_000_000_001), [], "after the last")


@suite.case("producer-perf")
def _():
    topic = create(new_topic("java-perf"), 2)
    told = tool("ProducerPerformance", "--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", 20000, "--record-size", 200,
                "--throughput", -1, "--command-property", "acks=all", "compression.type=lz4").text
    assert "20000 records sent" in told, told
    counted = tool("GetOffsetShell", *SERVER, "--topic", topic).text.split()
    same(sum(int(line.rsplit(":", 1)[1]) for line in counted), 20000, "records in the topic")


@suite.case("consumer-perf", needs="groups")
def _():
    topic = create(new_topic("java-cperf"))
    for _ in range(10):
        fill(topic, 100)
    told = tool("ConsumerPerformance", *SERVER, "--topic", topic, "--num-records", 1000, "--timeout", 30000).text
    same(told.strip().splitlines()[-1].split(", ")[4], "1000", "records read")


@suite.case("end-to-end-latency", needs="groups")
def _():
    topic = create(new_topic("java-e2e"))
    told = tool("EndToEndLatency", "--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", 200, "--producer-acks", "all",
                "--record-size", 100).text
    assert "Avg latency" in told and "Percentiles" in told, told


@suite.case("verifiable-producer")
def _():
    topic = create(new_topic("java-verifiable"))
    told = tool("VerifiableProducer", *SERVER, "--topic", topic, "--max-messages", 500, "--acks", "-1").text
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    sent = [event for event in events if event["name"] == "producer_send_success"]
    same([event["offset"] for event in sent], list(range(500)), "offsets")
    same(events[-1]["name"], "tool_data", "last event")
    same((events[-1]["sent"], events[-1]["acked"]), (500, 500), "totals")


@suite.case("verifiable-consumer", needs="groups")
def _():
    """It subscribes with a group, always."""
    topic, group = create(new_topic("java-verifiable-read")), new_topic("group")
    fill(topic, 50)
    told = tool("VerifiableConsumer", *SERVER, "--topic", topic, "--group-id", group, "--reset-policy", "earliest", "--max-messages", 50,
                "--verbose").text
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    same([event["offset"] for event in events if event["name"] == "record_data"], list(range(50)), "offsets")
    committed = [event for event in events if event["name"] == "offsets_committed"]
    same([event["success"] for event in committed], [True] * len(committed), "commits")
    same(max(place["offset"] for event in committed for place in event["offsets"]), 50, "committed in the end")
    # The hook that says so and the end itself race, on Kafka too.
    assert {"shutdown_requested", "shutdown_complete"} & {event["name"] for event in events}, "it says that it ends"


@suite.case("client-compatibility-test", seconds=120)
def _():
    """The program with which Kafka checks its Java client against other versions of its broker."""
    topic = create(new_topic("java-compat"))
    told = tool("ClientCompatibilityTest", *SERVER, "--topic", topic, "--num-cluster-nodes", 1, "--offsets-for-times-supported", "true",
                "--cluster-id-supported", "true", "--expect-record-too-large-exception", "false", "--create-topics-supported", "true",
                "--describe-acls-supported", "true", "--describe-configs-supported", "true", "--idempotent-producer-supported", "true", seconds=100)
    assert "SUCCESS" in told.text + told.error


@suite.case("broker-api-versions")
def _():
    told = tool("BrokerApiVersionsCommand", *SERVER).text
    assert f"{BOOTSTRAP} (id: 1 rack: null isFenced: false) -> (" in told, told[:200]
    found = dict(re.findall(r"\t(\w+)\(\d+\): (.*?)[,\n]", told))
    for name in ("Produce", "Fetch", "ListOffsets", "Metadata", "ApiVersions", "CreateTopics", "DeleteTopics", "InitProducerId",
                 "OffsetForLeaderEpoch", "CreatePartitions", "DescribeTopicPartitions", "DescribeConfigs", "DescribeCluster"):
        assert name in found and "UNSUPPORTED" not in found[name], f"{name}: {found.get(name)}"


@suite.case("cluster-id")
def _():
    told = tool("ClusterTool", "cluster-id", *SERVER).text
    assert re.fullmatch(r"Cluster ID: [A-Za-z0-9_-]{22}\n", told), told


@suite.case("describe-configs")
def _():
    topic = create(new_topic("java-configs"), configs=[("segment.bytes", "2097152")])
    told = config_command("--describe", "--entity-type", "topics", "--entity-name", topic).text
    assert f"Dynamic configs for topic {topic} are:" in told, told
    assert "  segment.bytes=2097152 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:segment.bytes=2097152" in told, told
    every = config_command("--describe", "--all", "--entity-type", "topics", "--entity-name", topic).text
    for name in ("cleanup.policy=delete", "retention.ms=604800000", "max.message.bytes=1048588", "min.insync.replicas=1", "compression.type=producer"):
        assert f"  {name} sensitive=false" in every, f"{name} is not in {every}"
    broker = config_command("--describe", "--all", "--entity-type", "brokers", "--entity-name", "1").text
    assert "  message.max.bytes=1048588 sensitive=false" in broker, broker[:500]


def config_command(*words):
    return shell.java("kafka.admin.ConfigCommand", *SERVER, *words)


@suite.case("log-dirs")
def _():
    topic = create(new_topic("java-dirs"), 2)
    fill(topic, 5, 1)
    told = tool("LogDirsCommand", *SERVER, "--describe", "--topic-list", topic).text.splitlines()
    same(told[:2], ["Querying brokers for log directories information", "Received log directory information from brokers 1"], "lines")
    said = json.loads(told[2])
    same((said["version"], [broker["broker"] for broker in said["brokers"]]), (1, [1]), "head")
    (directory, ) = said["brokers"][0]["logDirs"]
    same((directory["error"], directory["logDir"].startswith("/")), (None, True), "directory")
    partitions = sorted(directory["partitions"], key=lambda partition: partition["partition"])
    same([(p["partition"], p["size"] > 0, p["offsetLag"], p["isFuture"]) for p in partitions],
         [(f"{topic}-0", False, 0, False), (f"{topic}-1", True, 0, False)], "partitions")


@suite.case("features")
def _():
    told = tool("FeatureCommand", *SERVER, "describe")
    same(told.returncode, 0, "exit code")
    refused = tool("FeatureCommand", *SERVER, "upgrade", "--feature", "transaction.version=99", check=False)
    assert refused.returncode != 0 and "transaction.version" in refused.text + refused.error, refused.text + refused.error


@suite.case("describe-producers")
def _():
    topic = create(new_topic("java-producers"))
    tool("ConsoleProducer", *SERVER, "--topic", topic, stdin="one\ntwo\n")
    told = tool("TransactionsCommand", *SERVER, "describe-producers", "--topic", topic, "--partition", 0).text.splitlines()
    same(told[0].split(), ["ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp",
                           "CurrentTransactionStartOffset"], "columns")
    same([told[1].split()[place] for place in (1, 2, 3, 5)], ["0", "-1", "1", "None"], "row")


@suite.case("alter-configs", needs="alter-configs")
def _():
    topic = create(new_topic("java-alter"))
    words = ["--alter", "--entity-type", "topics", "--entity-name", topic]
    assert f"Completed updating config for topic {topic}." in config_command(*words, "--add-config", "retention.ms=777").text
    told = config_command("--describe", "--entity-type", "topics", "--entity-name", topic).text
    same(told, f"Dynamic configs for topic {topic} are:\n"
         "  retention.ms=777 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=777}\n", "after the change")
    config_command(*words, "--add-config", "cleanup.policy=[compact,delete]", "--delete-config", "retention.ms")
    told = config_command("--describe", "--entity-type", "topics", "--entity-name", topic).text
    assert "  cleanup.policy=compact,delete sensitive=false" in told and "retention.ms" not in told, told


@suite.case("alter-configs-of-brokers", needs="alter-configs")
def _():
    every, one = ["--entity-type", "brokers", "--entity-default"], ["--entity-type", "brokers", "--entity-name", "1"]
    same(config_command("--alter", *every, "--add-config", "log.cleaner.threads=2,message.max.bytes=2000000").text,
         "Completed updating default config for brokers in the cluster.\n", "default")
    same(config_command("--alter", *one, "--add-config", "message.max.bytes=3000000").text, "Completed updating config for broker 1.\n", "broker")
    told = config_command("--describe", *one).text
    assert told.startswith("Dynamic configs for broker 1 are:\n"), told
    assert ("  message.max.bytes=3000000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:message.max.bytes=3000000, "
            "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000, DEFAULT_CONFIG:message.max.bytes=1048588}\n") in told, told
    told = config_command("--describe", *every).text
    assert "Default configs for brokers in the cluster are:\n" in told, told
    assert "  message.max.bytes=2000000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000}\n" in told, told
    config_command("--alter", *one, "--delete-config", "message.max.bytes")
    config_command("--alter", *every, "--delete-config", "message.max.bytes,log.cleaner.threads")
    refused = shell.java("kafka.admin.ConfigCommand", *SERVER, "--alter", *one, "--add-config", "num.partitions=3", check=False)
    assert refused.returncode != 0 and "num.partitions" in refused.text + refused.error, refused.text + refused.error


@suite.case("alter-levels-of-loggers", needs="alter-configs")
def _():
    if KIND != "bourn":
        raise Skip("Kafka logs without log4j here, and has no levels to tell")
    words = ["--entity-type", "broker-loggers", "--entity-name", "1"]
    names = re.findall(r"^  (\S+)=INFO sensitive=false", config_command("--describe", *words).text, re.M)
    assert "root" in names and len(names) > 1, names
    logger = [name for name in names if name != "root"][0]
    same(config_command("--alter", *words, "--add-config", f"{logger}=DEBUG").text, "Completed updating config for broker-logger 1.\n", "output")
    assert f"  {logger}=DEBUG sensitive=false" in config_command("--describe", *words).text


@suite.case("alter-configs-of-groups", needs="groups")
def _():
    group = new_topic("java-group")
    same(config_command("--alter", "--entity-type", "groups", "--entity-name", group, "--add-config", "consumer.session.timeout.ms=50000").text,
         f"Completed updating config for group {group}.\n", "group")
    told = config_command("--describe", "--entity-type", "groups", "--entity-name", group).text
    assert "  consumer.session.timeout.ms=50000 sensitive=false synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000" in told, told


@suite.case("client-metrics", needs="alter-configs")
def _():
    metrics = new_topic("java-metrics")
    same(tool("ClientMetricsCommand", *SERVER, "--alter", "--name", metrics, "--interval", 1000, "--metrics", "org.apache.kafka.consumer.").text,
         f"Altered client metrics config for {metrics}.\n", "metrics")
    same(tool("ClientMetricsCommand", *SERVER, "--list").text, f"{metrics}\n", "list")
    told = tool("ClientMetricsCommand", *SERVER, "--describe", "--name", metrics).text.splitlines()
    same((told[0], sorted(line.strip() for line in told[1:])),
         (f"Client metrics configs for {metrics} are:", ["interval.ms=1000", "match=", "metrics=org.apache.kafka.consumer."]), "describe")
    same(tool("ClientMetricsCommand", *SERVER, "--delete", "--name", metrics).text, f"Deleted client metrics config for {metrics}.\n", "delete")
    same(tool("ClientMetricsCommand", *SERVER, "--list").text.strip(), "", "list after")


@suite.case("delete-records", needs="delete-records")
def _():
    topic = create(new_topic("java-records"))
    fill(topic, 20)
    with open("delete.json", "w") as out:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 7}]}, out)
    told = tool("DeleteRecordsCommand", *SERVER, "--offset-json-file", "delete.json").text
    same(told, f"Executing records delete operation\nRecords delete operation completed:\npartition: {topic}-0\tlow_watermark: 7\n", "output")
    same(tool("GetOffsetShell", *SERVER, "--topic", topic, "--time", "earliest").text, f"{topic}:0:7\n", "earliest offset")


@suite.case("consumer-groups", needs="groups")
def _():
    topic, group = create(new_topic("java-groups")), new_topic("group")
    fill(topic, 3)
    tool("consumer.ConsoleConsumer", *SERVER, "--topic", topic, "--group", group, "--from-beginning", "--max-messages", 3, "--timeout-ms", 30000)
    told = tool("consumer.group.ConsumerGroupCommand", *SERVER, "--describe", "--group", group).text
    row = [line.split() for line in told.splitlines() if line.startswith(group)][0]
    same(row[1:6], [topic, "0", "3", "3", "0"], "row")


suite.main()
