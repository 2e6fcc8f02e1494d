"""librdkafka's own test programs, by number: those on the allow list must pass, the others stand in a named class."""
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import brokers, librdkafka
from harness.one_replica import OneReplica
from harness.cases import FULL, KIND, absent_classes, report

WORK = Path(os.environ["COMPAT_WORK"])
WANTED = os.environ.get("COMPAT_CASE", "")
AT_ONCE = 5  # they mostly wait
SETTINGS = {"num.partitions": 4, "group.initial.rebalance.delay.ms": 0}
# 0089 and 0102 expect two consumers that subscribe one after the other to begin in one generation. Without a delay they
# do so only by luck, with Kafka as with Bourn; so tests of groups have Kafka's default.
GROUP_SETTINGS = {"num.partitions": 4, "group.initial.rebalance.delay.ms": 3000}


@dataclass(frozen=True)
class Entry:
    label: str
    number: str
    subtest: str = ""
    quick: bool = True
    full: bool = False
    group: bool = False
    one_replica: bool = False
    protocol: str = "classic"


def entries():
    """The entries of the allow list."""
    for number, *words in librdkafka.read_list("allow.txt"):
        options = dict(word.partition("=")[::2] for word in words)
        subtest, protocol = options.get("sub", ""), options.get("protocol", "classic")
        label = "-".join([number] + [word for word in (subtest, protocol) if word not in ("", "classic")])
        full = "full" in options
        quick = not full and ("quick" in options or not FULL)
        yield Entry(label, number, subtest, quick, full, "group" in options, "one-replica" in options, protocol)


def classed():
    return {number: name for number, name, *_ in librdkafka.read_list("classes.txt")}


def consistent(numbers, allowed, classes):
    """Every number stands somewhere, and nothing stands there that does not exist."""
    missing = sorted(set(numbers) - allowed - set(classes))
    unknown = sorted((allowed | set(classes)) - set(numbers))
    status = "FAIL" if missing or unknown else "PASS"
    reason = f"{len(allowed)} of {len(numbers)} numbers on the allow list"
    if status == "FAIL":
        reason = f"in no list: {missing}; no such test: {unknown}"
    report("lists", status, 0, reason)
    return status == "PASS"


def run(job):
    entry, broker, scenario = job
    label, start = entry.label, time.monotonic()
    home = WORK / label
    bound = 180 if entry.quick else 600
    states = librdkafka.run(entry.number, BOOTSTRAPS[broker], home, bound, scenario, entry.quick, entry.subtest, entry.protocol)
    failed = {name: reason for name, (state, reason) in states.items() if state not in ("PASSED", "SKIPPED")}
    passed = [name for name, (state, _) in states.items() if state == "PASSED"]
    seconds = time.monotonic() - start
    with LOCK:
        if failed or not states or not passed and label == entry.number:
            reason = "; ".join(f"{name}: {reason}" for name, reason in (failed or {n: r for n, (_, r) in states.items()}).items())
            print(f"=== {label}\n{(home / 'tests' / 'output.log').read_text(errors='replace')[-6000:]}")
            report(label, "FAIL", seconds, reason[:300] or "nothing passed")
            return False
        if not passed:
            report(label, "SKIP", seconds, "; ".join(reason for _, reason in states.values())[:200])
            return True
        report(label, "PASS", seconds, ", ".join(name[5:] for name in passed))
        return True


LOCK = threading.Lock()
BOOTSTRAPS = {}  # of each broker: itself, or what stands before it


def start(name, entry, scenario):
    settings = dict(GROUP_SETTINGS if entry.group else SETTINGS)
    if scenario == "noautocreate":
        settings["auto.create.topics.enable"] = "false"
    if not entry.one_replica:
        broker = brokers.make(KIND, WORK / f"broker-{name}", settings).start()
        BOOTSTRAPS[broker] = broker.bootstrap
        return broker
    before = OneReplica()
    settings["advertised.listeners"] = f"PLAINTEXT://127.0.0.1:{before.port}"
    broker = brokers.make(KIND, WORK / f"broker-{name}", settings)
    before.target = broker.port
    BOOTSTRAPS[broker] = f"127.0.0.1:{before.port}"
    return broker.start()


def main():
    librdkafka.build()
    librdkafka.java_classes()
    numbers, classes = librdkafka.numbers(), classed()
    chosen = [entry for entry in entries()]
    good = consistent(numbers, {entry.number for entry in chosen}, classes) if not WANTED else True
    if WANTED:
        chosen = [entry for entry in chosen if WANTED in (entry.label, entry.number)]
    elif not FULL:
        chosen = [entry for entry in chosen if not entry.full]
    # The longest first, so that the end is not a wait for one.
    slow = ["0098", "0089", "0045", "0091", "0076", "0033", "0026", "0094", "0102", "0030", "0122", "0103", "0107", "0088", "0075", "0114", "0123", "0041", "0017", "0110", "0086"]
    chosen.sort(key=lambda entry: slow.index(entry.number) if entry.number in slow else len(slow))
    started = {}
    try:
        jobs = []
        for entry in chosen:
            scenario = numbers[entry.number][0].scenario
            name = scenario + "-groups" * entry.group + "-one-replica" * entry.one_replica
            if name not in started:
                started[name] = start(name, entry, scenario)
            jobs.append((entry, started[name], scenario))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            good = all(list(pool.map(run, jobs))) and good
        for name, broker in started.items():
            alive, resident = broker.alive(), broker.rss_kib() // 1024 if broker.alive() else 0
            code = broker.stop()
            fine = alive and broker.clean_exit(code) and "panicked at" not in broker.tail(1 << 30)
            report(f"broker-{name}", "PASS" if fine else "FAIL", 0, f"exit code {code}, {resident} MiB resident at the end")
            if not fine:
                print(broker.tail(8000))
            good = good and fine
    finally:
        for broker in started.values():
            broker.kill()
    if not WANTED:
        summary(numbers, classes)
    sys.exit(0 if good else 1)


def summary(numbers, classes):
    counts = {}
    for name in classes.values():
        counts[name] = counts.get(name, 0) + 1
    counts["local (flagged)"] = sum(test.local for test in librdkafka.tests())
    absent = absent_classes("bourn")
    for number, name in sorted(classes.items()):
        if KIND == "bourn" and (name in absent or name in ("local", "kafka", "known", "cluster", "security")):
            report(number, "SKIP", 0, f"class {name}: {', '.join(test.name[5:] for test in numbers[number])}")
    print("classes:", json.dumps(counts))


if __name__ == "__main__":
    main()
