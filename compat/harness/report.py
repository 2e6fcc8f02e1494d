"""Writes the results of a run into docs/compat.md: one dated section for each broker and tier, newest run only."""
import platform
import time
from collections import Counter

from .paths import ROOT

PATH = ROOT / "docs" / "compat.md"
HEAD = """# Compatibility

What `compat/run` found, with other people's clients. Each section holds the newest run of its kind and is written by
`compat/run --report`; the same checks run against Apache Kafka, which says what they must find. A skipped case names
the class of features that it needs (`compat/absent.txt`), or its reason. The `rdkafka` (librdkafka 2.12.1) and `krafka`
0.28 crates are clients in `cargo test -p bourn --test foreign_clients`.
"""


def section(options, results):
    tier = "full" if options.full else "quick"
    counts = Counter(result.status for result in results)
    title = f"## {options.against}, {tier} tier"
    lines = [
        title, "",
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.machine()}: {counts['PASS']} passed, "
        f"{counts['FAIL']} failed, {counts['SKIP']} skipped.", "",
        "| check | result | seconds | note |", "|---|---|---|---|",
    ]
    for result in results:
        note = result.reason.replace("|", "\\|")
        lines.append(f"| {result.name} | {result.status} | {result.seconds:.1f} | {note} |")
    return title, "\n".join(lines) + "\n"


def write(options, results):
    title, text = section(options, results)
    old = PATH.read_text() if PATH.exists() else HEAD
    parts = ("\n" + old).split("\n## ")
    kept = {("## " + part).splitlines()[0]: "## " + part.strip() + "\n" for part in parts[1:]}
    kept[title] = text
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(HEAD + "\n" + "\n".join(kept[name] for name in sorted(kept)))
