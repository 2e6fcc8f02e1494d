"""The README's tour, as it stands there: every command of its console blocks, and what it is shown to print.

Two things differ: the broker gets a free port, which the commands find in BOURN_BOOTSTRAP_SERVERS, and it is killed and
stopped where the text says so. Times, rates, ids and timestamps of the output may be others.
"""
import os
import re
from pathlib import Path

from harness import brokers, shell
from harness.cases import KIND, Suite, same
from harness.paths import BOURN, COMPAT

WORK = Path(os.environ["COMPAT_WORK"])
DEFAULT = "127.0.0.1:9092"
VARIES = [
    (r"ready in \d+ ms", "ready in N ms"),
    (r"in [\d.]+ s: .*/s$", "in N s: N/s"),
    (r"\b1[789]\d{11}\b", "TIMESTAMP"),
    (r"\(id [\w-]{22}\)", "(id ID)"),
]
suite = Suite()


class AsInReadme(brokers.Bourn):
    """Started where the tour is, with the data directory that the tour has."""

    @property
    def data(self):
        return self.directory / "bourn-data"

    def command(self):
        return [str(BOURN), "start", "--set", f"listeners=PLAINTEXT://{self.bootstrap}"]


def blocks():
    """The console blocks of the tour: each a list of (command, output)."""
    text = (COMPAT.parent / "README.md").read_text()
    for block in re.findall(r"^```console\n(.*?)^```", text, re.M | re.S):
        parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
        yield list(zip(parts[1::2], parts[2::2]))


def plain(text, bootstrap):
    text = text.replace(bootstrap, DEFAULT)
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text, flags=re.M)
    return text


def follow(broker, steps):
    environment = dict(os.environ, BOURN_BOOTSTRAP_SERVERS=broker.bootstrap, BOURN=str(BOURN))
    for command, shown in steps:
        line = command.replace(DEFAULT, broker.bootstrap)
        found = shell.run("bash", "-c", f'bourn() {{ "$BOURN" "$@"; }}; {line}', cwd=broker.directory, env=environment)
        same(plain(found.text + found.error, broker.bootstrap), plain(shown, broker.bootstrap), f"`{command}`")


@suite.case("tour", seconds=200)
def _():
    first, *rest = blocks()
    same([command for command, _ in first], ["cargo run --release -- start"], "the tour's beginning")
    broker = AsInReadme(WORK)
    with broker:
        said = next(line for line in broker.tail().splitlines() if line.startswith("bourn ready in"))
        same(plain(said + "\n", broker.bootstrap), plain(first[0][1], broker.bootstrap), "the ready line")
        write, group, again, configs, others, files = rest
        follow(broker, write)
        follow(broker, group)
        broker.kill()
        broker.start()
        follow(broker, again)
        follow(broker, configs)
        follow(broker, others)
        code = broker.stop()
        assert broker.clean_exit(code), f"the stop ended with {code}"
        follow(broker, files)


assert KIND == "bourn"
suite.main()
