"""Metrics that clients push (KIP-714): asked for with Kafka's own tool, pushed by its own producer, found in the broker's log.

Only Bourn: Kafka itself hands pushes to a plugin, and comes with none.
"""
import json
import os
from pathlib import Path

from harness import brokers, shell, wire
from harness.cases import Suite, same

WORK = Path(os.environ["COMPAT_WORK"])
suite = Suite()


def pushes(broker):
    """What the broker's log says of pushes, as JSON."""
    lines = (json.loads(line) for line in broker.log.read_text(errors="replace").splitlines() if line.startswith("{"))
    return [line["fields"] for line in lines if line.get("target") == "client_metrics"]


def subscribe(broker, **options):
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    shell.java("org.apache.kafka.tools.ClientMetricsCommand", "--bootstrap-server", broker.bootstrap, "--alter", "--name", "all", *arguments)


def produce(broker, topic, count):
    """A second of a Java producer."""
    shell.java("org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", broker.bootstrap, "--topic", topic,
               "--max-messages", count, "--throughput", count // 2)


@suite.case("java-producer")
def _():
    with brokers.Bourn(WORK / "push", {"bourn.log.format": "json"}) as broker:
        wire.make_topic(broker.port, "pushed", 1)
        produce(broker, "pushed", 10)
        same(pushes(broker), [], "before anybody has subscribed")
        subscribe(broker, metrics="org.apache.kafka.producer.", interval=100)
        produce(broker, "pushed", 1000)
        told = pushes(broker)
        assert told, "nothing was pushed"
        same({push["software"] for push in told}, {"apache-kafka-java"}, "software")
        same(len({push["client_instance_id"] for push in told}), 1, "instances")
        same({push["left_out"] for push in told}, {0}, "left out")
        points = [point for push in told for point in json.loads(push["metrics"])]
        names = {point["name"] for point in points}
        assert all(name.startswith("org.apache.kafka.producer.") for name in names), names
        sent = [point["value"] for point in points if point["name"] == "org.apache.kafka.producer.record.send.total"]
        if any(push["terminating"] for push in told):
            same(sum(sent), 1000, "records that the pushes count in all")
        else:
            # A producer with nothing in flight may close before its last push is sent.
            assert 0 < sum(sent) <= 1000, f"the pushes count {sum(sent)} records"
        same(broker.stop(), 0, "stop")


@suite.case("who-does-not-match")
def _():
    with brokers.Bourn(WORK / "match", {"bourn.log.format": "json"}) as broker:
        wire.make_topic(broker.port, "silent", 1)
        subscribe(broker, metrics="*", interval=100, match="client_software_name=librdkafka")
        produce(broker, "silent", 1000)
        same(pushes(broker), [], "of a client that the subscription does not mean")
        same(broker.stop(), 0, "stop")


suite.main()
