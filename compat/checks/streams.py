"""A Kafka Streams application with exactly_once_v2: the hourly count of the flights of each carrier. It is killed and started
again five times, and the broker once; what it has written must be what one count of the file says.

The application writes every count, so its output for a carrier and an hour is 1, 2, 3... up to the count, each once.
"""
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from harness import brokers, flights, wire
from harness.cases import KIND, Suite, same
from harness.paths import COMPAT, JARS

WORK = Path(os.environ["COMPAT_WORK"])
INPUT, OUTPUT, PARTITIONS, KILLS, HOUR = "flights", "counts", 4, 5, 3_600_000
suite = Suite()


def timed():
    """(carrier, timestamp, line) of every flight, moved so that the last of the year leaves now: older ones would expire."""
    columns, lines = flights.read()
    carrier, parts = columns.index("carrier"), [columns.index(name) for name in ("year", "month", "day", "hour", "minute")]
    rows = []
    for line in lines:
        cells = line.split(",")
        when = datetime(*(int(float(cells[part])) for part in parts), tzinfo=timezone.utc)
        rows.append((cells[carrier].strip('"'), int(when.timestamp() * 1000), line))
    shift = (int(time.time() * 1000) - max(when for _, when, _ in rows)) // HOUR * HOUR
    return [(name, when + shift, line) for name, when, line in rows]


def write(bootstrap, rows):
    refused = []
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4",
                         "queue.buffering.max.messages": 1_000_000})
    for carrier, when, line in rows:
        producer.produce(INPUT, line, carrier, timestamp=when, on_delivery=lambda error, _: error and refused.append(error))
    same((producer.flush(120), refused), (0, []), "records left, and refused")


class Application:
    """The Streams application as a process; how far it is goes to a queue."""

    def __init__(self, bootstrap):
        words = ["java", "-Xmx384m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{JARS}/*"]
        words += [COMPAT / "checks" / "streams" / "HourlyCount.java", bootstrap, INPUT, OUTPUT, WORK / "state"]
        self.process = subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.seen = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word == "seen" and number.isdigit():
                self.seen.put(int(number))
            else:
                print(line.rstrip()[:400], flush=True)
        self.seen.put(None)

    def run_to(self, count):
        """Waits until it has taken that many records."""
        while True:
            at = self.seen.get(timeout=120)
            assert at is not None, f"the application ended with {self.process.wait()}"
            if at >= count:
                return

    def kill(self):
        self.process.kill()
        self.process.wait()


class Committed:
    """Reads what is committed of the output, from its beginning on."""

    def __init__(self, bootstrap):
        self.consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader", "isolation.level": "read_committed", "enable.auto.commit": False})
        self.consumer.assign([TopicPartition(OUTPUT, number, 0) for number in range(PARTITIONS)])
        self.found = defaultdict(list)
        self.count = 0

    def read_to(self, count, seconds):
        bound = time.monotonic() + seconds
        while self.count < count:
            assert time.monotonic() < bound, f"{self.count} of {count} counts after {seconds} s"
            for message in self.consumer.consume(5000, 0.5):
                if message.error():
                    assert message.error().code() != KafkaError.OFFSET_OUT_OF_RANGE, message.error()
                    continue
                carrier, _, start = message.key().decode().partition(" ")
                self.found[carrier, int(start)].append(int(message.value()))
                self.count += 1


@suite.case("hourly-count-exactly-once", seconds=840)
def _():
    rows = timed()
    wanted = Counter((carrier, when // HOUR * HOUR) for carrier, when, _ in rows)
    share = len(rows) // (KILLS + 2)
    with brokers.make(KIND, WORK / "broker") as broker:
        for topic in (INPUT, OUTPUT):
            wire.make_topic(broker.port, topic, PARTITIONS, configs=[("retention.ms", "-1")])
        write(broker.bootstrap, rows)
        for turn in range(KILLS):
            application = Application(broker.bootstrap)
            try:
                application.run_to(share)
            finally:
                application.kill()
            print(f"killed the application, {turn + 1} of {KILLS}", flush=True)
        application, committed = Application(broker.bootstrap), Committed(broker.bootstrap)
        try:
            application.run_to(1000)
            broker.kill()
            broker.start()
            committed.read_to(len(rows), 240)
            # Whatever was there twice would come now.
            application.process.terminate()
            application.process.wait(60)
            for messages in iter(lambda: committed.consumer.consume(1000, 3), []):
                committed.count += len(messages)
        finally:
            application.kill()
            committed.consumer.close()
        same(committed.count, len(rows), "counts in the output")
        for key, counts in committed.found.items():
            same(counts, list(range(1, wanted[key] + 1)), f"counts of {key}")
        same(len(committed.found), len(wanted), "carriers and hours")
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"
        return f"{len(rows)} records in {len(wanted)} windows; the application killed {KILLS} times, the broker once"


if __name__ == "__main__":
    sys.exit(suite.main())
