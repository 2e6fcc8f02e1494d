"""Kafka's kafka-dump-log reads the files that the broker leaves: segments, both indexes, producer snapshots.

The files are those of a cleanly stopped broker, in which every tail is in its segment.
"""
import os
import re
import sys
from collections import Counter
from pathlib import Path

from confluent_kafka import Producer

from harness import brokers, shell, wire
from harness.cases import KIND, Suite, same

WORK = Path(os.environ["COMPAT_WORK"])
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
ROUNDS, EACH = 4, 1000
suite = Suite()
files = []


def dump(*words):
    return shell.java("org.apache.kafka.tools.DumpLogSegments", *words, seconds=120).text


def of_kind(end):
    found = [path for path in files if path.name.endswith(end)]
    assert found, f"there is no {end} file: {[path.name for path in files]}"
    return found


def fill(broker, topic):
    """Several segments of every codec, with idempotence, keys, headers and growing timestamps."""
    count = 0
    for codec in CODECS * ROUNDS:
        client = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec, "enable.idempotence": True,
                           "batch.num.messages": 100, "linger.ms": 20})
        for _ in range(EACH):
            client.produce(topic, key=b"key-%d" % count, value=b"%d-" % count + os.urandom(150).hex().encode(),
                           headers=[("h", b"%d" % count)], timestamp=1_700_000_000_000 + count)
            count += 1
            client.poll(0)
        same(client.flush(60), 0, "records left")
    return count


@suite.case("fill-and-stop", seconds=180)
def _():
    configs = [("segment.bytes", "1048576"), ("index.interval.bytes", "4096")]
    broker = brokers.make(KIND, WORK / "broker")
    with broker:
        wire.make_topic(broker.port, "dump", 1, configs=configs)
        fill(broker, "dump")
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"
    files.extend(sorted(broker.segment_directory("dump").iterdir()))
    print("\n".join(f"{path.name} {path.stat().st_size}" for path in files))
    assert len(of_kind(".log")) >= 4, "too few segments"
    names = {path.stem for path in of_kind(".log")}
    for end in (".index", ".timeindex"):
        same({path.stem for path in of_kind(end)}, names, f"{end} files")


@suite.case("records", seconds=300)
def _():
    seen, codecs = [], Counter()
    for path in of_kind(".log"):
        text = dump("--deep-iteration", "--print-data-log", "--files", path)
        for codec in re.findall(r"^baseOffset: .* compresscodec: (\w+) .* isvalid: true", text, re.M):
            codecs[codec] += 1
        assert "isvalid: false" not in text, f"{path.name} has a batch that is not valid"
        first = re.search(r"Log starting offset: (\d+)", text)
        same(int(first[1]), int(path.stem), "the offset in the name")
        seen += re.findall(r"^\| offset: (\d+) CreateTime: (\d+) keySize: \d+ valueSize: \d+ .*?headerKeys: \[h\] key: (\S+) payload: (\d+)-", text, re.M)
    total = ROUNDS * EACH * len(CODECS)
    same(len(seen), total, "records")
    for n, record in enumerate(seen):
        same(record, (str(n), str(1_700_000_000_000 + n), f"key-{n}", str(n)), f"record {n}")
    same(sorted(codecs), sorted(CODECS), "codecs")


@suite.case("offset-indexes", seconds=120)
def _():
    for path in of_kind(".index"):
        text = dump("--index-sanity-check", "--files", path)
        assert "passed sanity check" in text, text[-300:]
        text = dump("--verify-index-only", "--files", path)
        assert "Mismatches" not in text and "Non-consecutive" not in text, text[-300:]
    text = dump("--files", of_kind(".index")[0])
    assert len(re.findall(r"^offset: \d+ position: \d+", text, re.M)) > 10, "the first index has too few entries"
    assert "Mismatches" not in text, text[-300:]


@suite.case("time-indexes", seconds=120)
def _():
    for path in of_kind(".timeindex"):
        assert "passed sanity check" in dump("--index-sanity-check", "--files", path)
        text = dump("--verify-index-only", "--files", path)
        assert "Found timestamp mismatch" not in text and "Found out of order timestamp" not in text, text[-300:]
    assert len(re.findall(r"^timestamp: \d+ offset: \d+", dump("--files", of_kind(".timeindex")[0]), re.M)) > 10


@suite.case("producer-snapshots", seconds=120)
def _():
    path = of_kind(".snapshot")[-1]
    end = int(path.stem)
    pattern = r"^producerId: \d+ producerEpoch: 0 coordinatorEpoch: -1 currentTxnFirstOffset: \S+ lastTimestamp: -?\d+ firstSequence: \d+ lastSequence: (\d+) lastOffset: (\d+)"
    found = sorted((int(offset), int(last)) for last, offset in re.findall(pattern, dump("--files", path), re.M))
    # One producer after the other wrote EACH records; the snapshot holds what lies below the offset in its name.
    wanted = [min(EACH * (n + 1), end) - 1 for n in range(-(-end // EACH))]
    same([offset for offset, _ in found], wanted, "last offsets")
    same([last for _, last in found], [offset % EACH for offset in wanted], "last sequences")


@suite.case("leader-epoch-checkpoint")
def _():
    lines = next(path for path in files if path.name == "leader-epoch-checkpoint").read_text().split("\n")
    same(lines[0], "0", "version")
    rows = [tuple(map(int, line.split())) for line in lines[2:] if line]
    same(int(lines[1]), len(rows), "count")
    assert rows and rows[0][1] == 0 and rows == sorted(rows), rows


@suite.case("transactions", needs="transactions", seconds=240)
def _():
    """Control batches, and the index of aborted transactions."""
    broker = brokers.make(KIND, WORK / "transactions")
    with broker:
        wire.make_topic(broker.port, "moved")
        client = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": "dump"})
        client.init_transactions(60)
        for number in range(4):
            client.begin_transaction()
            client.produce("moved", b"%d" % number)
            client.flush(30)
            client.commit_transaction(30) if number % 2 else client.abort_transaction(30)
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"
    directory = broker.segment_directory("moved")
    text = dump("--deep-iteration", "--files", next(directory.glob("*.log")))
    same(re.findall(r"endTxnMarker: (\w+)", text), ["ABORT", "COMMIT"] * 2, "markers")
    same(len(re.findall(r"isControl: true .*isvalid: true", text)), 4, "control batches")
    text = dump("--files", next(directory.glob("*.txnindex")))
    found = re.findall(r"version: 0 producerId: \d+ firstOffset: (\d+) lastOffset: (\d+) lastStableOffset: \d+", text)
    same(found, [("0", "1"), ("4", "5")], "aborted transactions")


if __name__ == "__main__":
    sys.exit(suite.main())
