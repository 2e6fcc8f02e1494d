"""kafka-topics with each of its filters, on one broker: what is at its least in-sync replicas, what is below, what has configs
of its own, names by pattern, pages of an answer.
"""
import re

from harness import shell, wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same

PORT = int(BOOTSTRAP.rpartition(":")[2])
STEM = new_topic("filters")
PLAIN, CONFIGURED, UNDER = (f"{STEM}.{name}" for name in ("plain", "configured", "under"))
suite = Suite()


def topics(*words, **options):
    return shell.java("org.apache.kafka.tools.TopicCommand", "--bootstrap-server", BOOTSTRAP, *words, **options)


def described(*words):
    """(topic, partition) of each partition that is shown, of the topics of this check."""
    told = topics("--describe", *words).text
    rows = re.findall(r"^\tTopic: (\S+)\tPartition: (\d+)\t", told, re.M)
    return [(name, int(partition)) for name, partition in rows if name.startswith(STEM)]


def listed(*words):
    return sorted(name for name in topics("--list", *words).text.split() if name.startswith(STEM))


wire.make_topic(PORT, PLAIN, 3)
wire.make_topic(PORT, CONFIGURED, 2, configs=[("retention.ms", "123456"), ("max.message.bytes", "70000")])
wire.make_topic(PORT, UNDER, 1, configs=[("min.insync.replicas", "2")])


@suite.case("under-replicated-partitions")
def _():
    same(described("--under-replicated-partitions"), [], "partitions")


@suite.case("unavailable-partitions")
def _():
    same(described("--unavailable-partitions"), [], "partitions")


@suite.case("at-min-isr-partitions")
def _():
    wanted = [(CONFIGURED, part) for part in range(2)] + [(PLAIN, part) for part in range(3)]
    same(sorted(described("--at-min-isr-partitions")), wanted, "partitions")


@suite.case("under-min-isr-partitions")
def _():
    same(described("--under-min-isr-partitions"), [(UNDER, 0)], "partitions")


@suite.case("topics-with-overrides")
def _():
    told = topics("--describe", "--topics-with-overrides").text
    found = {}
    for line in told.splitlines():
        fields = dict(field.strip().split(": ", 1) for field in line.split("\t") if ": " in field)
        if fields.get("Topic", "").startswith(STEM):
            assert "Partition" not in fields, f"a partition is shown: {line}"
            # Kafka sets it for all brokers at once when a cluster is formatted, and the tool takes that for the topic's own.
            configs = set(fields["Configs"].split(",")) - {"min.insync.replicas=1"}
            if configs:
                found[fields["Topic"]] = sorted(configs)
    same(sorted(found), [CONFIGURED, UNDER], "topics")
    assert {"max.message.bytes=70000", "retention.ms=123456"} <= set(found[CONFIGURED]), found
    assert "min.insync.replicas=2" in found[UNDER], found


@suite.case("exclude-internal")
def _():
    same(listed("--exclude-internal"), [CONFIGURED, PLAIN, UNDER], "topics")
    assert not [name for name in topics("--list", "--exclude-internal").text.split() if name.startswith("__")]


@suite.case("topic-is-a-pattern")
def _():
    same(listed("--topic", f"{STEM}.(plain|under)"), [PLAIN, UNDER], "topics listed")
    same(described("--topic", f"{STEM}.p.*"), [(PLAIN, part) for part in range(3)], "partitions described")


@suite.case("if-exists")
def _():
    missing = new_topic("missing")
    for words in (["--describe"], ["--delete"], ["--alter", "--partitions", "3"]):
        refused = topics(*words, "--topic", missing, check=False)
        assert refused.returncode != 0 and "does not exist" in refused.text + refused.error, words
        same(topics(*words, "--topic", missing, "--if-exists").text, "", f"output of {words}")


@suite.case("if-not-exists")
def _():
    topics("--create", "--topic", PLAIN, "--partitions", 9, "--if-not-exists")
    same(len(described("--topic", PLAIN)), 3, "partitions of the topic that was there")
    refused = topics("--create", "--topic", PLAIN, check=False)
    assert refused.returncode != 0 and "TopicExistsException" in refused.text + refused.error, refused.text


@suite.case("topic-id")
def _():
    def without_elr(told):
        """By id the tool asks an API that does not tell of eligible leaders."""
        return re.sub(r"\tElr: .*", "", told)

    told = topics("--describe", "--topic", PLAIN).text
    identity = re.search(r"TopicId: (\S+)", told)[1]
    same(without_elr(topics("--describe", "--topic-id", identity).text), without_elr(told), "what is told by id")
    missing = topics("--describe", "--topic-id", "AAAAAAAAAAAAAAAAAAAAAg", check=False)
    assert missing.returncode != 0 and "does not exist" in missing.text + missing.error, missing.text


@suite.case("partition-size-limit-per-response")
def _():
    wanted = [(PLAIN, part) for part in range(3)]
    for limit in (1, 2, 2000):
        same(described("--topic", PLAIN, "--partition-size-limit-per-response", limit), wanted, f"partitions in pages of {limit}")


@suite.case("increase-by-assignment")
def _():
    topic = wire.make_topic(PORT, new_topic("assigned"))
    topics("--alter", "--topic", topic, "--partitions", 3, "--replica-assignment", "1,1,1")
    same(len(re.findall(r"Partition: \d+\tLeader: 1\tReplicas: 1\tIsr: 1", topics("--describe", "--topic", topic).text)), 3, "partitions")


@suite.case("all-brokers-of-a-new-topic")
def _():
    """A replica on a broker that there is not is refused, and nothing is made."""
    topic = new_topic("elsewhere")
    refused = topics("--create", "--topic", topic, "--replica-assignment", "1,7", check=False)
    assert refused.returncode != 0 and "InvalidReplicaAssignmentException" in refused.text + refused.error, refused.text + refused.error
    same(listed("--topic", topic), [], "topics")


suite.main()
