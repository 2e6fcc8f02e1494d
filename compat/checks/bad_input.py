"""What no client would send. The expected answers are those that Kafka 4.3.1 gave (run it with --against kafka).

A case asks one thing and yields what came back: the error code, `CLOSED`, or `SILENT` when the broker waits for more.
Where Bourn may answer otherwise the case says so beside the expectation. Whatever is sent, the broker must go on serving
others and keep its memory within a bound; both are asked after every case.
"""
import gzip
import os
import random
import socket
import struct
from pathlib import Path

from harness import wire
from harness.brokers import rss_kib
from harness.cases import BOOTSTRAP, KIND, Skip, Suite, new_topic, same, until
from harness.wire import Closed, Connection, Writer

PORT = int(BOOTSTRAP.rpartition(":")[2])
PID = int(os.environ["COMPAT_PID"])
CLOSED, SILENT = "closed", "silent"
# The heap of the oracle is its own bound; Bourn's is one budget, far below this, whatever the clients do.
MEMORY_KIB = (900 if KIND == "kafka" else 400) * 1024
suite = Suite()
topic = wire.make_topic(PORT, new_topic("bad"), 2)
T0 = 1_700_000_000_000


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


# Frames

@case("length-negative", CLOSED)
def _():
    return raw(struct.pack(">i", -1) + b"x" * 40)


@case("length-huge", CLOSED)
def _():
    return raw(struct.pack(">i", 0x7FFFFFFF) + b"x" * 40)


@case("length-above-socket-request-max", CLOSED)
def _():
    return raw(struct.pack(">i", 104857601) + b"x" * 40)


@case("length-largest-allowed-then-silence", SILENT)
def _():
    return raw(struct.pack(">i", 104857600) + b"x" * 40)


@case("length-zero", CLOSED)
def _():
    return raw(struct.pack(">i", 0))


@case("length-cut", SILENT)
def _():
    return raw(b"\0\0")


@case("http", CLOSED)
def _():
    return raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")


@case("tls-hello", CLOSED)
def _():
    return raw(bytes.fromhex("16030100f8010000f40303") + bytes(range(200)))


@case("random-frames", "all closed or answered")
def _():
    dice = random.Random(3)
    for _ in range(300):
        body = dice.randbytes(dice.randrange(0, 400))
        raw(struct.pack(">i", len(body)) + body)
    return "all closed or answered"


@case("random-bodies-behind-good-headers", "all closed or answered", seconds=120)
def _():
    dice = random.Random(4)
    for key in (0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 37, 60, 75):
        for version in range(0, 18, 2):
            head = Writer().i16(key).i16(version).i32(7).string("x").done()
            body = head + dice.randbytes(dice.randrange(0, 200))
            answer = raw(struct.pack(">i", len(body)) + body)
            assert answer != SILENT, f"key {key} version {version} neither answered nor closed"
    return "all closed or answered"


GOOD = {
    "produce": (wire.PRODUCE, 8, wire.produce_body(topic, wire.batch([wire.record(0, b"k", b"v")]), acks=1)),
    "fetch": (wire.FETCH, 4, wire.fetch_body(topic, 0, max_wait=0)),
    "metadata": (wire.METADATA, 4, wire.metadata_body([topic], create=False)),
    "list-offsets": (wire.LIST_OFFSETS, 1, Writer().i32(-1).i32(1).string(topic).i32(1).i32(0).i64(-1).done()),
}


def cut_case(name, key, version, body):
    @case(f"cut-{name}", CLOSED, seconds=120)
    def _():
        """Every shorter body in a frame that says so itself."""
        head = Writer().i16(key).i16(version).i32(7).string("x").done()
        kinds = {raw(struct.pack(">i", len(head) + size) + head + body[:size]) for size in range(0, len(body), 3)}
        assert SILENT not in kinds, "a whole frame was neither answered nor closed"
        same(kinds, {CLOSED}, "answers")
        return CLOSED


for name_, (key_, version_, body_) in GOOD.items():
    cut_case(name_, key_, version_, body_)


@case("half-a-request-then-silence", SILENT)
def _():
    key, version, body = GOOD["produce"]
    frame = Writer().i16(key).i16(version).i32(7).string("x").raw(body).done()
    return raw(struct.pack(">i", len(frame)) + frame[: len(frame) // 2])


@case("trailing-bytes", "answered", bourn=[CLOSED])
def _():
    """Kafka ignores them; to call such a request broken is stricter."""
    key, version, body = GOOD["metadata"]
    frame = Writer().i16(key).i16(version).i32(7).string("x").raw(body + b"tail").done()
    return raw(struct.pack(">i", len(frame)) + frame)


@case("api-key-unknown", CLOSED)
def _():
    return answer_of(request(9999, 0))


@case("api-key-negative", CLOSED)
def _():
    return answer_of(request(-1, 0))


@case("api-key-removed", CLOSED)
def _():
    return answer_of(request(4, 4))


@case("api-key-of-controllers", CLOSED)
def _():
    return answer_of(request(52, 0, flexible=True))


@case("version-unknown", CLOSED)
def _():
    return answer_of(request(wire.METADATA, 99))


@case("version-negative", CLOSED)
def _():
    return answer_of(request(wire.METADATA, -1))


@case("produce-version-2", CLOSED)
def _():
    body = Writer().i16(1).i32(1000).i32(1).string(topic).i32(1).i32(0).blob(wire.batch([wire.record(0, b"k", b"v")])).done()
    return answer_of(request(wire.PRODUCE, 2, body))


@case("api-versions-of-the-future", 35)
def _():
    def read(reader):
        error = reader.i16()
        keys = reader.array(lambda: (reader.i16(), reader.i16(), reader.i16()))
        assert any(key == wire.API_VERSIONS for key, _, _ in keys), f"the answer does not say the versions of ApiVersions: {keys}"
        return error

    return answer_of(request(wire.API_VERSIONS, 99, Writer().compact("a").compact("1").tags().done(), flexible=True), read)


@case("api-versions-bad-client-name", 42)
def _():
    body = Writer().compact("no spaces!").compact("1").tags().done()
    return answer_of(request(wire.API_VERSIONS, 3, body, flexible=True))


@case("sasl-on-plaintext", 34)
def _():
    return answer_of(request(17, 1, Writer().string("PLAIN").done()))


@case("array-count-huge", CLOSED)
def _():
    return answer_of(request(wire.METADATA, 4, Writer().i32(0x7FFFFFFF).raw(b"\0" * 20).done()))


@case("array-count-negative", "answered", bourn=[CLOSED])
def _():
    """Kafka takes any negative count for null; only -1 is."""
    return answer_of(request(wire.METADATA, 4, Writer().i32(-7).i8(0).done()), lambda _: "answered")


@case("compact-length-huge", CLOSED)
def _():
    body = Writer().uvarint(0x7FFFFFFF).raw(b"\0" * 20).done()
    return answer_of(request(wire.METADATA, 12, body, flexible=True))


@case("compact-length-unsigned", "answered", bourn=[CLOSED])
def _():
    """Kafka's length wraps to a negative one and means null."""
    body = Writer().uvarint(0xFFFFFFFF).raw(b"\0" * 20).done()
    return answer_of(request(wire.METADATA, 12, body, flexible=True), lambda _: "answered")


@case("varint-endless", CLOSED)
def _():
    return answer_of(request(wire.METADATA, 12, b"\xff" * 40, flexible=True))


@case("tag-length-huge", CLOSED)
def _():
    head = Writer().i16(18).i16(3).i32(1).string("x").uvarint(1).uvarint(0).raw(b"\xff\xff\xff\xff\x07").done()
    return raw(struct.pack(">i", len(head)) + head)


@case("tags-out-of-order", "answered", bourn=[CLOSED])
def _():
    tags = Writer().uvarint(2).uvarint(9).uvarint(0).uvarint(3).uvarint(0).done()
    head = Writer().i16(18).i16(3).i32(1).string("x").raw(tags).compact("a").compact("1").tags().done()
    return raw(struct.pack(">i", len(head)) + head)


@case("tags-unknown", "answered")
def _():
    tags = Writer().uvarint(2).uvarint(3).uvarint(2).raw(b"ab").uvarint(900).uvarint(0).done()
    head = Writer().i16(18).i16(3).i32(1).string("x").raw(tags).compact("a").compact("1").tags().done()
    return raw(struct.pack(">i", len(head)) + head)


@case("replies-in-order", "in order")
def _():
    with connect() as connection:
        sent = []
        for n in range(60):
            kind = n % 4
            if kind == 0:
                sent.append(connection.send(*GOOD["fetch"]))
            elif kind == 1:
                sent.append(connection.send(wire.FETCH, 4, wire.fetch_body(topic, 10**9)))
            elif kind == 2:
                sent.append(connection.send(wire.PRODUCE, 8, wire.produce_body(topic, wire.batch([wire.record(0, b"k", b"v")], crc=1))))
            else:
                sent.append(connection.send(wire.METADATA, 4, wire.metadata_body(["."], create=True)))
        for correlation in sent:
            connection.receive(correlation)
    return "in order"


# Connections

@case("slow-reader", "bounded", seconds=120)
def _():
    """Asks for far more than it reads; the answers must not pile up in the broker."""
    big = wire.make_topic(PORT, new_topic("bad-slow"))
    with connect() as connection:
        for n in range(16):
            same(wire.produce(connection, big, wire.batch([wire.record(0, None, os.urandom(900_000))]))[0], 0, "fill")
    before = rss_kib(PID)
    lazy = [connect(receive_buffer=4096) for _ in range(8)]
    try:
        for connection in lazy:
            connection.socket.settimeout(2)
            for _ in range(400):
                try:
                    connection.send(wire.FETCH, 4, wire.fetch_body(big, 0, max_bytes=16 << 20, partition_bytes=16 << 20))
                except (socket.timeout, ConnectionError):
                    break
        healthy()
        grown = rss_kib(PID) - before
        assert grown < 256 * 1024, f"{grown} KiB more for readers that do not read"
    finally:
        for connection in lazy:
            connection.close()
    return "bounded"


@case("slow-writers", "bounded", seconds=120)
def _():
    """Announces a hundred large frames and sends a little of each: announced is not allocated."""
    if KIND == "kafka":
        raise Skip("Kafka allocates what is announced and runs out of heap")
    before = rss_kib(PID)
    slow = [connect() for _ in range(100)]
    try:
        for connection in slow:
            connection.send_raw(struct.pack(">i", 50_000_000) + b"\0\0\0\x08" + b"x" * 2000)
        healthy()
        grown = rss_kib(PID) - before
        assert grown < 64 * 1024, f"{grown} KiB more for frames that were only announced"
    finally:
        for connection in slow:
            connection.close()
    return "bounded"


@case("connection-flood", "served", seconds=180)
def _():
    files = len(os.listdir(f"/proc/{PID}/fd"))
    flood = []
    try:
        for n in range(900):
            flood.append(connect())
            if n % 100 == 0:
                healthy()
        for connection in flood[::50]:
            wire.metadata(connection, [topic], create=False)
    finally:
        for connection in flood:
            connection.close()
    until(lambda: len(os.listdir(f"/proc/{PID}/fd")) < files + 50, 60, "the broker to close its ends")
    return "served"


@case("connect-and-leave", "served", seconds=120)
def _():
    files = len(os.listdir(f"/proc/{PID}/fd"))
    for n in range(1500):
        connection = connect()
        if n % 3 == 0:
            connection.send_raw(b"\0\0\0\x10\0\x03")
        if n % 3 == 1:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    until(lambda: len(os.listdir(f"/proc/{PID}/fd")) < files + 50, 60, "the broker to close its ends")
    return "served"


# Batches

def put(records, partition=0, **options):
    return answer_of(lambda connection: wire.produce(connection, topic, records, partition=partition, **options), lambda answer: answer[0])


def one(**options):
    return wire.batch([wire.record(0, b"k", b"v")], **options)


def size_of(name):
    with connect() as connection:
        return wire.list_offset(connection, name, -1)[2]


def bad_batch(name, *expected, **others):
    """A batch that must be answered with an error and leave nothing behind."""

    def add(function):
        @case(f"batch-{name}", *expected, **others)
        def _():
            before = size_of(topic)
            answer = put(function())
            if answer != 0:
                same(size_of(topic), before, "log end offset after a refused batch")
            return answer

        return function

    return add


@bad_batch("crc", 2)
def _():
    return one(crc=12345)


@bad_batch("flipped-bit", 2)
def _():
    data = bytearray(one())
    data[-2] ^= 4
    return bytes(data)


for magic_, code_ in {0: 87, 1: 87, 3: 2, 127: 2, -1: 2}.items():
    def magic_case(magic=magic_, code=code_):
        @bad_batch(f"magic-{magic}", code, bourn=[87])
        def _():
            return one(magic=magic)

    magic_case()


@bad_batch("empty", 87)
def _():
    return b""


@bad_batch("null", kafka=[SILENT], bourn=[87, 2, CLOSED])
def _():
    return None


@bad_batch("short", 2, bourn=[87])
def _():
    return b"\0" * 20


@bad_batch("length-too-long", 87, bourn=[2])
def _():
    return one(length=500)


@bad_batch("length-too-short", 2, bourn=[87])
def _():
    return one(length=20)


@bad_batch("length-negative", 2, bourn=[87])
def _():
    return one(length=-5)


@bad_batch("two-batches", 87)
def _():
    return one() + one()


@bad_batch("garbage-after-the-batch", 0, bourn=[2, 87])
def _():
    """Kafka takes the rest for a batch that was cut off, and drops it."""
    return one() + b"\x01" * 30


@bad_batch("count-zero", 87)
def _():
    return wire.batch([], last_delta=-1)


@bad_batch("count-more-than-records", 87)
def _():
    return wire.batch([wire.record(0, b"k", b"v")], count=5, last_delta=4)


@bad_batch("count-fewer-than-records", 87)
def _():
    return wire.batch([wire.record(0, b"k", b"v"), wire.record(1, b"k", b"v")], count=1, last_delta=0)


@bad_batch("count-huge", 87)
def _():
    return wire.batch([wire.record(0, b"k", b"v")], count=0x7FFFFFFF, last_delta=0x7FFFFFFE)


@bad_batch("count-negative", 87)
def _():
    return wire.batch([wire.record(0, b"k", b"v")], count=-3, last_delta=0)


@bad_batch("last-offset-delta-wrong", 87)
def _():
    return wire.batch([wire.record(0, b"k", b"v")], last_delta=9)


@bad_batch("offset-deltas-wrong", kafka=[0], bourn=[87])
def _():
    """Kafka looks at the last delta and the count only; consumers would see offsets out of order."""
    return wire.batch([wire.record(0, b"k", b"v"), wire.record(5, b"k", b"v")])


@bad_batch("record-length-wrong", 87)
def _():
    return wire.batch([Writer().varint(500).raw(wire.record(0, b"k", b"v")[1:]).done()])


@bad_batch("record-key-length-wrong", 87)
def _():
    return wire.batch([Writer().varint(8).i8(0).varint(0).varint(0).varint(1000).raw(b"abcd").done()])


@bad_batch("record-headers-negative", 87)
def _():
    return wire.batch([Writer().varint(7).i8(0).varint(0).varint(0).varint(-1).varint(0).varint(-9).i8(0).done()])


@bad_batch("codec-unknown", kafka=[-1], bourn=[87, 76])
def _():
    return one(codec=6)


for codec_, number_ in {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}.items():
    def codec_case(codec=codec_, number=number_):
        # Kafka calls these its own failure (-1), which clients try again for ever.
        @bad_batch(f"{codec}-garbage", kafka=[-1], bourn=[2, 87])
        def _():
            return wire.batch([b"x"], codec=number, payload=bytes(range(64)))

        @bad_batch(f"{codec}-empty", kafka=[-1, 87], bourn=[2, 87])
        def _():
            return wire.batch([b"x"], codec=number, payload=b"")

    codec_case()


@bad_batch("gzip-cut", kafka=[-1], bourn=[2, 87])
def _():
    return wire.batch([b"x"], codec=1, payload=gzip.compress(wire.record(0, b"k", b"v" * 5000))[:-20])


@bad_batch("control", 87)
def _():
    return one(attributes=0x20)


@bad_batch("transactional-without-a-transaction", 53, bourn=[87, 48, 42])
def _():
    return one(attributes=0x10, producer_id=900_001, producer_epoch=0, sequence=0)


@bad_batch("timestamp-in-a-day", 32)
def _():
    import time
    return one(timestamp=int(time.time() * 1000) + 86_400_000)


@bad_batch("timestamp-minus-one", 0)
def _():
    return one(timestamp=-1)


@bad_batch("timestamp-minus-two", 0, bourn=[32])
def _():
    return one(timestamp=-2)


@bad_batch("timestamp-smallest", 32)
def _():
    return one(timestamp=-(2**63))


@bad_batch("max-timestamp-lies", 0)
def _():
    return one(timestamp=T0, max_timestamp=T0 + 5)


@bad_batch("base-offset-not-zero", 87)
def _():
    return one(base_offset=77_777)


@case("batch-too-large", 10)
def _():
    return put(wire.batch([wire.record(0, None, b"x" * 1_100_000)]))


@case("acks-unknown", 21)
def _():
    return put(one(), acks=7)


@case("acks-0-and-a-bad-batch", CLOSED)
def _():
    """No answer can say what is wrong, so the connection says it."""
    with connect(10) as connection:
        connection.send(wire.PRODUCE, 8, wire.produce_body(topic, one(crc=1), acks=0))
        return CLOSED if connection.closed_by_peer() else "answered"


@case("one-bad-partition-does-not-fail-the-others", (0, 2))
def _():
    body = Writer().string(None).i16(-1).i32(10_000).i32(1).string(topic).i32(2)
    body.i32(0).blob(one()).i32(1).blob(one(crc=1))

    def read(reader):
        reader.i32(), reader.string(), reader.i32()

        def partition():
            index, error = reader.i32(), reader.i16()
            reader.i64(), reader.i64(), reader.i64()
            reader.array(lambda: (reader.i32(), reader.string()))
            reader.string()
            return index, error

        found = dict([partition(), partition()])
        return found[0], found[1]

    return answer_of(request(wire.PRODUCE, 8, body.done()), read)


@case("produce-unknown-partition", 3)
def _():
    return put(one(), partition=99)


@case("produce-negative-partition", 3)
def _():
    return put(one(), partition=-1)


def bomb(codec):
    """A megabyte or less on the wire that becomes 256 MiB: one record, of zeros."""
    zeros = 256 << 20
    head = Writer().i8(0).varint(0).varint(0).varint(-1).varint(zeros).done()
    start = Writer().varint(len(head) + zeros + 1).done() + head
    if codec == 1:
        import zlib
        squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
        parts = [squeeze.compress(start)] + [squeeze.compress(bytes(1 << 20)) for _ in range(256)] + [squeeze.compress(b"\0"), squeeze.flush()]
        return b"".join(parts)
    import zstandard
    squeeze = zstandard.ZstdCompressor(level=3).compressobj()
    parts = [squeeze.compress(start)] + [squeeze.compress(bytes(1 << 20)) for _ in range(256)] + [squeeze.compress(b"\0"), squeeze.flush()]
    return b"".join(parts)


for codec_, number_ in {"gzip": 1, "zstd": 4}.items():
    def bomb_case(codec=codec_, number=number_):
        # Kafka streams through it and takes it, as it is small on the wire; a bound on the expanded size is stricter.
        @case(f"bomb-{codec}", 0, bourn=[10, 87, 2], seconds=180)
        def _():
            peak = MEMORY_KIB
            answer = put(wire.batch([b"x"], codec=number, payload=bomb(number)))
            line = [line for line in Path(f"/proc/{PID}/status").read_text().splitlines() if line.startswith("VmHWM")][0]
            assert int(line.split()[1]) < peak, line
            return answer

    bomb_case()


# Sequences of idempotent producers

@case("sequences", "as Kafka")
def _():
    name = wire.make_topic(PORT, new_topic("bad-seq"))
    identity, epoch = wire.new_producer_id(PORT)

    def send(connection, sequence, count=1, number=epoch, who=identity):
        records = [wire.record(n, b"k", b"v") for n in range(count)]
        return wire.produce(connection, name, wire.batch(records, producer_id=who, producer_epoch=number, sequence=sequence))

    with connect() as connection:
        same(send(connection, 0), (0, 0), "the first")
        same(send(connection, 0), (0, 0), "its duplicate")
        same(send(connection, 1, 3), (0, 1), "the next three")
        same(send(connection, 1, 3), (0, 1), "their duplicate")
        same(send(connection, 9)[0], 45, "a gap")
        same(send(connection, 2, 1)[0], 45, "a part of an older batch")
        for n in range(4, 10):
            same(send(connection, n), (0, n), "more")
        same(send(connection, 5), (0, 5), "a duplicate of the last five")
        same(send(connection, 0)[0], 45, "a duplicate older than the last five")
        same(send(connection, 0, number=epoch + 1), (0, 10), "a new epoch begins at zero")
        same(send(connection, 10, number=epoch)[0], 47, "the old epoch")
        same(send(connection, 5, number=epoch + 2)[0], 45, "a new epoch that does not begin at zero")
        same(send(connection, 7, who=identity + 1_000_000), (0, 11), "a producer that the log does not know")
    return "as Kafka"


# Topics

def create(name, partitions=1, **options):
    return answer_of(lambda connection: wire.create_topic(connection, name, partitions, **options), lambda answer: answer[0])


for name_, code_ in {"": 17, ".": 17, "..": 17, "a b": 17, "a/b": 17, "a:b": 17, "snow\u2603": 17, "x" * 250: 17, "y" * 249: 0, "-._": 0}.items():
    def name_case(name=name_, code=code_):
        label = name if 0 < len(name) < 9 else f"of-{len(name)}"

        @case(f"create-name-{label.replace(' ', '-space-').replace('/', '-slash-')}", code)
        def _():
            return create(name)

    name_case()


@case("create-name-collides", 17)
def _():
    stem = new_topic("bad")
    same(create(f"{stem}.one_x"), 0, "the first")
    return create(f"{stem}_one.x")


@case("create-name-not-utf8", 17, bourn=[CLOSED])
def _():
    out = Writer().i32(1).string(b"\xff\xfe\xc0").i32(1).i16(1).i32(0).i32(0).i32(1000).i8(0)

    def read(reader):
        reader.i32(), reader.i32()
        reader.take(reader.i16())
        return reader.i16()

    return answer_of(request(wire.CREATE_TOPICS, 2, out.done()), read)


@case("create-partitions-zero", 37)
def _():
    return create(new_topic("bad"), 0)


@case("create-partitions-negative", 37)
def _():
    return create(new_topic("bad"), -5)


@case("create-partitions-huge", 44, bourn=[37])
def _():
    return create(new_topic("bad"), 0x7FFFFFFF)


@case("create-replication-zero", 38)
def _():
    return create(new_topic("bad"), 1, replication=0)


@case("create-twice-in-one-request", 42)
def _():
    out = Writer().i32(2)
    name = new_topic("bad")
    for _ in range(2):
        out.string(name).i32(1).i16(1).i32(0).i32(0)

    def read(reader):
        reader.i32(), reader.i32(), reader.string()
        return reader.i16()

    return answer_of(request(wire.CREATE_TOPICS, 2, out.i32(5000).i8(0).done()), read)


@case("create-config-unknown", 40)
def _():
    return create(new_topic("bad"), configs=[("no.such.config", "1")])


@case("create-config-null", 40)
def _():
    return create(new_topic("bad"), configs=[("retention.ms", None)])


@case("create-config-out-of-range", 40)
def _():
    return create(new_topic("bad"), configs=[("segment.bytes", "5")])


def metadata_of(name, make):
    return answer_of(lambda connection: wire.metadata(connection, [name], create=make), lambda answer: answer[1][name][0])


for label_, name_ in {"empty": "", "dot": ".", "250": "z" * 250}.items():
    def metadata_case(label=label_, name=name_):
        @case(f"metadata-name-{label}", 17)
        def _():
            return metadata_of(name, True)

    metadata_case()


@case("metadata-unknown-not-created", 3)
def _():
    return metadata_of(new_topic("bad"), False)


@case("metadata-many-unknown", "answered", seconds=120)
def _():
    names = [f"nothing-{n}" for n in range(50_000)]
    return answer_of(lambda connection: wire.metadata(connection, names, create=False), lambda answer: "answered" if len(answer[1]) == 50_000 else "short")


# Reading

def get(offset, **options):
    return answer_of(lambda connection: wire.fetch(connection, topic, offset, **options), lambda answer: answer[0])


@case("fetch-above-the-end", 1)
def _():
    return get(10**12)


@case("fetch-largest-offset", 1)
def _():
    return get(2**63 - 1)


@case("fetch-negative-offset", 1)
def _():
    return get(-5)


@case("fetch-unknown-partition", 3)
def _():
    return get(0, partition=99)


@case("fetch-zero-limits", 0)
def _():
    return get(0, max_bytes=0, partition_bytes=0)


@case("fetch-negative-limits", kafka=[-1], bourn=[0, 42])
def _():
    return get(0, max_bytes=-1, partition_bytes=-1, min_bytes=-1, max_wait=-1)


@case("fetch-waits-no-longer-than-asked", "empty")
def _():
    end = size_of(topic)
    return answer_of(lambda connection: wire.fetch(connection, topic, end, max_wait=300, min_bytes=1 << 30), lambda answer: "empty" if answer[0] == 0 and not answer[2] else answer)


def fetch_by_id(identity, version=13):
    out = Writer().i32(-1).i32(100).i32(1).i32(1 << 20).i8(0).i32(0).i32(-1).uvarint(2).raw(identity).uvarint(2)
    out.i32(0).i32(-1).i64(0).i32(-1).i64(-1).i32(1 << 20).tags().tags().uvarint(1).compact("").tags()

    def read(reader):
        reader.i32()
        top, _session = reader.i16(), reader.i32()
        if top:
            return f"top {top}"
        count = reader.uvarint() - 1
        if count == 0:
            return "nothing"
        reader.take(16)
        reader.uvarint()
        reader.i32()
        return reader.i16()

    return answer_of(request(wire.FETCH, version, out.done(), flexible=True), read)


@case("fetch-unknown-topic-id", 100)
def _():
    return fetch_by_id(bytes(range(1, 17)))


@case("fetch-zero-topic-id", 100)
def _():
    return fetch_by_id(bytes(16))


@case("fetch-session-unknown", "top 70")
def _():
    out = Writer().i32(-1).i32(100).i32(1).i32(1 << 20).i8(0).i32(123456).i32(5).i32(0).i32(0).string("")

    def read(reader):
        reader.i32()
        return f"top {reader.i16()}"

    return answer_of(request(wire.FETCH, 11, out.done()), read)


def offset_at(when, partition=0, version=1):
    return answer_of(lambda connection: wire.list_offset(connection, topic, when, partition, version), lambda answer: answer[0])


@case("list-offsets-unknown-partition", 3)
def _():
    return offset_at(-1, 99)


@case("list-offsets-unknown-special", 35, bourn=[42])
def _():
    return offset_at(-99)


@case("list-offsets-max-timestamp-by-an-old-version", 35)
def _():
    return offset_at(-3)


@case("leader-epoch-of-the-future", 75)
def _():
    out = Writer().i32(-1).i32(1).string(topic).i32(1).i32(0).i32(1000).i32(0)

    def read(reader):
        reader.i32(), reader.i32(), reader.string(), reader.i32()
        return reader.i16()

    return answer_of(request(wire.OFFSET_FOR_LEADER_EPOCH, 3, out.done()), read)


suite.main()
