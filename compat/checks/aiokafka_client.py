"""aiokafka: producer, group consumer and transactions, on asyncio."""
import asyncio

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import ProducerFenced
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from harness import wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same

PORT = int(BOOTSTRAP.rpartition(":")[2])
CODECS = {None: 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
suite = Suite()
print("aiokafka", aiokafka.__version__)


def case(name, **options):
    """A case whose body is a coroutine, with a bound of its own."""
    def wrap(body):
        suite.case(name, **options)(lambda: asyncio.run(asyncio.wait_for(body(), 80)))
        return body
    return wrap


def create(stem, partitions=1):
    return wire.make_topic(PORT, new_topic(stem), partitions)


async def fill(topic, count, partitions=1, start=0, **settings):
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, **settings) as producer:
        sent = [await producer.send(topic, b"%d/%d" % (number, n), key=b"k%d" % n, partition=number, headers=[("n", b"%d" % n)])
                for n in range(start, start + count) for number in range(partitions)]
        return [(await one).offset for one in sent]


async def committed_values(topic, partitions=1):
    """What a reader of committed records sees, to the end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, isolation_level="read_committed", auto_offset_reset="earliest")
    async with consumer:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends, found = await consumer.end_offsets(places), []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(record.value for record in records)
        return found


for codec_, number_ in CODECS.items():
    def codec_case(codec, number):
        @case(f"codec-{codec or 'none'}")
        async def _():
            topic = create("aio-codec")
            same(await fill(topic, 300, compression_type=codec, enable_idempotence=True), list(range(300)), "offsets")
            same(await committed_values(topic), [b"0/%d" % n for n in range(300)], "values")
            same({batch[1] for batch in wire.all_batches(PORT, topic)}, {number}, "codec of the stored batches")

    codec_case(codec_, number_)


def member(group, topic, assignor):
    return AIOKafkaConsumer(topic, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                            partition_assignment_strategy=[assignor], heartbeat_interval_ms=200, session_timeout_ms=6000, metadata_max_age_ms=1000)


async def read_until(consumers, seen, done):
    """Reads with each of some members, committing, until done() says so."""
    while not done():
        for consumer in consumers:
            for place, records in (await consumer.getmany(timeout_ms=100)).items():
                seen.setdefault(place.partition, set()).update(record.offset for record in records)
            if consumer.assignment():
                await consumer.commit()


def group_case(name, assignor):
    @case(f"group-{name}", needs="groups")
    async def _():
        topic = create("aio-group", 4)
        group, seen = topic, {}
        await fill(topic, 50, 4)
        whole = {number: set(range(50)) for number in range(4)}
        one, two = member(group, topic, assignor), member(group, topic, assignor)
        await one.start()
        try:
            await read_until([one], seen, lambda: seen == whole)
            await two.start()
            try:
                await read_until([one, two], seen, lambda: len(one.assignment()) == len(two.assignment()) == 2)
                await fill(topic, 20, 4, 50)
                whole = {number: set(range(70)) for number in range(4)}
                await read_until([one, two], seen, lambda: seen == whole)
            finally:
                await one.stop()
            await read_until([two], seen, lambda: len(two.assignment()) == 4)
        finally:
            await two.stop()
        admin = AIOKafkaAdminClient(bootstrap_servers=BOOTSTRAP)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group)
            same({place.partition: told.offset for place, told in offsets.items()}, {number: 70 for number in range(4)}, "committed")
            same((group, "consumer") in await admin.list_consumer_groups(), True, "listed")
        finally:
            await admin.close()


group_case("roundrobin", RoundRobinPartitionAssignor)
group_case("sticky", StickyPartitionAssignor)


@case("transaction", needs="transactions")
async def _():
    topic = create("aio-transaction")
    async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=topic) as producer:
        for commit in (True, False, True):
            await producer.begin_transaction()
            for n in range(3):
                await producer.send_and_wait(topic, b"%d %d" % (commit, n), partition=0)
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    same(await committed_values(topic), [b"1 0", b"1 1", b"1 2"] * 2, "committed")


@case("zombie", needs="transactions")
async def _():
    topic = create("aio-zombie")
    zombie = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=topic)
    await zombie.start()
    try:
        await zombie.begin_transaction()
        await zombie.send_and_wait(topic, b"of the zombie", partition=0)
        async with AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=topic) as heir:
            async with heir.transaction():
                await heir.send_and_wait(topic, b"of the heir", partition=0)
        try:
            await zombie.commit_transaction()
        except ProducerFenced:
            pass
        else:
            raise AssertionError("the zombie could commit")
    finally:
        await zombie.stop()
    same(await committed_values(topic), [b"of the heir"], "committed")


@case("read-process-write", needs="transactions")
async def _():
    source, target = create("aio-from", 2), create("aio-to")
    await fill(source, 40, 2)
    group = source
    consumer = AIOKafkaConsumer(source, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False,
                                isolation_level="read_committed")
    async with consumer, AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=group) as producer:
        copied, turn = 0, 0
        while copied < 80:
            batches = await consumer.getmany(timeout_ms=1000, max_records=10)
            if not batches:
                continue
            # Every other transaction is given up first, and done again.
            for commit in (False, True) if turn % 2 else (True,):
                await producer.begin_transaction()
                for records in batches.values():
                    for record in records:
                        await producer.send(target, record.value, partition=0)
                offsets = {place: records[-1].offset + 1 for place, records in batches.items()}
                await producer.send_offsets_to_transaction(offsets, group)
                await (producer.commit_transaction() if commit else producer.abort_transaction())
            copied += sum(len(records) for records in batches.values())
            turn += 1
        # The answer to the end of a transaction comes before its markers are written (transaction version 1).
        while {place.partition: await consumer.committed(place) for place in consumer.assignment()} != {0: 40, 1: 40}:
            await asyncio.sleep(0.05)
    same(sorted(await committed_values(target)), sorted(b"%d/%d" % (number, n) for number in range(2) for n in range(40)), "copied")


suite.main()
