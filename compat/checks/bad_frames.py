"""Frames and headers that no client would send: lengths, keys, versions, counts, tags."""
import random
import struct

from harness import wire
from harness.bad import CLOSED, GOOD, SILENT, answer_of, case, connect, raw, request, suite, topic
from harness.cases import FULL, same
from harness.wire import Writer


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
    return raw(struct.pack(">ihh", 104857600, 0, 9) + b"x" * 40)  # Produce


# Bourn keeps no memory for what it will not take.
@case("length-largest-allowed-of-an-unknown-api", kafka=[SILENT], bourn=[CLOSED])
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


def dice_of(seed):
    """The same every time in the quick tier; the full tier takes another seed each time and says it."""
    if FULL:
        seed = random.SystemRandom().randrange(1 << 32)
        print("seed", seed)
    return random.Random(seed)


@case("random-frames", "all closed or answered", seconds=300)
def _():
    dice = dice_of(3)
    for _ in range(5000 if FULL else 300):
        body = dice.randbytes(dice.randrange(0, 400))
        raw(struct.pack(">i", len(body)) + body)
    return "all closed or answered"


@case("random-bodies-behind-good-headers", "all closed or answered", seconds=300)
def _():
    dice = dice_of(4)
    for key in (20 if FULL else 1) * (0, 1, 2, 3, 18, 19, 20, 22, 23, 32, 37, 60, 75):
        for version in range(0, 18, 2):
            head = Writer().i16(key).i16(version).i32(7).string("x").done()
            body = head + dice.randbytes(dice.randrange(0, 200))
            answer = raw(struct.pack(">i", len(body)) + body)
            assert answer != SILENT, f"key {key} version {version} neither answered nor closed"
    return "all closed or answered"


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


@case("trailing-bytes", "answered")
def _():
    """They are ignored."""
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


@case("array-count-negative", kafka=["answered"], bourn=[CLOSED])
def _():
    """Kafka takes any negative count for null; only -1 is."""
    return answer_of(request(wire.METADATA, 4, Writer().i32(-7).i8(0).done()), lambda _: "answered")


@case("compact-length-huge", CLOSED)
def _():
    body = Writer().uvarint(0x7FFFFFFF).raw(b"\0" * 20).done()
    return answer_of(request(wire.METADATA, 12, body, flexible=True))


@case("compact-length-unsigned", kafka=["answered"], bourn=[CLOSED])
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


@case("tags-out-of-order", "answered")
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


suite.main()
