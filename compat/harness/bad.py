"""Cases of bad input: ask one thing, take what comes back, and look whether the broker still serves others.

The expected answers are those that Kafka 4.3.1 gave (run a check with --against kafka). An answer is an error code,
`CLOSED`, or `SILENT` when the broker waits for more. Where Bourn may answer otherwise the case says so beside the
expectation. After every case the broker must serve somebody else and keep its memory within a bound.
"""
import os
import socket

from . import wire
from .brokers import rss_kib
from .cases import BOOTSTRAP, KIND, Suite, new_topic, same
from .wire import Closed, Connection, Writer

PORT = int(BOOTSTRAP.rpartition(":")[2])
PID = int(os.environ["COMPAT_PID"])
CLOSED, SILENT = "closed", "silent"
# The heap of the oracle is its own bound; Bourn's is one budget, far below this, whatever the clients do.
MEMORY_KIB = (900 if KIND == "kafka" else 400) * 1024
suite = Suite()
topic = wire.make_topic(PORT, new_topic("bad"), 2)


def connect(seconds=30, **options):
    return Connection(PORT, seconds, **options)


def healthy():
    """Somebody else is still served, and memory is within its bound."""
    with connect() as connection:
        error, _ = wire.produce(connection, topic, wire.batch([wire.record(0, b"alive", b"yes")]), partition=1)
        same(error, 0, "a good produce afterwards")
    resident = rss_kib(PID)
    assert resident < MEMORY_KIB, f"{resident} KiB resident"


def case(name, *expected, kafka=(), bourn=(), seconds=60):
    """Checks the answer: `expected` of both, `kafka` what only the oracle says, `bourn` what Bourn may say instead."""

    def add(function):
        @suite.case(name, seconds=seconds)
        def _():
            answer = function()
            healthy()
            allowed = expected + tuple(bourn if KIND == "bourn" else kafka)
            assert answer in allowed, f"expected {' or '.join(map(str, allowed))}, got {answer}"
            return f"answered {answer}" if isinstance(answer, int) else answer

        return function

    return add


def answer_of(send, read=lambda reader: reader.i16()):
    with connect(5) as connection:
        try:
            return read(send(connection))
        except Closed:
            return CLOSED
        except (socket.timeout, TimeoutError):
            return SILENT
        except (BrokenPipeError, ConnectionResetError):
            return CLOSED


def raw(data, seconds=5):
    """What the broker does with bytes that are no request."""
    def send(connection):
        connection.send_raw(data)
        return wire.Reader(connection.read_frame())

    return answer_of(send, lambda _: "answered")


def request(key, version, body=b"", **options):
    def send(connection):
        return connection.ask(key, version, body, **options)

    return send


def put(records, partition=0, **options):
    return answer_of(lambda connection: wire.produce(connection, topic, records, partition=partition, **options), lambda answer: answer[0])


def one(**options):
    return wire.batch([wire.record(0, b"k", b"v")], **options)


def size_of(name):
    with connect() as connection:
        return wire.list_offset(connection, name, -1)[2]


GOOD = {
    "produce": (wire.PRODUCE, 8, wire.produce_body(topic, wire.batch([wire.record(0, b"k", b"v")]), acks=1)),
    "fetch": (wire.FETCH, 4, wire.fetch_body(topic, 0, max_wait=0)),
    "metadata": (wire.METADATA, 4, wire.metadata_body([topic], create=False)),
    "list-offsets": (wire.LIST_OFFSETS, 1, Writer().i32(-1).i32(1).string(topic).i32(1).i32(0).i64(-1).done()),
}
