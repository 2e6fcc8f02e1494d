"""Kafka's command line tools for what one broker has little of: elections, reassignments, voters, ACLs, tokens."""
import json
import os
from pathlib import Path

from harness import shell, wire
from harness.cases import BOOTSTRAP, Suite, new_topic, same

PORT = int(BOOTSTRAP.rpartition(":")[2])
SERVER = ["--bootstrap-server", BOOTSTRAP]
WORK = Path(os.environ["COMPAT_WORK"])
suite = Suite()


def tool(name, *arguments, **options):
    return shell.java(f"org.apache.kafka.tools.{name}", *SERVER, *arguments, **options)


def said(done):
    return done.text + done.error


def document(name, content):
    path = WORK / name
    path.write_text(json.dumps(content))
    return path


@suite.case("leader-election")
def _():
    topic = wire.make_topic(PORT, new_topic("java-elect"), 2)
    for kind in "preferred", "unclean":
        told = tool("LeaderElectionCommand", "--election-type", kind, "--topic", topic, "--partition", 0)
        assert "Valid replica already elected for partitions" in told.text and f"{topic}-0" in told.text, said(told)
        tool("LeaderElectionCommand", "--election-type", kind, "--all-topic-partitions")
    refused = tool("LeaderElectionCommand", "--election-type", "preferred", "--topic", topic, "--partition", 9, check=False)
    assert refused.returncode != 0 and "UnknownTopicOrPartitionException" in said(refused), said(refused)


@suite.case("reassign-partitions")
def _():
    topic = wire.make_topic(PORT, new_topic("java-reassign"), 2)

    def plan(name, *replicas):
        return document(name, {"version": 1, "partitions": [
            {"topic": topic, "partition": partition, "replicas": list(ids), "log_dirs": ["any"] * len(ids)} for partition, ids in enumerate(replicas)]})

    command = "reassign.ReassignPartitionsCommand"
    same("No partition reassignments found." in tool(command, "--list").text, True, "list")
    proposed = tool(command, "--generate", "--broker-list", "1", "--topics-to-move-json-file",
                    document("topics.json", {"version": 1, "topics": [{"topic": topic}]})).text
    assert "Proposed partition reassignment configuration" in proposed, proposed
    same_place = plan("same.json", [1], [1])
    executed = tool(command, "--execute", "--reassignment-json-file", same_place)
    assert f"Successfully started partition reassignments for {topic}-0,{topic}-1" in executed.text, said(executed)
    verified = tool(command, "--verify", "--reassignment-json-file", same_place).text
    same(verified.count("is completed."), 2, verified)
    elsewhere = tool(command, "--execute", "--reassignment-json-file", plan("elsewhere.json", [2], [1]), check=False)
    assert elsewhere.returncode != 0 and "Unknown broker id 2" in said(elsewhere), said(elsewhere)
    cancelled = tool(command, "--cancel", "--reassignment-json-file", same_place).text
    assert "None of the specified partition moves are active." in cancelled, cancelled


@suite.case("metadata-quorum")
def _():
    status = tool("MetadataQuorumCommand", "describe", "--status").text
    told = dict((word.strip() for word in line.split(":", 1)) for line in status.splitlines() if ":" in line)
    same(told["LeaderId"], "1", status)
    voters = json.loads(told["CurrentVoters"])
    same([voter["id"] for voter in voters], [1], "voters")
    same((json.loads(told["CurrentObservers"]), told["MaxFollowerLag"]), ([], "0"), "observers and lag")
    assert int(told["HighWatermark"]) > 0 and int(told["LeaderEpoch"]) > 0, status
    replication = tool("MetadataQuorumCommand", "describe", "--replication").text.splitlines()
    row = dict(zip(replication[0].split("\t"), replication[1].split("\t")))
    row = {name.strip(): value.strip() for name, value in row.items()}
    same((row["NodeId"], row["Lag"], row["Status"], len(replication)), ("1", "0", "Leader", 2), "replication")


@suite.case("acls")
def _():
    topic = new_topic("java-acls")
    for action in ["--list"], ["--add", "--allow-principal", "User:a", "--operation", "Read", "--topic", topic], \
            ["--remove", "--force", "--topic", topic]:
        refused = tool("AclCommand", *action, check=False)
        assert "SecurityDisabledException" in said(refused), said(refused)


@suite.case("delegation-tokens")
def _():
    config = WORK / "client.properties"
    config.write_text("")
    for action in ["--describe"], ["--create", "--max-life-time-period", "-1"]:
        refused = tool("DelegationTokenCommand", "--command-config", config, *action, check=False)
        assert "DelegationTokenDisabledException" in said(refused) or "UnsupportedByAuthenticationException" in said(refused), said(refused)
        assert refused.returncode != 0, "it was accepted"


suite.main()
