"""Just enough of the protocol, by hand, to say what no client would say: a connection, and a handful of requests in old
(non-flexible) versions. Answers are read whole, each with a bound.
"""
import socket
import struct
import time

from .bytes import Reader, Writer
from .records import batch, record  # noqa: F401

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID, OFFSET_FOR_LEADER_EPOCH = 18, 19, 20, 22, 23


def until(probe, seconds=30, what="condition", pause=0.05):
    """Asks until the answer is true; the bound is there to end a hang, not to measure."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: still {answer!r} after {seconds} s")
        time.sleep(pause)


class Closed(Exception):
    """The broker closed the connection instead of answering."""


class Connection:
    """One socket to the broker. Every read and write is bounded by `seconds`."""

    def __init__(self, port, seconds=30, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect(("127.0.0.1", port))
        self.correlation = 0

    def send_raw(self, data):
        self.socket.sendall(data)

    def send_frame(self, body):
        self.send_raw(struct.pack(">i", len(body)) + body)

    def send(self, key, version, body, client="compat", flexible=False):
        """Sends one request and returns its correlation id."""
        self.correlation += 1
        head = Writer().i16(key).i16(version).i32(self.correlation).string(client)
        if flexible:
            head.tags()
        self.send_frame(head.done() + body)
        return self.correlation

    def read_exactly(self, size):
        parts = []
        while size:
            try:
                part = self.socket.recv(min(size, 1 << 20))
            except ConnectionError as error:
                raise Closed(str(error)) from error
            if not part:
                raise Closed(f"closed with {size} bytes missing")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_frame(self):
        size = struct.unpack(">i", self.read_exactly(4))[0]
        assert 0 <= size <= 1 << 28, f"frame of {size} bytes"
        return self.read_exactly(size)

    def receive(self, correlation=None, flexible=False):
        reader = Reader(self.read_frame())
        got = reader.i32()
        assert correlation is None or got == correlation, f"correlation id {got}, expected {correlation}"
        if flexible:
            same_tags = reader.uvarint()
            assert same_tags == 0, "unexpected tagged fields in a response header"
        return reader

    def ask(self, key, version, body, flexible=False):
        return self.receive(self.send(key, version, body, flexible=flexible), flexible=flexible and key != API_VERSIONS)

    def closed_by_peer(self):
        """True when the next thing the broker does is to close; False when it answers."""
        try:
            self.read_frame()
            return False
        except Closed:
            return True

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


def produce_body(topic, records, *, partition=0, acks=-1, timeout=10_000, transactional_id=None):
    """Produce v3 to v8."""
    out = Writer().string(transactional_id).i16(acks).i32(timeout).i32(1).string(topic).i32(1).i32(partition)
    return out.blob(records).done()


def produce(connection, topic, records, *, partition=0, acks=-1, version=8, transactional_id=None):
    """Returns (error code, base offset) of a Produce to one partition."""
    body = produce_body(topic, records, partition=partition, acks=acks, transactional_id=transactional_id)
    reader = connection.ask(PRODUCE, version, body)
    assert reader.i32() == 1
    reader.string()
    assert reader.i32() == 1
    reader.i32()
    return reader.i16(), reader.i64()


def metadata_body(topics, version=4, create=True):
    """Metadata v4 to v7."""
    out = Writer().array(topics, lambda writer, name: writer.string(name))
    return out.i8(1 if create else 0).done()


def metadata(connection, topics, create=True):
    """Returns (brokers, {topic: (error code, partition count)}) from Metadata v4."""
    reader = connection.ask(METADATA, 4, metadata_body(topics, create=create))
    reader.i32()
    brokers = reader.array(lambda: (reader.i32(), reader.string(), reader.i32(), reader.string()))
    reader.string()
    reader.i32()
    found = {}

    def partition():
        reader.i16(), reader.i32(), reader.i32()
        reader.array(reader.i32)
        reader.array(reader.i32)

    for _ in range(reader.i32()):
        error, name, _internal = reader.i16(), reader.string(), reader.i8()
        found[name] = (error, len(reader.array(partition)))
    return brokers, found


def fetch_body(topic, offset, *, partition=0, max_wait=500, min_bytes=1, max_bytes=1 << 20, partition_bytes=1 << 20):
    """Fetch v4."""
    out = Writer().i32(-1).i32(max_wait).i32(min_bytes).i32(max_bytes).i8(0).i32(1).string(topic).i32(1)
    return out.i32(partition).i64(offset).i32(partition_bytes).done()


def fetch(connection, topic, offset, **options):
    """Returns (error code, high watermark, record bytes) from Fetch v4."""
    reader = connection.ask(FETCH, 4, fetch_body(topic, offset, **options))
    reader.i32()
    assert reader.i32() == 1
    reader.string()
    assert reader.i32() == 1
    reader.i32()
    error, high, _stable = reader.i16(), reader.i64(), reader.i64()
    reader.array(lambda: (reader.i64(), reader.i64()))
    return error, high, reader.blob() or b""


def batches(data):
    """The whole batches of a fetch answer as (base offset, codec, record count, last offset)."""
    found, at = [], 0
    while len(data) - at >= 61:
        base, size = struct.unpack_from(">qi", data, at)
        if len(data) - at - 12 < size:
            break
        attributes, delta = struct.unpack_from(">hi", data, at + 21)
        count = struct.unpack_from(">i", data, at + 57)[0]
        found.append((base, attributes & 7, count, base + delta))
        at += 12 + size
    return found


def all_batches(port, topic, partition=0):
    """Every batch of a partition, in order."""
    found, offset = [], 0
    with Connection(port) as connection:
        # After a restart Kafka answers before it leads again (5, 6); clients ask once more.
        until(lambda: fetch(connection, topic, 0, partition=partition, max_wait=0)[0] not in (5, 6), what=f"leader of {topic}-{partition}")
        while True:
            error, high, data = fetch(connection, topic, offset, partition=partition)
            assert error == 0, f"fetch at {offset} answered error {error}"
            part = batches(data)
            if not part:
                assert offset >= high, f"nothing at {offset} below the high watermark {high}"
                return found
            found += part
            offset = part[-1][3] + 1


def list_offset(connection, topic, timestamp, partition=0, version=1):
    """Returns (error code, timestamp, offset) from ListOffsets v1."""
    body = Writer().i32(-1).i32(1).string(topic).i32(1).i32(partition).i64(timestamp).done()
    reader = connection.ask(LIST_OFFSETS, version, body)
    assert reader.i32() == 1
    reader.string()
    assert reader.i32() == 1
    reader.i32()
    return reader.i16(), reader.i64(), reader.i64()


def create_topic(connection, name, partitions=1, replication=1, configs=(), validate_only=False):
    """Returns (error code, message) from CreateTopics v2."""
    out = Writer().i32(1).string(name).i32(partitions).i16(replication).i32(0)
    out.array(list(configs), lambda writer, item: writer.string(item[0]).string(item[1]))
    reader = connection.ask(CREATE_TOPICS, 2, out.i32(10_000).i8(1 if validate_only else 0).done())
    reader.i32()
    assert reader.i32() == 1
    reader.string()
    return reader.i16(), reader.string()


def new_producer_id(port):
    """Returns (producer id, epoch); Kafka may first answer that it is still fetching a block of ids."""
    with Connection(port) as connection:
        def ask():
            reader = connection.ask(INIT_PRODUCER_ID, 0, Writer().string(None).i32(60_000).done())
            reader.i32()
            error = reader.i16()
            assert error in (0, 14), f"InitProducerId answered error {error}"
            return (reader.i64(), reader.i16()) if error == 0 else None

        return until(ask, what="a producer id")


def make_topic(port, name, partitions=1, **options):
    """Creates a topic and waits until each partition answers; Kafka tells of a topic before its leader is ready."""
    with Connection(port) as connection:
        error, message = create_topic(connection, name, partitions, **options)
        assert error == 0, f"creating {name} answered {error}: {message}"
        for part in range(partitions):
            until(lambda part=part: list_offset(connection, name, -1, part)[0] == 0, what=f"leader of {name}-{part}")
    return name


def broker_count(port):
    """How many brokers a Metadata answer names; raises OSError or Closed while nobody answers."""
    with Connection(port, seconds=5) as connection:
        return len(metadata(connection, [], create=False)[0])
