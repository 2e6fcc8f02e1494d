"""Record batches that must be refused and leave nothing behind; and the rules of sequences."""
import gzip
import time
import zlib
from pathlib import Path

import zstandard

from harness import wire
from harness.bad import CLOSED, MEMORY_KIB, PID, PORT, SILENT, answer_of, case, connect, one, put, request, size_of, suite, topic
from harness.cases import new_topic, same
from harness.wire import Writer

T0 = 1_700_000_000_000


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
        @bad_batch(f"magic-{magic}", code)
        def _():
            return one(magic=magic)

    magic_case()


@bad_batch("empty", 87)
def _():
    return b""


@bad_batch("null", kafka=[SILENT], bourn=[87])
def _():
    return None


@bad_batch("short", 2)
def _():
    return b"\0" * 20


@bad_batch("length-too-long", 87)
def _():
    return one(length=500)


@bad_batch("length-too-short", 2)
def _():
    return one(length=20)


@bad_batch("length-negative", 2)
def _():
    return one(length=-5)


@bad_batch("two-batches", 87)
def _():
    return one() + one()


@bad_batch("garbage-after-the-batch", kafka=[0], bourn=[87])
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


@bad_batch("codec-unknown", kafka=[-1], bourn=[76])
def _():
    return one(codec=6)


for codec_, number_ in {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}.items():
    def codec_case(codec=codec_, number=number_):
        # Kafka calls these its own failure (-1), which clients try again for ever.
        @bad_batch(f"{codec}-garbage", kafka=[-1], bourn=[87])
        def _():
            return wire.batch([b"x"], codec=number, payload=bytes(range(64)))

        @bad_batch(f"{codec}-empty", kafka=[-1, 87], bourn=[87])
        def _():
            return wire.batch([b"x"], codec=number, payload=b"")

    codec_case()


@bad_batch("gzip-cut", kafka=[-1], bourn=[87])
def _():
    return wire.batch([b"x"], codec=1, payload=gzip.compress(wire.record(0, b"k", b"v" * 5000))[:-20])


@bad_batch("control", 87)
def _():
    return one(attributes=0x20)


@bad_batch("transactional-without-a-transaction", 53)
def _():
    return one(attributes=0x10, producer_id=900_001, producer_epoch=0, sequence=0)


@bad_batch("timestamp-in-a-day", 32)
def _():
    return one(timestamp=int(time.time() * 1000) + 86_400_000)


@bad_batch("timestamp-minus-one", 0)
def _():
    return one(timestamp=-1)


@bad_batch("timestamp-minus-two", 0)
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
        squeeze = zlib.compressobj(9, zlib.DEFLATED, 31)
        parts = [squeeze.compress(start)] + [squeeze.compress(bytes(1 << 20)) for _ in range(256)] + [squeeze.compress(b"\0"), squeeze.flush()]
        return b"".join(parts)
    squeeze = zstandard.ZstdCompressor(level=3).compressobj()
    parts = [squeeze.compress(start)] + [squeeze.compress(bytes(1 << 20)) for _ in range(256)] + [squeeze.compress(b"\0"), squeeze.flush()]
    return b"".join(parts)


for codec_, number_ in {"gzip": 1, "zstd": 4}.items():
    def bomb_case(codec=codec_, number=number_):
        # Kafka streams through it and takes it, as it is small on the wire; a bound on the expanded size is stricter.
        @case(f"bomb-{codec}", kafka=[0], bourn=[10], seconds=180)
        def _():
            peak = MEMORY_KIB
            answer = put(wire.batch([b"x"], codec=number, payload=bomb(number)))
            line = [line for line in Path(f"/proc/{PID}/status").read_text().splitlines() if line.startswith("VmHWM")][0]
            assert int(line.split()[1]) < peak, line
            return answer

    bomb_case()


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


suite.main()
