"""confluent-kafka (librdkafka): producer, assigned consumer and admin."""
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType

from harness import wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same, until

PORT = int(BOOTSTRAP.rpartition(":")[2])
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
suite = Suite()
admin = AdminClient({"bootstrap.servers": BOOTSTRAP})


def producer(**settings):
    return Producer({"bootstrap.servers": BOOTSTRAP, **{key.replace("_", "."): value for key, value in settings.items()}})


def produce(topic, count, partition=0, settings=None, value=b"value %d"):
    """Sends and returns the delivery reports as (error, offset)."""
    reports = []
    client = Producer({"bootstrap.servers": BOOTSTRAP, "linger.ms": 20, **(settings or {})})
    for n in range(count):
        client.produce(topic, key=b"key %d" % n, value=value % n, partition=partition, headers=[("n", b"%d" % n)],
                       on_delivery=lambda error, message: reports.append((error, message.offset())))
        client.poll(0)
    same(client.flush(30), 0, "records left in the queue")
    return reports


def read(topic, count, partition=0, offset=0, **settings):
    """Reads `count` records of one partition without a group."""
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "unused", "enable.auto.commit": False,
                         "auto.offset.reset": "error", **settings})
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        found = []

        def more():
            for message in consumer.consume(1000, 0.5):
                if message.error():
                    raise KafkaException(message.error())
                found.append(message)
            return len(found) >= count

        until(more, 40, f"{count} records", pause=0)
        return found
    finally:
        consumer.close()


def result(futures, name=None):
    return (futures[name] if name else next(iter(futures.values()))).result(30)


def refused(future):
    try:
        future.result(30)
    except KafkaException as error:
        return error.args[0].code()
    raise AssertionError("it was accepted")


def codec_case(codec, number):
    @suite.case(f"codec-{codec}")
    def _():
        topic = wire.make_topic(PORT, new_topic("cf-codec"))
        reports = produce(topic, 3000, settings={"compression.type": codec}, value=b"value %d " + b"abc" * 20)
        same(sorted(offset for _, offset in reports), list(range(3000)), "offsets")
        found = read(topic, 3000)
        same([message.offset() for message in found], list(range(3000)), "offsets read")
        same(found[17].key(), b"key 17", "key")
        same(found[17].value(), b"value 17 " + b"abc" * 20, "value")
        same(found[17].headers(), [("n", b"17")], "headers")
        same({batch[1] for batch in wire.all_batches(PORT, topic)}, {number}, "codec of the stored batches")


for codec_, number_ in CODECS.items():
    codec_case(codec_, number_)


def acks_case(acks):
    @suite.case(f"acks-{acks}")
    def _():
        topic = wire.make_topic(PORT, new_topic("cf-acks"))
        reports = produce(topic, 1000, settings={"acks": acks})
        same([error for error, _ in reports if error], [], "errors")
        same(len(read(topic, 1000)), 1000, "records")


for acks_ in ("0", "1", "all"):
    acks_case(acks_)


@suite.case("idempotent")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-idempotent"), 2)
    settings = {"enable.idempotence": True, "batch.num.messages": 20, "compression.type": "lz4"}
    for part in range(2):
        same(sorted(offset for _, offset in produce(topic, 2000, part, settings)), list(range(2000)), "offsets")
        same([message.value() for message in read(topic, 2000, part)], [b"value %d" % n for n in range(2000)], "values")


@suite.case("partitioner")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-partitioner"), 4)
    client = Producer({"bootstrap.servers": BOOTSTRAP, "partitioner": "murmur2_random"})
    where = {}
    for n in range(200):
        client.produce(topic, key=b"key %d" % (n % 20), value=b"x",
                       on_delivery=lambda _, message: where.setdefault(message.key(), set()).add(message.partition()))
    same(client.flush(30), 0, "records left")
    same(len(where), 20, "keys")
    assert all(len(parts) == 1 for parts in where.values()), "one key in two partitions"
    assert len(set.union(*where.values())) > 1, "everything in one partition"


@suite.case("message-size-refused")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-size"), configs=[("max.message.bytes", "2000")])
    client = producer()
    reports = []
    for size in (100, 5000, 200):
        client.produce(topic, value=b"x" * size, on_delivery=lambda error, _: reports.append(error and error.code()))
        same(client.flush(30), 0, "records left")
    same(reports, [None, KafkaError.MSG_SIZE_TOO_LARGE, None], "delivery reports")


@suite.case("consume-large-record-past-limits")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-large"))
    produce(topic, 3, value=b"%d" + b"y" * 300_000)
    found = read(topic, 3, **{"fetch.message.max.bytes": 1000, "fetch.max.bytes": 1000, "message.max.bytes": 1000})
    same([len(message.value()) for message in found], [300_001] * 3, "lengths")


@suite.case("offset-out-of-range")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-range"))
    produce(topic, 10)
    same([m.offset() for m in read(topic, 10, offset=500, **{"auto.offset.reset": "earliest"})], list(range(10)), "offsets after the reset")
    try:
        read(topic, 1, offset=500)
    except KafkaException as error:
        assert error.args[0].code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE), error
    else:
        raise AssertionError("it read something")


@suite.case("watermarks-and-times")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-times"))
    client = producer()
    for n in range(10):
        client.produce(topic, value=b"x", timestamp=1_700_000_000_000 + n * 1000)
        same(client.flush(30), 0, "records left")
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "unused"})
    try:
        same(consumer.get_watermark_offsets(TopicPartition(topic, 0), 20), (0, 10), "watermarks")
        found = consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_003_500)], 20)
        same(found[0].offset, 4, "offset by time")
    finally:
        consumer.close()


@suite.case("partition-eof-and-tail")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-eof"))
    produce(topic, 5)
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "unused", "enable.partition.eof": True, "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        seen = []

        def at_end(count):
            message = consumer.poll(0.5)
            if message is not None:
                seen.append(message.error().code() if message.error() else message.offset())
            return seen.count(KafkaError._PARTITION_EOF) >= count

        until(lambda: at_end(1), 30, "the end", pause=0)
        produce(topic, 3)
        until(lambda: at_end(2), 30, "the second end", pause=0)
        same([item for item in seen if item != KafkaError._PARTITION_EOF], list(range(8)), "offsets")
    finally:
        consumer.close()


@suite.case("admin-topics")
def _():
    topic = new_topic("cf-admin")
    same(result(admin.create_topics([NewTopic(topic, 3, 1, config={"retention.ms": "99000"})])), None, "created")
    same(refused(admin.create_topics([NewTopic(topic, 3, 1)])[topic]), KafkaError.TOPIC_ALREADY_EXISTS, "created twice")
    listed = admin.list_topics(timeout=20).topics[topic]
    same(sorted(listed.partitions), [0, 1, 2], "partitions")
    same(result(admin.create_partitions([NewPartitions(topic, 5)])), None, "more partitions")
    until(lambda: len(admin.list_topics(topic, 20).topics[topic].partitions) == 5, what="five partitions")
    same(refused(admin.create_partitions([NewPartitions(topic, 2)])[topic]), KafkaError.INVALID_PARTITIONS, "fewer partitions")
    same(result(admin.delete_topics([topic])), None, "deleted")
    until(lambda: topic not in admin.list_topics(timeout=20).topics, what="the topic to go")
    same(refused(admin.delete_topics([topic])[topic]), KafkaError.UNKNOWN_TOPIC_OR_PART, "deleted twice")


@suite.case("admin-refusals")
def _():
    def create(*words, **more):
        return refused(next(iter(admin.create_topics([NewTopic(*words, **more)]).values())))

    same(create("x" * 250, 1, 1), KafkaError.TOPIC_EXCEPTION, "name of 250")
    same(create("..", 1, 1), KafkaError.TOPIC_EXCEPTION, "name ..")
    same(create("a/b", 1, 1), KafkaError.TOPIC_EXCEPTION, "name with a slash")
    same(create(new_topic(), 0, 1), KafkaError.INVALID_PARTITIONS, "no partitions")
    same(create(new_topic(), 1, 5), KafkaError.INVALID_REPLICATION_FACTOR, "five replicas")
    same(create(new_topic(), 1, 1, config={"no.such.config": "1"}), KafkaError.INVALID_CONFIG, "unknown config")
    same(create(new_topic(), 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG, "config of a wrong type")


@suite.case("admin-validate-only")
def _():
    topic = new_topic("cf-validate")
    same(result(admin.create_topics([NewTopic(topic, 1, 1)], validate_only=True)), None, "validated")
    assert topic not in admin.list_topics(timeout=20).topics, "it was created"


@suite.case("admin-describe-topics")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-describe"), 2)
    found = result(admin.describe_topics(TopicCollection([topic])), topic)
    same((found.name, len(found.partitions), found.is_internal), (topic, 2, False), "description")
    same([part.leader.id for part in found.partitions], [1, 1], "leaders")
    missing = new_topic("cf-missing")
    same(refused(admin.describe_topics(TopicCollection([missing]))[missing]), KafkaError.UNKNOWN_TOPIC_OR_PART, "missing topic")


@suite.case("admin-describe-configs")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-configs"), configs=[("retention.ms", "86400000")])
    found = result(admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))
    same(found["retention.ms"].value, "86400000", "retention.ms")
    same(found["cleanup.policy"].value, "delete", "cleanup.policy")
    assert found["cleanup.policy"].is_default and not found["retention.ms"].is_default
    broker = result(admin.describe_configs([ConfigResource(ResourceType.BROKER, "1")]))
    same(broker["message.max.bytes"].value, "1048588", "message.max.bytes")
    missing = ConfigResource(ResourceType.TOPIC, new_topic("cf-missing"))
    same(refused(admin.describe_configs([missing])[missing]), KafkaError.UNKNOWN_TOPIC_OR_PART, "missing topic")


@suite.case("admin-describe-cluster")
def _():
    found = admin.describe_cluster().result(30)
    same([(node.id, node.host, node.port) for node in found.nodes], [(1, "127.0.0.1", PORT)], "nodes")
    same(found.controller.id, 1, "controller")
    same(len(found.cluster_id), 22, "length of the cluster id")


@suite.case("admin-list-offsets")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-list"))
    with wire.Connection(PORT) as connection:
        for when in (1000, 3000, 2000):
            same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x")], timestamp=when))[0], 0, "error")

    def offset(spec):
        return result(admin.list_offsets({TopicPartition(topic, 0): spec})).offset

    same(offset(OffsetSpec.earliest()), 0, "earliest")
    same(offset(OffsetSpec.latest()), 3, "latest")
    same(offset(OffsetSpec.max_timestamp()), 1, "max timestamp")
    same(offset(OffsetSpec.for_timestamp(1500)), 1, "by timestamp")


@suite.case("admin-alter-configs", needs="alter-configs")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-alter"))
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"retention.ms": "4242"})
    same(result(admin.alter_configs([resource])), None, "altered")
    until(lambda: result(admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]))["retention.ms"].value == "4242", what="the config")


@suite.case("admin-delete-records", needs="delete-records")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-delete"))
    produce(topic, 10)
    same(result(admin.delete_records([TopicPartition(topic, 0, 4)])).low_watermark, 4, "low watermark")
    same([message.offset() for message in read(topic, 6, offset=4)], list(range(4, 10)), "offsets")


def group_case(protocol):
    @suite.case(f"group-{protocol}", needs="groups" if protocol == "classic" else "consumer-protocol")
    def _():
        topic, group = wire.make_topic(PORT, new_topic("cf-group"), 2), new_topic("group")
        for part in range(2):
            produce(topic, 50, part)
        consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest",
                             "enable.auto.commit": False, "group.protocol": protocol})
        seen = []
        try:
            consumer.subscribe([topic])

            def all_read():
                seen.extend(message for message in consumer.consume(100, 0.5) if not message.error())
                return len(seen) >= 100

            until(all_read, 60, "all records", pause=0)
            consumer.commit(asynchronous=False)
        finally:
            consumer.close()
        found = result(admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])).topic_partitions
        same(sorted((part.partition, part.offset) for part in found), [(0, 50), (1, 50)], "committed")


for protocol_ in ("classic", "consumer"):
    group_case(protocol_)


@suite.case("transaction", needs="transactions")
def _():
    topic = wire.make_topic(PORT, new_topic("cf-txn"))
    client = Producer({"bootstrap.servers": BOOTSTRAP, "transactional.id": topic})
    client.init_transactions(30)
    for n, commit in enumerate((True, False, True)):
        client.begin_transaction()
        for _ in range(5):
            client.produce(topic, value=b"%d" % n)
        client.commit_transaction(30) if commit else client.abort_transaction(30)
    same([message.value() for message in read(topic, 10)], [b"0"] * 5 + [b"2"] * 5, "committed values")


suite.main()
