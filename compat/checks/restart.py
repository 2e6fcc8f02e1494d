"""What must be the same after a restart: after a clean stop, and after kill -9."""
import os
import struct
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from harness import brokers, wire
from harness.cases import KIND, Suite, same, until

WORK = Path(os.environ["COMPAT_WORK"])
suite = Suite()


def clean(broker):
    code = broker.stop()
    assert broker.clean_exit(code), f"the stop ended with {code}"


def killed(broker):
    broker.kill()


def producer_id(port):
    return wire.new_producer_id(port)[0]


def send(port, topic, count, partition=0, **options):
    with wire.Connection(port) as connection:
        records = [wire.record(n, b"k", b"v%d" % n) for n in range(count)]
        # Of today: Kafka forgets a producer by the timestamp of its last batch when it loads its state.
        now = int(time.time() * 1000)
        return wire.produce(connection, topic, wire.batch(records, timestamp=now, **options), partition=partition)


def delete(port, topic):
    with wire.Connection(port) as connection:
        reader = connection.ask(wire.DELETE_TOPICS, 1, wire.Writer().i32(1).string(topic).i32(10_000).done())
        reader.i32(), reader.i32(), reader.string()
        same(reader.i16(), 0, "delete")


def told(port):
    """All that a client can see of the cluster and its topics."""
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"})
    cluster = admin.describe_cluster().result(30)
    listed = admin.list_topics(timeout=20).topics
    configs = {}
    for name in listed:
        found = next(iter(admin.describe_configs([ConfigResource(ResourceType.TOPIC, name)]).values())).result(30)
        configs[name] = {key: entry.value for key, entry in found.items() if not entry.is_default}
    return cluster.cluster_id, {name: len(topic.partitions) for name, topic in listed.items()}, configs


def topics_now(port):
    try:
        return told(port)[1]
    except KafkaException:  # Kafka answers before it has loaded its metadata
        return None


def topic_id(port, topic):
    """From Metadata v10."""
    body = wire.Writer().uvarint(2).raw(bytes(16)).compact(topic).tags().i8(0).i8(0).i8(0).tags().done()
    with wire.Connection(port) as connection:
        reader = connection.ask(wire.METADATA, 10, body, flexible=True)
    reader.i32()
    for _ in range(reader.uvarint() - 1):
        reader.i32(), reader.take(reader.uvarint() - 1), reader.i32()
        assert reader.uvarint() == 0, "a rack"
        reader.uvarint()
    reader.take(reader.uvarint() - 1)
    reader.i32()
    same(reader.uvarint(), 2, "topics")
    same(reader.i16(), 0, "error")
    reader.take(reader.uvarint() - 1)
    return reader.take(16)


def restart_case(name, end):
    @suite.case(f"{name}", seconds=300)
    def _():
        with brokers.make(KIND, WORK / name) as broker:
            port = broker.port
            wire.make_topic(port, "kept", 3, configs=[("retention.ms", "987654"), ("max.message.bytes", "70000")])
            wire.make_topic(port, "gone", 2)
            wire.make_topic(port, "again", 1)
            identity = producer_id(port)
            for part in range(3):
                same(send(port, "kept", 10 + part, part), (0, 0), "produce")
            same(send(port, "kept", 5, 0, producer_id=identity, producer_epoch=0, sequence=0), (0, 10), "idempotent produce")
            same(send(port, "gone", 4), (0, 0), "produce")
            same(send(port, "again", 4), (0, 0), "produce")
            delete(port, "gone")
            old = topic_id(port, "again")
            delete(port, "again")
            until(lambda: "again" not in (topics_now(port) or ["again"]), what="the topic to go")
            wire.make_topic(port, "again", 2)
            before, identities = told(port), [topic_id(port, "kept"), topic_id(port, "again")]
            assert identities[1] != old, "the new topic has the id of the deleted one"
            end(broker)
            broker.start()
            until(lambda: topics_now(port) == before[1], what="the topics")
            same(told(port), before, "cluster and topics")
            same([topic_id(port, "kept"), topic_id(port, "again")], identities, "topic ids")
            same([sum(batch[2] for batch in wire.all_batches(port, "kept", part)) for part in range(3)], [15, 11, 12], "records")
            same([wire.all_batches(port, "again", part) for part in range(2)], [[], []], "the new topic")
            same(send(port, "kept", 5, 0, producer_id=identity, producer_epoch=0, sequence=0), (0, 10), "a duplicate from before")
            same(send(port, "kept", 1, 0, producer_id=identity, producer_epoch=0, sequence=9)[0], 45, "a gap")
            same(send(port, "kept", 1, 0, producer_id=identity, producer_epoch=0, sequence=5), (0, 15), "the next")
            assert producer_id(port) > identity, "a producer id was given twice"


restart_case("clean-stop", clean)
restart_case("kill", killed)


@suite.case("kill-again-and-again", seconds=400)
def _():
    """Acknowledged is kept, through kills right after the answer."""
    rounds = 4 if KIND == "kafka" else 15
    with brokers.make(KIND, WORK / "again") as broker:
        wire.make_topic(broker.port, "t", 1)
        wanted = []
        for round_ in range(rounds):
            with wire.Connection(broker.port) as connection:
                for n in range(20):
                    value = struct.pack(">ii", round_, n)
                    error, offset = wire.produce(connection, "t", wire.batch([wire.record(0, None, value)]))
                    same((error, offset), (0, len(wanted)), "produce")
                    wanted.append(value)
            broker.kill()
            broker.start()
            found = [batch[0] for batch in wire.all_batches(broker.port, "t")]
            same(found, list(range(len(wanted))), "offsets")
        return f"{rounds} kills, {len(wanted)} records"


@suite.case("ids-are-never-given-twice", seconds=300)
def _():
    with brokers.make(KIND, WORK / "ids") as broker:
        seen = []
        for end in (killed, clean, killed):
            seen += [producer_id(broker.port) for _ in range(3)]
            end(broker)
            broker.start()
        seen += [producer_id(broker.port) for _ in range(3)]
        same(len(set(seen)), len(seen), f"distinct ids of {seen}")


suite.main()
