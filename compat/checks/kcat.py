"""kcat: list, produce and consume with keys, headers and every compression, offsets by timestamp, JSON."""
import json
from pathlib import Path

from harness import shell, wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same, until

PORT = int(BOOTSTRAP.rpartition(":")[2])
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
suite = Suite()


def kcat(*words, **options):
    return shell.run("kcat", "-b", BOOTSTRAP, "-m", "20", *words, **options)


def create(name, partitions=1, **options):
    return wire.make_topic(PORT, name, partitions, **options)


def consume(topic, *words):
    return kcat("-C", "-q", "-t", topic, "-o", "beginning", "-e", *words).text


def as_file(data):
    """A file that kcat sends as one record."""
    path = Path(new_topic("record"))
    path.write_bytes(data)
    return path


@suite.case("list")
def _():
    topic = create(new_topic("kcat-list"), 3)
    listed = kcat("-L").text
    assert f"broker 1 at {BOOTSTRAP}" in listed or f" at {BOOTSTRAP}" in listed, "the listener's address is not listed"
    assert f'topic "{topic}" with 3 partitions' in listed, listed
    assert "partition 2, leader" in listed, listed


@suite.case("list-json")
def _():
    topic = create(new_topic("kcat-json"), 2)
    found = json.loads(kcat("-L", "-J", "-t", topic).text)
    same([broker["name"] for broker in found["brokers"]], [BOOTSTRAP], "brokers")
    entry = next(entry for entry in found["topics"] if entry["topic"] == topic)
    same(sorted(part["partition"] for part in entry["partitions"]), [0, 1], "partitions")
    node = found["brokers"][0]["id"]
    for part in entry["partitions"]:
        same((part["leader"], [r["id"] for r in part["replicas"]], [r["id"] for r in part["isrs"]]), (node, [node], [node]), "replicas")


@suite.case("auto-create")
def _():
    topic = new_topic("kcat-auto")
    kcat("-P", "-t", topic, stdin="made by writing\n")
    same(consume(topic), "made by writing\n", "records")


@suite.case("unknown-topic-is-not-made-by-reading")
def _():
    topic = new_topic("kcat-unknown")
    done = kcat("-C", "-q", "-t", topic, "-o", "beginning", "-e", "-X", "allow.auto.create.topics=false", check=False)
    assert "nknown topic" in done.error, done.error


@suite.case("keys")
def _():
    topic = create(new_topic("kcat-keys"))
    kcat("-P", "-t", topic, "-K", "|", stdin="a|1\nb|2\n|3\n")
    same(consume(topic, "-f", "%k=%s@%o\n"), "a=1@0\nb=2@1\n=3@2\n", "records")


@suite.case("null-values")
def _():
    topic = create(new_topic("kcat-null"))
    kcat("-P", "-t", topic, "-K", "|", "-Z", stdin="a|\n|b\n")
    same(consume(topic, "-f", "%K %S\n"), "1 -1\n-1 1\n", "lengths")


@suite.case("headers")
def _():
    topic = create(new_topic("kcat-headers"))
    kcat("-P", "-t", topic, "-H", "one=1", "-H", "two=2", "-H", "one=again", "-H", "empty", stdin="x\n")
    found = json.loads(consume(topic, "-J"))
    same(found["headers"], ["one", "1", "two", "2", "one", "again", "empty", None], "headers")
    same((found["topic"], found["partition"], found["offset"], found["payload"], found["tstype"]), (topic, 0, 0, "x", "create"), "record")


@suite.case("binary-and-large")
def _():
    topic = create(new_topic("kcat-large"))
    data = bytes(range(256)) * 3500  # 896,000 bytes, below the default message.max.bytes
    kcat("-P", "-t", topic, "-X", "message.max.bytes=2000000", as_file(data))
    done = kcat("-C", "-q", "-t", topic, "-o", "beginning", "-e", "-f", "%s")
    same(len(done.stdout), len(data), "length")
    assert done.stdout == data, "the bytes differ"


@suite.case("too-large")
def _():
    topic = create(new_topic("kcat-too-large"))
    done = kcat("-P", "-t", topic, "-X", "message.max.bytes=4000000", as_file(b"x" * 2_000_000), check=False)
    assert "too large" in done.error.lower(), f"expected MSG_SIZE_TOO_LARGE, got {done.error}"
    same(wire.all_batches(PORT, topic), [], "batches")


def codec_case(codec, number):
    @suite.case(f"codec-{codec}")
    def _():
        topic = create(new_topic(f"kcat-{codec}"))
        lines = "".join(f"record {n} " + "abc" * (n % 40) + "\n" for n in range(2000))
        kcat("-P", "-t", topic, "-z", codec, "-X", "linger.ms=50", stdin=lines)
        same(consume(topic), lines, "records")
        stored = wire.all_batches(PORT, topic)
        same({batch[1] for batch in stored}, {number}, "codec of the stored batches")
        same(sum(batch[2] for batch in stored), 2000, "records in the stored batches")


for name_, number_ in CODECS.items():
    codec_case(name_, number_)


def acks_case(acks):
    @suite.case(f"acks-{acks}")
    def _():
        topic = create(new_topic("kcat-acks"))
        lines = "".join(f"{n}\n" for n in range(500))
        kcat("-P", "-t", topic, "-X", f"acks={acks}", stdin=lines)
        until(lambda: consume(topic) == lines, 20, "all records")


for acks_ in ("0", "1", "all"):
    acks_case(acks_)


@suite.case("idempotent")
def _():
    topic = create(new_topic("kcat-idempotent"))
    lines = "".join(f"{n}\n" for n in range(3000))
    kcat("-P", "-t", topic, "-X", "enable.idempotence=true", "-X", "batch.num.messages=50", stdin=lines)
    same(consume(topic), lines, "records")


@suite.case("ranges")
def _():
    topic = create(new_topic("kcat-ranges"))
    kcat("-P", "-t", topic, stdin="".join(f"{n}\n" for n in range(100)))
    read = ["-C", "-q", "-t", topic, "-e"]
    same(kcat(*read, "-p", "0", "-o", "40", "-c", "3").text, "40\n41\n42\n", "from an offset")
    same(kcat(*read, "-p", "0", "-o", "-2").text, "98\n99\n", "the last two")
    same(kcat(*read, "-o", "end").text, "", "from the end")


@suite.case("partitions")
def _():
    topic = create(new_topic("kcat-partitions"), 4)
    for part in range(4):
        kcat("-P", "-t", topic, "-p", part, stdin=f"part {part}\n")
    same(sorted(consume(topic, "-f", "%p %s\n").splitlines()), [f"{n} part {n}" for n in range(4)], "records")


@suite.case("query-offsets")
def _():
    topic = create(new_topic("kcat-query"))
    base = 1_700_000_000_000
    with wire.Connection(PORT) as connection:
        for n in range(10):
            records = [wire.record(0, None, b"x"), wire.record(1, None, b"y", timestamp_delta=500)]
            same(wire.produce(connection, topic, wire.batch(records, timestamp=base + n * 1000, max_timestamp=base + n * 1000 + 500))[0], 0, "error")

    def query(when):
        return kcat("-Q", "-t", f"{topic}:0:{when}").text.strip()

    same(query(-2), f"{topic} [0] offset 0", "earliest")
    same(query(-1), f"{topic} [0] offset 20", "latest")
    same(query(base), f"{topic} [0] offset 0", "the first timestamp")
    same(query(base + 3000), f"{topic} [0] offset 6", "a batch's first record")
    same(query(base + 3001), f"{topic} [0] offset 7", "inside a batch")
    same(query(base + 3501), f"{topic} [0] offset 8", "between batches")
    same(query(base + 99_000), f"{topic} [0] offset -1", "after the last")


@suite.case("timestamps")
def _():
    topic = create(new_topic("kcat-append"), configs=[("message.timestamp.type", "LogAppendTime")])
    with wire.Connection(PORT) as connection:
        same(wire.produce(connection, topic, wire.batch([wire.record(0, None, b"x")], timestamp=5))[0], 0, "error")
    found = json.loads(consume(topic, "-J"))
    same(found["tstype"], "logappend", "timestamp type")
    assert found["ts"] > 1_600_000_000_000, "the client's timestamp was kept"


@suite.case("oldest-versions")
def _():
    """Without asking for versions, with the oldest that are still served: Produce 3, Fetch 4."""
    topic = create(new_topic("kcat-old"))
    old = ["-X", "api.version.request=false", "-X", "broker.version.fallback=0.11.0"]
    kcat("-P", "-t", topic, *old, "-z", "gzip", stdin="1\n2\n3\n")
    same(consume(topic, *old), "1\n2\n3\n", "records")


@suite.case("group", needs="groups")
def _():
    topic = create(new_topic("kcat-group"), 2)
    kcat("-P", "-t", topic, stdin="1\n2\n3\n")
    read = ["-G", new_topic("group"), "-q", "-e", "-X", "auto.offset.reset=earliest"]
    same(sorted(kcat(*read, topic).text.split()), ["1", "2", "3"], "records")


suite.main()
