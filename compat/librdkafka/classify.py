#!/usr/bin/env python3
"""Runs every test of librdkafka that needs a broker against the real Kafka and writes down what each asks for.

Each worker talks to its own listener of one Kafka through a proxy that notes the API keys of the requests; they decide
the class of the test (`classes.tsv`). Run it by hand when the version of rdkafka-sys changes:

    compat/librdkafka/classify.py [NUMBER...]
"""
import queue
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import brokers, install, librdkafka  # noqa: E402
from harness.proxy import Proxy, as_they_come  # noqa: E402

WORKERS = 3
GROUPS = {8, 9, 10, 11, 12, 13, 14, 15, 16, 42, 47, 68, 69}
CLASSES = [  # the first one that applies names the class
    ("transactions", {24, 25, 26, 27, 28}),
    ("security", {17, 29, 30, 31, 36, 50, 51}),
    ("groups", GROUPS),
    ("alter-configs", {33, 44}),
    ("delete-records", {21}),
    ("elections", {43}),
]


class Noting(Proxy):
    """Notes the API key of each request frame."""

    def __init__(self, target):
        self.keys = set()
        super().__init__(target)

    def requests(self, source):
        held, skip = b"", 0
        for data in as_they_come(source):
            yield data
            held += data
            while held:
                if skip:
                    step = min(skip, len(held))
                    held, skip = held[step:], skip - step
                elif len(held) >= 6:
                    size, key = struct.unpack_from(">ih", held)
                    self.keys.add(key)
                    skip = size + 4
                else:
                    break


def start(directory):
    ports = [brokers.free_port() for _ in range(WORKERS)]
    proxies = [Noting(port) for port in ports]
    kafka = brokers.Kafka(directory, librdkafka_settings())
    kafka.port = ports[0]
    ports.append(brokers.free_port())  # Kafka's requests to itself must not be taken for a client's
    names = [f"L{n}" for n in range(WORKERS)] + ["SELF"]
    kafka.settings.update({
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in zip(names, ports)) + f",CONTROLLER://127.0.0.1:{kafka.controller_port}",
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in zip(names, [p.port for p in proxies] + ports[-1:])),
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in names + ["CONTROLLER"]),
        "inter.broker.listener.name": "SELF",
    })
    return kafka, proxies


def librdkafka_settings():
    return {
        "num.partitions": 4, "default.replication.factor": 1, "super.users": "User:ANONYMOUS",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    }


def class_of(keys, states):
    text = " ".join(reason for _, reason in states.values())
    if not keys or keys == {18}:
        return "local"
    for name, wanted in CLASSES:
        if keys & wanted:
            return name
    if all(state == "SKIPPED" for state, _ in states.values()):
        return "tool" if "KAFKA_PATH" in text or "Env" in text else "cluster"
    return "log"


def worker(proxy, jobs, results, work):
    while True:
        try:
            number, tests = jobs.get_nowait()
        except queue.Empty:
            return
        proxy.keys = set()
        begun = time.monotonic()
        states = librdkafka.run(number, f"127.0.0.1:{proxy.port}", work / number, 900, tests[0].scenario, quick=False)
        seconds = time.monotonic() - begun
        keys = set(proxy.keys)
        print(f"{number} {class_of(keys, states)} {seconds:.0f} s {sorted(keys)} {states}", flush=True)
        results[number] = (class_of(keys, states), seconds, keys, states)


def main():
    install.java()
    librdkafka.build()
    wanted = sys.argv[1:]
    jobs, results = queue.Queue(), {}
    for number, tests in librdkafka.numbers().items():
        if not wanted or number in wanted:
            jobs.put((number, tests))
    work = Path(tempfile.mkdtemp(prefix="librdkafka-classify-"))
    print("logs:", work, flush=True)
    kafka, proxies = start(work / "kafka")
    with kafka:
        threads = [threading.Thread(target=worker, args=(proxy, jobs, results, work)) for proxy in proxies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number in sorted(results):
        name, seconds, keys, states = results[number]
        state = "/".join(sorted({state for state, _ in states.values()})) or "NONE"
        why = "; ".join(reason for _, reason in states.values() if reason)[:120]
        print("\t".join([number, name, state.lower(), f"{seconds:.0f}", ",".join(map(str, sorted(keys))), why]))


if __name__ == "__main__":
    main()
