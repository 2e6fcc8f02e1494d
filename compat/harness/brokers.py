"""Starts, kills and stops the broker under test: Bourn, or the real Kafka that is the oracle.

Both listen on a free port of the loopback and keep their data below a directory that the caller owns. `start` returns
when the broker answers a Metadata request that names itself. Nothing here outlives the process group of its caller.
"""
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import wire
from .paths import BOURN, JARS

READY_SECONDS = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def java_command(main, *arguments, heap="256m", properties=()):
    flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", f"-Xmx{heap}"]
    flags += [f"-D{item}" for item in properties]
    level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", *flags, level, "-cp", f"{JARS}/*", main, *map(str, arguments)]


class Broker:
    """One broker process that can be killed and started again on the same data and port."""

    kind = ""

    def __init__(self, directory, settings=None):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.settings = dict(settings or {})
        self.port = free_port()
        self.process = None
        self.log = self.directory / f"{self.kind}.log"

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def data(self):
        return self.directory / "data"

    @property
    def pid(self):
        return self.process.pid

    def start(self):
        assert self.process is None, "already running"
        with open(self.log, "ab") as out:
            seen = out.tell()
            self.process = subprocess.Popen(
                self.command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environment()
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self.ready(seen):
            code = self.process.poll()
            if code is not None:
                self.process = None
                raise RuntimeError(f"{self.kind} ended at start with code {code}\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.kind} not ready after {READY_SECONDS} s\n{self.tail()}")
            time.sleep(0.05)
        return self

    def ready(self, _seen):
        try:
            return wire.broker_count(self.port) > 0
        except (OSError, wire.Closed):
            return False

    def environment(self):
        return os.environ

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, as a crash would: no notice, nothing written out."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self, seconds=60):
        """A clean stop. Returns the exit code, or None when it had to be killed."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        self.process = None
        return code

    def clean_exit(self, code):
        return code == 0

    def rss_kib(self):
        return rss_kib(self.pid)

    def tail(self, size=2000):
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()


class Bourn(Broker):
    kind = "bourn"

    def command(self):
        words = [str(BOURN), "start", "--data-dir", str(self.data), "--set", f"listeners=PLAINTEXT://{self.bootstrap}"]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={value}"]
        return words

    def ready(self, seen):
        with open(self.log, "rb") as log:
            log.seek(seen)
            said = b"bourn ready in" in log.read()
        return said and super().ready(seen)

    def segment_directory(self, topic, partition=0):
        return one_directory(self.data, f"{topic}-{partition}")


class Kafka(Broker):
    """Apache Kafka in KRaft combined mode, from its published jars."""

    kind = "kafka"

    def __init__(self, directory, settings=None):
        super().__init__(directory, settings)
        self.controller_port = free_port()
        self.config = self.directory / "server.properties"

    def start(self):
        if not self.config.exists():
            self._format()
        return super().start()

    def _format(self):
        values = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "log.dirs": self.data,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "num.network.threads": 2,
            "num.io.threads": 2,
            "log.cleaner.dedupe.buffer.size": 16777216,
        }
        values.update(self.settings)
        self.config.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
        identity = "Ym91cm4tY29tcGF0LTAwMQ"
        done = subprocess.run(
            java_command("kafka.tools.StorageTool", "format", "-t", identity, "-c", self.config),
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            self.config.unlink()
            raise RuntimeError(f"formatting failed: {done.stdout}{done.stderr}")

    def command(self):
        return java_command("kafka.Kafka", self.config, heap="512m")

    def clean_exit(self, code):
        return code in (0, 143)  # the JVM's word for SIGTERM

    def segment_directory(self, topic, partition=0):
        return one_directory(self.data, f"{topic}-{partition}")


def one_directory(root, name):
    """The directory of a partition, wherever below the data directory the broker keeps it."""
    found = [path for path in Path(root).rglob(name) if path.is_dir()]
    assert len(found) == 1, f"looked for one directory {name} below {root}, found {found}"
    return found[0]


def rss_kib(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"no VmRSS for {pid}")


KINDS = {"kafka": Kafka, "bourn": Bourn}


def make(kind, directory, settings=None):
    return KINDS[kind](directory, settings)


