"""Limits with Kafka's names, each on a broker that sets them low."""
import os
from pathlib import Path

from harness import brokers, wire
from harness.cases import KIND, Suite, new_topic, same, until

WORK = Path(os.environ["COMPAT_WORK"])
suite = Suite()
LOW = {
    "max.connections.per.ip": 12,
    "connections.max.idle.ms": 3000,
    "socket.request.max.bytes": 200_000,
    "message.max.bytes": 50_000,
    "fetch.max.bytes": 100_000,
    "num.partitions": 3,
    "log.retention.ms": 123_456_789,
    "compression.type": "producer",
}
running = []


def low():
    """One broker for all cases; started by the first."""
    if not running:
        running.append(brokers.make(KIND, WORK / "low", LOW).start())
    return running[0].port


def open_ended(connection):
    """False when the broker has closed the connection."""
    connection.socket.settimeout(0.2)
    try:
        return connection.socket.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


@suite.case("connections-per-ip")
def _():
    port = low()
    crowd = []
    try:
        def refused():
            """One more than allowed is closed at once; those before it are served."""
            while len(crowd) < 20:
                connection = wire.Connection(port, 5)
                crowd.append(connection)
                try:
                    wire.metadata(connection, [], create=False)
                except (wire.Closed, ConnectionError):
                    return len(crowd)
            return None

        same(refused(), 13, "the connection that was closed")
        wire.metadata(crowd[0], [], create=False)
    finally:
        for connection in crowd:
            connection.close()
    until(lambda: answers(port), what="a free place")


def answers(port):
    try:
        with wire.Connection(port, 5) as connection:
            return bool(wire.metadata(connection, [], create=False)[0])
    except (wire.Closed, ConnectionError):
        return False


@suite.case("idle-connections-are-closed")
def _():
    with wire.Connection(low()) as connection:
        wire.metadata(connection, [], create=False)
        until(lambda: not open_ended(connection), 60, "the broker to close an idle connection")


@suite.case("request-size")
def _():
    port = low()
    topic = wire.make_topic(port, new_topic("limit"))
    with wire.Connection(port) as connection:
        connection.send_raw((200_001).to_bytes(4, "big") + b"\0\3")
        assert connection.closed_by_peer(), "it was not closed"
    with wire.Connection(port) as connection:
        names = ["x" * 200 for _ in range(900)]
        wire.metadata(connection, names, create=False)
        same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x")]))[0], 0, "error")


@suite.case("message-size")
def _():
    topic = wire.make_topic(low(), new_topic("limit"))
    with wire.Connection(low()) as connection:
        same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x" * 60_000)]))[0], 10, "above")
        same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x" * 49_000)]))[0], 0, "below")


@suite.case("message-size-of-a-topic")
def _():
    topic = wire.make_topic(low(), new_topic("limit"), configs=[("max.message.bytes", "100000")])
    with wire.Connection(low()) as connection:
        same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x" * 60_000)]))[0], 0, "error")


@suite.case("fetch-size")
def _():
    topic = wire.make_topic(low(), new_topic("limit"))
    with wire.Connection(low()) as connection:
        for _ in range(8):
            same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x" * 40_000)]))[0], 0, "error")
        error, high, data = wire.fetch(connection, topic, 0, max_bytes=1 << 24, partition_bytes=1 << 24)
        same((error, high), (0, 8), "error and high watermark")
        assert 40_000 < len(data) <= 100_000, f"{len(data)} bytes"


@suite.case("default-partitions-and-configs")
def _():
    port = low()
    topic = new_topic("limit")
    with wire.Connection(port) as connection:
        wire.metadata(connection, [topic], create=True)
        until(lambda: wire.metadata(connection, [topic], create=False)[1][topic] == (0, 3), what="three partitions")


@suite.case("no-auto-create")
def _():
    with brokers.make(KIND, WORK / "fixed", {"auto.create.topics.enable": "false"}) as broker:
        with wire.Connection(broker.port) as connection:
            for _ in range(3):
                same(wire.metadata(connection, ["nothing"], create=True)[1]["nothing"][0], 3, "error")
            same(wire.create_topic(connection, "nothing")[0], 0, "create")


@suite.at_end
def _():
    for broker in running:
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"


suite.main()
