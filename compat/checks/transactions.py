"""Transactions as tools and applications use them: Java's and librdkafka's producers, read-process-write with a group, zombies,
and Kafka's own tool for transactions."""
import re
import threading
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from harness import shell, wire
from harness.cases import BOOTSTRAP, KIND, Suite, new_topic, same, until

PORT = int(BOOTSTRAP.rpartition(":")[2])
TOOLS = "org.apache.kafka.tools."
SERVER = ["--bootstrap-server", BOOTSTRAP]
suite = Suite()


def tool(name, *arguments, **options):
    return shell.java(TOOLS + name, *arguments, **options)


def transactions(*arguments, **options):
    """The rows of a table of kafka-transactions, by their heads."""
    lines = tool("TransactionsCommand", *SERVER, *arguments, **options).text.splitlines()
    lines = [re.split(r"\s*\t\s*", line.rstrip()) for line in lines if line.strip()]
    return [dict(zip((head.strip() for head in lines[0]), (cell.strip() for cell in row))) for row in lines[1:]]


def create(stem, partitions=1):
    return wire.make_topic(PORT, new_topic(stem), partitions)


def producer(transactional_id, **options):
    settings = {"bootstrap.servers": BOOTSTRAP, "transactional.id": transactional_id, **{key.replace("_", "."): value for key, value in options.items()}}
    client = Producer(settings)
    client.init_transactions(60)
    return client


def committed(topic, partitions=1):
    """What a reader of committed records sees of a topic, to its end."""
    client = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "committed", "isolation.level": "read_committed", "enable.partition.eof": True})
    try:
        client.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
        values, ends, bound = [], set(), time.monotonic() + 60
        while len(ends) < partitions:
            assert time.monotonic() < bound, f"{len(values)} records, and no end"
            message = client.poll(1)
            if message is None:
                continue
            if message.error():
                same(message.error().code(), KafkaError._PARTITION_EOF, "error")
                ends.add(message.partition())
            else:
                values.append(message.value())
        return values
    finally:
        client.close()


@suite.case("features")
def _():
    text = tool("FeatureCommand", *SERVER, "describe").text
    assert re.search(r"Feature: transaction.version\s+SupportedMinVersion: 0\s+SupportedMaxVersion: 2\s+FinalizedVersionLevel: 2", text), text


@suite.case("perf-test", seconds=180)
def _():
    """Java's producer with many transactions; every record is there once."""
    topic = create("txn-perf", 3)
    tool("ProducerPerformance", "--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", 20000, "--record-size", 100, "--throughput", -1,
         "--transactional-id", topic, "--transaction-duration-ms", 50, seconds=120)
    same(len(committed(topic, 3)), 20000, "records")
    same({row["TransactionalId"]: row["TransactionState"] for row in transactions("list")}[topic], "CompleteCommit", "state")


@suite.case("copier", seconds=240)
def _():
    """Kafka's own read-process-write application, three times over, the second killed in the middle: each record is copied once."""
    source, copy = create("txn-source"), create("txn-copy")
    client = Producer({"bootstrap.servers": BOOTSTRAP})
    for n in range(3000):
        client.produce(source, b"%d" % n, partition=0)
    client.flush(30)

    def copier(count, **options):
        return tool("TransactionalMessageCopier", "--transactional-id", copy, "--broker-list", BOOTSTRAP, "--input-topic", source, "--input-partition", 0,
                    "--output-topic", copy, "--max-messages", count, "--transaction-size", 100, "--consumer-group", copy,
                    "--transaction-timeout", 60000, "--use-group-metadata", **options)

    copier(1000)
    random = tool("TransactionalMessageCopier", "--transactional-id", copy, "--broker-list", BOOTSTRAP, "--input-topic", source, "--input-partition", 0,
                  "--output-topic", copy, "--max-messages", 1000, "--transaction-size", 100, "--consumer-group", copy,
                  "--transaction-timeout", 60000, "--enable-random-aborts", "--use-group-metadata", seconds=120)
    assert "remaining" in random.text
    copier(-1, seconds=120)
    same(sorted(map(int, committed(copy))), list(range(3000)), "copies")


@suite.case("read-process-write", seconds=240)
def _():
    """librdkafka: instances that die at any moment and are replaced; each result is there once."""
    source, results = create("eos-in", 2), create("eos-out", 2)
    feeder = Producer({"bootstrap.servers": BOOTSTRAP})
    for n in range(2000):
        feeder.produce(source, b"%d" % n, partition=n % 2)
    feeder.flush(30)
    group, done = results, []
    for generation in range(6):
        last = generation == 5
        done.extend(work(group, source, results, None if last else 150 + 130 * generation))
    same(sorted(map(int, committed(results, 2))), list(range(2000)), "results")
    assert len(done) >= 2000, done


def work(group, source, results, dies_after):
    """One instance; without `dies_after` it works until nothing is left. It dies without a word, in the middle of a transaction."""
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
                         "isolation.level": "read_committed", "session.timeout.ms": 6000, "enable.partition.eof": True})
    client = producer(group, transaction_timeout_ms=60000)
    consumer.subscribe([source])
    worked, ends, bound = [], set(), time.monotonic() + 100
    try:
        while len(ends) < 2:
            assert time.monotonic() < bound, f"{len(worked)} results, and no end"
            batch = consumer.consume(50, 1)
            for message in batch:
                (ends.add if message.error() else ends.discard)(message.partition())
            batch = [message for message in batch if not message.error()]
            if not batch:
                continue
            client.begin_transaction()
            for message in batch:
                client.produce(results, message.value(), partition=message.partition())
                worked.append(message.value())
                if dies_after is not None and len(worked) >= dies_after:
                    client.flush(10)
                    return worked
            client.send_offsets_to_transaction(consumer.position(consumer.assignment()), consumer.consumer_group_metadata(), 30)
            client.commit_transaction(30)
        return worked
    finally:
        consumer.close()


@suite.case("zombie")
def _():
    """A second instance fences the first, whose transaction is aborted."""
    topic = create("txn-zombie")
    first = producer(topic)
    first.begin_transaction()
    first.produce(topic, b"zombie", partition=0)
    first.flush(10)
    second = producer(topic)
    second.begin_transaction()
    second.produce(topic, b"new", partition=0)
    second.commit_transaction(30)
    try:
        first.commit_transaction(30)
        raise AssertionError("the zombie could commit")
    except KafkaException as error:
        assert error.args[0].fatal(), error
    same(committed(topic), [b"new"], "records")


@suite.case("timeout", seconds=120)
def _():
    """The coordinator aborts what takes too long; readers of committed records go on."""
    topic = create("txn-late")
    late = producer(topic, transaction_timeout_ms=2000, message_timeout_ms=2000)
    late.begin_transaction()
    late.produce(topic, b"late", partition=0)
    late.flush(10)
    plain = Producer({"bootstrap.servers": BOOTSTRAP})
    plain.produce(topic, b"plain", partition=0)
    plain.flush(10)
    until(lambda: committed(topic) == [b"plain"], 60, "the end of the transaction")


@suite.case("list-and-describe")
def _():
    topic = create("txn-tool", 3)
    client = producer(topic)
    client.begin_transaction()
    for number in (0, 2):
        client.produce(topic, b"x", partition=number)
    client.flush(10)
    row = next(row for row in transactions("list") if row["TransactionalId"] == topic)
    same(row["TransactionState"], "Ongoing", "state")
    same([row["TransactionalId"] for row in transactions("list", "--transactional-id-pattern", topic[:-2] + ".*")], [topic], "by pattern")
    assert topic not in [row["TransactionalId"] for row in transactions("list", "--duration-filter", 600000)]
    described = transactions("describe", "--transactional-id", topic)[0]
    same(described["TransactionState"], "Ongoing", "state")
    same(sorted(described["TopicPartitions"].split(",")), [f"{topic}-0", f"{topic}-2"], "partitions")
    open_ = transactions("describe-producers", "--topic", topic, "--partition", 0)[0]
    same((open_["ProducerId"], open_["CurrentTransactionStartOffset"]), (described["ProducerId"], "0"), "producer")
    client.commit_transaction(30)
    until(lambda: transactions("describe", "--transactional-id", topic)[0]["TransactionState"] == "CompleteCommit", 30, "completion")
    unknown = tool("TransactionsCommand", *SERVER, "describe", "--transactional-id", "nobody", check=False)
    assert unknown.returncode != 0 and "could not be found" in unknown.text + unknown.error


@suite.case("find-hanging-and-abort", seconds=150)
def _():
    """A transaction that no coordinator knows hangs; the tool finds it and ends it."""
    topic = create("txn-hang")
    with wire.Connection(PORT) as connection:
        hang(connection, topic)
    plain = Producer({"bootstrap.servers": BOOTSTRAP})
    plain.produce(topic, b"plain", partition=0)
    plain.flush(10)
    same(committed(topic), [], "records behind a transaction that hangs")
    # A transaction is suspected when it is older than the longest timeout.
    hanging = transactions("find-hanging", "--topic", topic, "--max-transaction-timeout", 0)
    found = [row for row in hanging if row["Topic"] == topic]
    same([(row["Partition"], row["StartOffset"]) for row in found], [("0", "0")], "hanging")
    tool("TransactionsCommand", *SERVER, "abort", "--topic", topic, "--partition", 0, "--start-offset", 0)
    same(committed(topic), [b"plain"], "records")


def hang(connection, topic):
    """Writes a transactional batch on trust: `transaction.partition.verification.enable` is off meanwhile."""
    switch = ["--alter", "--entity-type", "brokers", "--entity-default"]
    tool_config("--add-config", "transaction.partition.verification.enable=false", *switch)
    try:
        batch = wire.batch([wire.record(0, None, b"hangs")], producer_id=424242, producer_epoch=0, sequence=0, attributes=0x10)
        same(wire.produce(connection, topic, batch, transactional_id="nobody")[0], 0, "produce error")
    finally:
        tool_config("--delete-config", "transaction.partition.verification.enable", *switch)


def tool_config(*arguments):
    shell.java("kafka.admin.ConfigCommand", *SERVER, *arguments)


@suite.case("threads")
def _():
    """Ten producers at a time on one partition."""
    topic = create("txn-many")
    failures = []

    def run(number):
        try:
            client = producer(f"{topic}-{number}")
            for turn in range(20):
                client.begin_transaction()
                client.produce(topic, b"%d %d" % (number, turn), partition=0)
                client.commit_transaction(30) if turn % 4 else client.abort_transaction(30)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(failures, [], "failures")
    wanted = sorted(b"%d %d" % (number, turn) for number in range(10) for turn in range(20) if turn % 4)
    same(sorted(committed(topic)), wanted, "records")


suite.main()
