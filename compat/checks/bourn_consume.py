"""`bourn consume --group`, as other people's tools and clients see it: Java's kafka-consumer-groups, and consumers of librdkafka in
the same group."""
import os
import signal
import subprocess

from confluent_kafka import Consumer

from harness import shell, wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same, until
from harness.paths import BOURN

PORT = int(BOOTSTRAP.rpartition(":")[2])
PARTITIONS = 4
suite = Suite()


class Member:
    """A process of ours in a group, and what it has printed."""

    def __init__(self, topic, group, *arguments):
        command = [str(BOURN), "consume", topic, "--group", group, "--follow", "--format", "%p %o\\n", *arguments]
        environment = dict(os.environ, BOURN_BOOTSTRAP_SERVERS=BOOTSTRAP)
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def seen(self):
        self.text += self.process.stdout.read() or b""
        whole = self.text[: self.text.rfind(b"\n") + 1].decode()
        return [tuple(map(int, line.split())) for line in whole.splitlines()]

    def stop(self):
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        same(self.process.wait(20), 0, "exit code")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def write(topic, count):
    """So many records to each partition."""
    with wire.Connection(PORT) as connection:
        for partition in range(PARTITIONS):
            batch = wire.batch([wire.record(n, None, b"value %d" % n) for n in range(count)])
            same(wire.produce(connection, topic, batch, partition=partition)[0], 0, "produce error")


def groups_tool(*arguments):
    main = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    return shell.java(main, "--bootstrap-server", BOOTSTRAP, *arguments)


def described(group):
    """Of each partition: committed offset, end, lag, and the member that has it."""
    lines = [line.split() for line in groups_tool("--describe", "--group", group).text.splitlines()]
    head = next(line for line in lines if line and line[0] == "GROUP")
    rows = [dict(zip(head, line)) for line in lines if line and line[0] == group]
    names = ["CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID"]
    return {int(row["PARTITION"]): [row[name] for name in names] for row in rows}


def each_once(seen, count):
    same(sorted(seen), [(partition, offset) for partition in range(PARTITIONS) for offset in range(count)], "records")


def describe_case(protocol):
    @suite.case(f"describe-{protocol}", seconds=120)
    def _():
        topic, group = wire.make_topic(PORT, new_topic("bourn.member"), PARTITIONS), new_topic("group")
        write(topic, 3)
        with Member(topic, group, "--group-protocol", protocol) as member:
            until(lambda: len(member.seen()) == 3 * PARTITIONS, 30, "all records")
            until(lambda: all(row[:3] == ["3", "3", "0"] for row in described(group).values()), 60, "commits")
            rows = described(group)
            ids = {row[3] for row in rows.values()}
            assert len(rows) == PARTITIONS and len(ids) == 1 and "-" not in ids, rows
            members = groups_tool("--describe", "--group", group, "--members").text.splitlines()
            words = next(line.split() for line in members if line.startswith(group))
            assert words[1] in ids and str(PARTITIONS) in words, members
            state = groups_tool("--describe", "--group", group, "--state").text
            assert "Stable" in state, state
            write(topic, 1)
            until(lambda: len(member.seen()) == 4 * PARTITIONS, 30, "the records behind them")
            member.stop()
            each_once(member.seen(), 4)
        write(topic, 2)
        same(described(group), {partition: ["4", "6", "2", "-"] for partition in range(PARTITIONS)}, "after it has left")


describe_case("consumer")
describe_case("classic")


def share_case(name, ours, **theirs):
    @suite.case(f"shared-{name}", seconds=120)
    def _():
        topic, group = wire.make_topic(PORT, new_topic("bourn.shared"), PARTITIONS), new_topic("group")
        settings = {name.replace("_", "."): value for name, value in theirs.items()}
        other = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": group, "auto.offset.reset": "earliest", **settings})
        seen = []

        def poll():
            message = other.poll(0.1)
            if message is not None and not message.error():
                seen.append((message.partition(), message.offset()))

        def until_both(condition, what):
            until(lambda: poll() or condition(), 60, what, pause=0)

        try:
            other.subscribe([topic])
            write(topic, 5)
            until_both(lambda: len(seen) == 5 * PARTITIONS, "the first records")
            with Member(topic, group, *ours) as member:
                until_both(lambda: len(other.assignment()) == PARTITIONS // 2, "half of the partitions")
                write(topic, 5)
                until_both(lambda: len(seen) + len(member.seen()) >= 10 * PARTITIONS, "records of both")
                same(len(member.seen()), 5 * PARTITIONS // 2, "records of ours")
                each_once(seen + member.seen(), 10)
                member.stop()
            until_both(lambda: len(other.assignment()) == PARTITIONS, "all partitions again")
            write(topic, 1)
            until_both(lambda: len(seen) + len(member.seen()) >= 11 * PARTITIONS, "the last records")
            each_once(seen + member.seen(), 11)
        finally:
            other.close()


share_case("classic-range", ["--group-protocol", "classic"])
share_case("classic-roundrobin", ["--group-protocol", "classic", "--assignor", "roundrobin"],
           partition_assignment_strategy="roundrobin")
share_case("cooperative-sticky", ["--group-protocol", "classic", "--assignor", "cooperative-sticky"],
           partition_assignment_strategy="cooperative-sticky")
share_case("consumer-protocol", ["--group-protocol", "consumer"], group_protocol="consumer")
share_case("both-protocols", ["--group-protocol", "consumer"])

suite.main()
