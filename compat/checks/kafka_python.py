"""kafka-python: producer, assigned consumer and admin, in pure Python with its own encoders."""
import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.errors import (InvalidPartitionsError, InvalidReplicationFactorError, InvalidTopicError, MessageSizeTooLargeError,
                          OffsetOutOfRangeError, TopicAlreadyExistsError, UnknownTopicOrPartitionError)

from harness import wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same, until

PORT = int(BOOTSTRAP.rpartition(":")[2])
CODECS = {None: 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
suite = Suite()
print("kafka-python", kafka.__version__)


def produce(topic, count, partition=0, **settings):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, linger_ms=20, **settings)
    try:
        futures = [
            producer.send(topic, key=b"key %d" % n, value=b"value %d " % n + b"abc" * 20, partition=partition, headers=[("n", b"%d" % n)],
                          timestamp_ms=1_700_000_000_000 + n)
            for n in range(count)
        ]
        producer.flush(30)
        return [future.get(30) for future in futures]
    finally:
        producer.close(10)


def read(topic, count, partition=0, offset=0, **settings):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None, **settings)
    try:
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        consumer.seek(where, offset)
        found = []

        def more():
            for records in consumer.poll(500, max_records=1000).values():
                found.extend(records)
            return len(found) >= count

        until(more, 40, f"{count} records", pause=0)
        return found
    finally:
        consumer.close()


def admin():
    return KafkaAdminClient(bootstrap_servers=BOOTSTRAP)


def refused(error, call, *words, **options):
    try:
        call(*words, **options)
    except error:
        return
    raise AssertionError(f"expected {error.__name__}")


def codec_case(codec, number):
    @suite.case(f"codec-{codec or 'none'}")
    def _():
        topic = wire.make_topic(PORT, new_topic("kp-codec"))
        sent = produce(topic, 1000, compression_type=codec)
        same([meta.offset for meta in sent], list(range(1000)), "offsets")
        found = read(topic, 1000)
        same([record.offset for record in found], list(range(1000)), "offsets read")
        record = found[17]
        same((record.key, record.value, record.headers, record.timestamp, record.timestamp_type),
             (b"key 17", b"value 17 " + b"abc" * 20, [("n", b"17")], 1_700_000_000_017, 0), "record")
        same({batch[1] for batch in wire.all_batches(PORT, topic)}, {number}, "codec of the stored batches")


for codec_, number_ in CODECS.items():
    codec_case(codec_, number_)


def acks_case(acks):
    @suite.case(f"acks-{acks}")
    def _():
        topic = wire.make_topic(PORT, new_topic("kp-acks"))
        produce(topic, 500, acks=acks, enable_idempotence=False)
        same(len(read(topic, 500)), 500, "records")


for acks_ in (0, 1, "all"):
    acks_case(acks_)


@suite.case("idempotent")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-idempotent"), 2)
    for part in range(2):
        same([meta.offset for meta in produce(topic, 800, part, enable_idempotence=True, acks="all", batch_size=2000)], list(range(800)), "offsets")
        same([record.key for record in read(topic, 800, part)], [b"key %d" % n for n in range(800)], "keys")


@suite.case("auto-create")
def _():
    topic = new_topic("kp-auto")
    same(produce(topic, 3)[-1].offset, 2, "offset")
    same(len(read(topic, 3)), 3, "records")


@suite.case("offsets")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-offsets"))
    produce(topic, 100)
    where = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, group_id=None)
    try:
        same(consumer.beginning_offsets([where])[where], 0, "beginning")
        same(consumer.end_offsets([where])[where], 100, "end")
        found = consumer.offsets_for_times({where: 1_700_000_000_042})[where]
        same((found.offset, found.timestamp), (42, 1_700_000_000_042), "by time")
        same(consumer.offsets_for_times({where: 1_800_000_000_000})[where], None, "after the last")
        same(consumer.partitions_for_topic(topic), {0}, "partitions")
        assert topic in consumer.topics()
    finally:
        consumer.close()


@suite.case("offset-out-of-range")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-range"))
    produce(topic, 5)
    refused(OffsetOutOfRangeError, read, topic, 1, offset=50, auto_offset_reset="none")
    same(len(read(topic, 5, offset=50, auto_offset_reset="earliest")), 5, "records after the reset")


@suite.case("message-size-refused")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-size"), configs=[("max.message.bytes", "1000")])
    # A refused batch leaves a gap in an idempotent producer's sequence, and this client does not begin a new one.
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, enable_idempotence=False)
    try:
        refused(MessageSizeTooLargeError, producer.send(topic, b"x" * 5000).get, 30)
        same(producer.send(topic, b"small").get(30).offset, 0, "offset of the next")
    finally:
        producer.close(10)


@suite.case("fetch-past-limits")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-large"))
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for n in range(3):
        producer.send(topic, b"%d" % n + b"y" * 200_000).get(30)
    producer.close(10)
    same([len(record.value) for record in read(topic, 3, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)], [200_001] * 3, "lengths")


@suite.case("admin-topics")
def _():
    topic, client = new_topic("kp-admin"), admin()
    try:
        client.create_topics({topic: {"num_partitions": 3, "replication_factor": 1, "configs": {"retention.ms": "98000"}}})
        refused(TopicAlreadyExistsError, client.create_topics, {topic: {"num_partitions": 3, "replication_factor": 1}})
        refused(InvalidTopicError, client.create_topics, {"a b": {"num_partitions": 1, "replication_factor": 1}})
        refused(InvalidPartitionsError, client.create_topics, {new_topic(): {"num_partitions": 0, "replication_factor": 1}})
        refused(InvalidReplicationFactorError, client.create_topics, {new_topic(): {"num_partitions": 1, "replication_factor": 9}})
        assert topic in client.list_topics()
        client.create_partitions({topic: 4})
        until(lambda: len(client.describe_topics([topic])[0]["partitions"]) == 4, what="four partitions")
        refused(InvalidPartitionsError, client.create_partitions, {topic: 2})
        client.delete_topics([topic])
        until(lambda: topic not in client.list_topics(), what="the topic to go")
        refused(UnknownTopicOrPartitionError, client.delete_topics, [topic])
    finally:
        client.close()


@suite.case("admin-default-partitions")
def _():
    topic, client = new_topic("kp-default"), admin()
    try:
        client.create_topics([topic])
        same(len(client.describe_topics([topic])[0]["partitions"]), 1, "partitions")
    finally:
        client.close()


@suite.case("admin-describe")
def _():
    topic, client = wire.make_topic(PORT, new_topic("kp-describe"), configs=[("retention.ms", "76000")]), admin()
    try:
        cluster = client.describe_cluster()
        same([(node["broker_id"] if "broker_id" in node else node["node_id"], node["host"], node["port"]) for node in cluster["brokers"]],
             [(1, "127.0.0.1", PORT)], "brokers")
        found = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")["topic"][topic]
        same((found["retention.ms"]["value"], found["cleanup.policy"]["value"]), ("76000", "delete"), "configs")
        assert client.api_versions(), "no API versions"
    finally:
        client.close()


@suite.case("admin-list-offsets")
def _():
    topic, client = wire.make_topic(PORT, new_topic("kp-list")), admin()
    produce(topic, 10)
    where = TopicPartition(topic, 0)
    try:
        for spec, offset in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 10), (OffsetSpec.MAX_TIMESTAMP, 9), (1_700_000_000_004, 4)):
            same(client.list_partition_offsets({where: spec})[where].offset, offset, str(spec))
    finally:
        client.close()


@suite.case("group", needs="groups")
def _():
    topic, group = wire.make_topic(PORT, new_topic("kp-group")), new_topic("group")
    produce(topic, 20)
    consumer = KafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False)
    found = []
    try:
        def more():
            for records in consumer.poll(500).values():
                found.extend(records)
            return len(found) >= 20

        until(more, 60, "all records", pause=0)
        consumer.commit()
        same(consumer.committed(TopicPartition(topic, 0)), 20, "committed")
    finally:
        consumer.close()


@suite.case("transaction", needs="transactions")
def _():
    topic = wire.make_topic(PORT, new_topic("kp-txn"))
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=topic)
    try:
        producer.init_transactions()
        for n, commit in enumerate((True, False, True)):
            producer.begin_transaction()
            producer.send(topic, b"%d" % n)
            producer.commit_transaction() if commit else producer.abort_transaction()
    finally:
        producer.close(10)
    same([record.value for record in read(topic, 2, isolation_level="read_committed")], [b"0", b"2"], "values")


suite.main()
