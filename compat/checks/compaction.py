"""Compaction against Apache Kafka: both brokers get the same batches, byte for byte, and must keep the same records and the
same batches around them.

Segments are rolled by the timestamps of the records (`segment.ms`), so both brokers cut them at the same places whatever
the time is. The cleaner is waited for until what is left of the input is what a model says, and then all of it is compared:
offsets, timestamps, keys, values, headers, and of each batch first and last offset, codec, producer and sequence.
"""
import os
import random
import re
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from harness import brokers, shell, wire
from harness.bytes import Reader
from harness.cases import KIND, Suite, new_topic, same

WORK = Path(os.environ["COMPAT_WORK"])
SETTINGS = {
    "log.cleaner.backoff.ms": 200, "log.cleaner.min.cleanable.ratio": 0.01, "log.cleaner.delete.retention.ms": 86400000,
    "log.initial.task.delay.ms": 500,
}
SEGMENT_MS = 1000
START = 1_700_000_000_000
CONFIGS = [("cleanup.policy", "compact"), ("segment.ms", str(SEGMENT_MS)), ("min.cleanable.dirty.ratio", "0.01")]
NOT_YET = [("cleanup.policy", "delete"), ("retention.ms", "-1")]
GZIP = 1
suite = Suite()
running = {}
compared = []


class Input:
    """Batches for one partition, and the model of what compaction leaves of them."""

    def __init__(self):
        self.batches = []
        self.records = []  # (offset, key, value, segment)
        self.segment = 0
        self.stamp = START

    def batch(self, records, **options):
        """`records` are (key, value) or (key, value, headers)."""
        encoded = []
        for delta, (key, value, *headers) in enumerate(records):
            encoded.append(wire.record(delta, key, value, headers=headers[0] if headers else ()))
            self.records.append((len(self.records), key, value, self.segment))
        self.batches.append(wire.batch(encoded, timestamp=self.stamp, **options))
        return self

    def roll(self):
        """What comes next has a segment of its own."""
        self.segment += 1
        self.stamp += 10 * SEGMENT_MS
        return self

    def survivors(self):
        """In segments that are not written any more the last record of each key stays, tombstones too for their time; the
        records that follow count as well, though they are not cleaned themselves."""
        last = {key: offset for offset, key, _, segment in self.records if segment < self.segment}
        return [offset for offset, key, _, segment in self.records if segment == self.segment or last[key] == offset]


def start():
    if not running:
        for kind in dict.fromkeys((KIND, "kafka")):
            running[kind] = brokers.make(kind, WORK / kind, SETTINGS).start()
    return running


def stop():
    for kind, broker in running.items():
        code = broker.stop()
        assert broker.clean_exit(code), f"{kind} ended with {code}"
        assert "panicked at" not in broker.tail(1 << 30), broker.tail(4000)


def write(broker, topic, batches):
    with wire.Connection(broker.port) as connection:
        for data in batches:
            error, _ = wire.produce(connection, topic, data)
            same(error, 0, "produce error")


def compact(broker, topic):
    """From now on."""
    entry = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(timeout=30)


def read(broker, topic):
    """Every record as a client sees it."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "none", "enable.auto.commit": False,
                         "enable.partition.eof": True, "check.crcs": True})
    consumer.assign([TopicPartition(topic, 0, 0)])
    found = []
    while True:
        message = consumer.poll(20)
        assert message is not None, f"{topic}: nothing in 20 s"
        if message.error():
            assert message.error().name() == "_PARTITION_EOF", message.error()
            break
        found.append((message.offset(), message.timestamp(), message.key(), message.value(), message.headers()))
    consumer.close()
    return found


def headers(broker, topic):
    """Of every batch: first and last offset, attributes, producer, epoch, first sequence, records."""
    found, offset = [], 0
    with wire.Connection(broker.port) as connection:
        while True:
            error, high, data = wire.fetch(connection, topic, offset)
            same(error, 0, "fetch error")
            at, before = 0, offset
            while len(data) - at >= 61:
                reader = Reader(data[at:])
                base, size = reader.i64(), reader.i32()
                if len(data) - at - 12 < size:
                    break
                reader.take(9)
                attributes, delta = reader.i16(), reader.i32()
                reader.take(16)
                producer, epoch, sequence, count = reader.i64(), reader.i16(), reader.i32(), reader.i32()
                # The time at which tombstones may go stands where the first timestamp does; whether there is one is compared.
                found.append((base, base + delta, attributes, producer, epoch, sequence, count))
                offset, at = base + delta + 1, at + 12 + size
            if offset >= high:
                return found
            assert offset > before, f"nothing whole at {offset} below the high watermark {high}"


def compare(name, make, configs=(), seconds=90):
    """`make` gives the Input, and is told the producer id that both brokers are to see."""
    topic = new_topic(name)
    source = make(Input())
    kept = {}
    for broker in start().values():
        # A pass over half of the input leaves other empty batches and other times than one over all of it: neither broker
        # compacts before everything is there.
        wire.make_topic(broker.port, topic, configs=NOT_YET + CONFIGS[1:] + list(configs))
        write(broker, topic, source.batches)
    for broker in running.values():
        compact(broker, topic)
    for kind, broker in running.items():
        def cleaned(broker=broker):
            return [record[0] for record in read(broker, topic)] == source.survivors()
        try:
            wire.until(cleaned, seconds=seconds, what=f"{kind}: cleaned", pause=0.3)
        except AssertionError:
            same([record[0] for record in read(broker, topic)], source.survivors(), f"what {kind} keeps")
            raise
        kept[kind] = (read(broker, topic), headers(broker, topic))
    (records, batches), (theirs, their_batches) = kept[KIND], kept["kafka"]
    same(records, theirs, "records")
    same(batches, their_batches, "batches as (first, last, attributes, producer, epoch, sequence, count)")
    compared.append((topic, [offset for offset, *_ in records], batches))
    return f"{len(source.records)} records, {len(records)} kept in {len(batches)} batches"


def key(number):
    return b"key-%d" % number


@suite.case("keys-written-again", needs="compaction", seconds=240)
def _():
    def make(source):
        for round_ in range(4):
            for first in range(0, 100, 10):
                source.batch([(key(n), b"round %d of %d" % (round_, n), [(b"round", b"%d" % round_)]) for n in range(first, first + 10)])
            source.roll()
        return source.batch([(b"last", b"in the active segment")])

    return compare("again", make)


@suite.case("some-of-a-batch", needs="compaction", seconds=240)
def _():
    def make(source):
        chance = random.Random(7)
        for _ in range(6):
            for _ in range(12):
                source.batch([(key(chance.randrange(150)), b"%d" % chance.randrange(1 << 30)) for _ in range(chance.randrange(1, 30))])
            source.roll()
        return source.batch([(key(chance.randrange(150)), b"in the active segment")])

    return compare("some", make)


@suite.case("compressed", needs="compaction", seconds=240)
def _():
    def make(source):
        chance = random.Random(8)
        for _ in range(4):
            for _ in range(6):
                records = [(key(chance.randrange(80)), b"x" * chance.randrange(300), [(b"h", b"v")]) for _ in range(20)]
                source.batch(records, codec=GZIP)
            source.roll()
        return source.batch([(b"last", b"")], codec=GZIP)

    return compare("compressed", make)


@suite.case("tombstones-stay-for-their-time", needs="compaction", seconds=240)
def _():
    def make(source):
        source.batch([(key(n), b"value") for n in range(40)]).roll()
        source.batch([(key(n), None) for n in range(0, 40, 2)]).roll()
        source.batch([(key(n), b"back") for n in range(0, 40, 8)]).roll()
        return source.batch([(b"last", b"")])

    return compare("tombstones", make)


@suite.case("the-last-batch-of-a-producer-stays-empty", needs="compaction", seconds=240)
def _():
    def make(source):
        for epoch, first in enumerate((0, 5)):
            for sequence in range(0, 20, 5):
                records = [(key(first + n), b"%d" % sequence) for n in range(5)]
                source.batch(records, producer_id=4000 + epoch, producer_epoch=0, sequence=sequence)
            source.roll()
        source.batch([(key(n), b"of nobody") for n in range(10)]).roll()
        return source.batch([(b"last", b"")])

    return compare("producers", make)


@suite.case("tombstones-go-after-their-time", needs="compaction", seconds=240)
def _():
    """The first cleaning notes when they may go (KIP-534), the next one behind that time takes them, and the batches that are
    empty then."""
    topic, source = new_topic("horizon"), Input()
    source.batch([(key(n), b"value") for n in range(20)]).roll()
    source.batch([(key(n), None) for n in range(0, 20, 2)]).batch([(b"other", b"1")]).roll()
    source.batch([(b"between", b"")])
    first, gone = len(source.batches), {20 + n for n in range(10)}
    source.roll().batch([(b"other", b"2")]).roll().batch([(b"last", b"")])
    superseded = set(range(0, 20, 2))
    kept = {}
    for kind, broker in start().items():
        wire.make_topic(broker.port, topic, configs=CONFIGS + [("delete.retention.ms", "1")])
        write(broker, topic, source.batches[:first])
        wire.until(lambda: not superseded & {record[0] for record in read(broker, topic)}, seconds=90, what=f"{kind}: cleaned", pause=0.3)
        write(broker, topic, source.batches[first:])
        wanted = [offset for offset in source.survivors() if offset not in gone]
        wire.until(lambda: [record[0] for record in read(broker, topic)] == wanted, seconds=90, what=f"{kind}: cleaned again", pause=0.3)
        kept[kind] = (read(broker, topic), headers(broker, topic))
    same(kept[KIND][0], kept["kafka"][0], "records")
    same(kept[KIND][1], kept["kafka"][1], "batches")
    compared.append((topic, [record[0] for record in kept[KIND][0]], kept[KIND][1]))


def mixed(seed):
    @suite.case(f"everything-at-once-{seed}", needs="compaction", full=seed > 1, seconds=240)
    def _():
        def make(source):
            chance = random.Random(seed)
            sequences = {}
            for _ in range(chance.randrange(3, 8)):
                for _ in range(chance.randrange(1, 15)):
                    records = []
                    for _ in range(chance.randrange(1, 25)):
                        value = chance.choice([None, b"", b"x" * chance.randrange(200)])
                        tags = [(b"h%d" % n, b"v" * n) for n in range(chance.randrange(3))]
                        records.append((key(chance.randrange(60)), value, tags))
                    options = {"codec": chance.choice([0, GZIP])}
                    if chance.random() < 0.5:
                        producer = 7000 + chance.randrange(3)
                        options.update(producer_id=producer, producer_epoch=1, sequence=sequences.get(producer, 0))
                        sequences[producer] = sequences.get(producer, 0) + len(records)
                    source.batch(records, **options)
                source.roll()
            return source.batch([(b"last", b"")])

        return compare(f"mixed{seed}", make)


for seed_ in range(1, 6):
    mixed(seed_)


@suite.case("nothing-younger-than-the-lag-is-cleaned", needs="compaction", seconds=240)
def _():
    """`min.compaction.lag.ms` counts from the largest timestamp of a segment: these are of 2023, so all may be cleaned; those of
    a topic with a lag of a hundred years may not."""
    topic, lag = new_topic("lag"), str(100 * 365 * 86_400_000)
    source = Input()
    for round_ in range(3):
        source.batch([(key(n), b"%d" % round_) for n in range(20)]).roll()
    source.batch([(b"last", b"")])
    for broker in start().values():
        wire.make_topic(broker.port, topic, configs=CONFIGS + [("min.compaction.lag.ms", lag)])
        write(broker, topic, source.batches)
    said = compare("lagless", lambda _: source, [("min.compaction.lag.ms", "1000")])
    # By now the cleaners of both have been at work on the other topic, so they have passed this one by.
    for kind, broker in running.items():
        same([record[0] for record in read(broker, topic)], list(range(61)), f"what {kind} keeps")
    return said


@suite.case("null-keys-are-refused", needs="compaction", seconds=120)
def _():
    topic = new_topic("nullkeys")
    for kind, broker in start().items():
        wire.make_topic(broker.port, topic, configs=CONFIGS)
        with wire.Connection(broker.port) as connection:
            mixed = wire.batch([wire.record(0, b"k", b"v"), wire.record(1, None, b"v")])
            same(wire.produce(connection, topic, mixed)[0], 87, f"answer of {kind} to a record without a key")
            same(wire.list_offset(connection, topic, -1)[2], 0, f"end of the log of {kind}")


@suite.case("what-is-left-outlives-a-restart", needs="compaction", seconds=240)
def _():
    topic = new_topic("restart")
    source = Input()
    for round_ in range(3):
        source.batch([(key(n), b"%d" % round_) for n in range(30)]).roll()
    source.batch([(b"last", b"")])
    broker = start()[KIND]
    wire.make_topic(broker.port, topic, configs=CONFIGS)
    write(broker, topic, source.batches)
    wire.until(lambda: [record[0] for record in read(broker, topic)] == source.survivors(), seconds=90, what="cleaned", pause=0.3)
    before = read(broker, topic), headers(broker, topic)
    broker.kill()
    broker.start()
    wire.until(lambda: wire_ready(broker, topic), what="leader")
    same((read(broker, topic), headers(broker, topic)), before, "what is left after kill -9")


@suite.case("dump-log-reads-what-is-left", needs="compaction", seconds=240)
def _():
    """Cleaned segments with their indexes, batches with gaps and batches without records, as Kafka's own tool sees them."""
    if not compared:
        compare("dumped", lambda source: source.batch([(key(n), b"1") for n in range(9)], producer_id=5000, producer_epoch=0, sequence=0).roll()
                .batch([(key(n), b"2") for n in range(9)]).roll().batch([(b"last", b"")]))
    broker = start()[KIND]
    code = broker.stop()
    assert broker.clean_exit(code), f"the stop ended with {code}"
    empty = 0
    for topic, offsets, batches in compared:
        seen, shown = [], []
        for path in sorted(broker.segment_directory(topic).glob("*.log")):
            text = shell.java("org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--files", path, seconds=60).text
            assert "isvalid: false" not in text, f"{path.name} has a batch that is not valid"
            seen += [int(offset) for offset in re.findall(r"^\| offset: (\d+) ", text, re.M)]
            shown += [tuple(map(int, row)) for row in re.findall(r"^baseOffset: (\d+) lastOffset: (\d+) count: (\d+) ", text, re.M)]
            for index in (path.with_suffix(".index"), path.with_suffix(".timeindex")):
                checked = shell.java("org.apache.kafka.tools.DumpLogSegments", "--index-sanity-check", "--files", index).text
                assert "passed sanity check" in checked or "is empty" in checked, checked
        same(seen, offsets, f"offsets in the segments of {topic}")
        same(shown, [(first, last, count) for first, last, *_, count in batches], f"batches in the segments of {topic}")
        empty += sum(count == 0 for *_, count in shown)
    broker.start()
    return f"{len(compared)} topics, {empty} batches without records"


def wire_ready(broker, topic):
    with wire.Connection(broker.port) as connection:
        return wire.fetch(connection, topic, 0, max_wait=0)[0] == 0


suite.at_end(stop)
try:
    suite.main()
finally:
    for one in running.values():
        one.kill()
