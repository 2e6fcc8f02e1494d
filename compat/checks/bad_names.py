"""Topics that must not be made, and reads that ask for what is not there."""
from harness import wire
from harness.bad import CLOSED, answer_of, case, one, put, request, size_of, suite, topic
from harness.cases import new_topic, same
from harness.wire import Writer


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


@case("create-name-not-utf8", kafka=[17], bourn=[CLOSED])
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


@case("create-partitions-huge", 44)
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


same(put(one()), 0, "something to read")


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


@case("fetch-zero-limits", "first batch")
def _():
    """The first batch comes even when it is larger than every limit (KIP-74)."""
    return answer_of(lambda connection: wire.fetch(connection, topic, 0, max_bytes=0, partition_bytes=0),
                     lambda answer: "first batch" if answer[0] == 0 and len(wire.batches(answer[2])) == 1 else answer)


@case("fetch-negative-limits", kafka=[-1], bourn=[0])
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
        top = reader.i16()
        reader.i32()
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


@case("list-offsets-unknown-special", 35)
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
