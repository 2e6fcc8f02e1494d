"""The cases of one check written in Python.

    suite = Suite()

    @suite.case("consume-by-offset")
    def _(): assert ...

    suite.main()

Each case is announced to the runner on a line of stdout that starts with `@case `. A case that needs what Bourn does not
have yet names that class (`needs="groups"`); `compat/absent.txt` lists the classes that are absent, so the case runs
against Kafka today and against Bourn from the day that the line goes.
"""
import json
import os
import signal
import sys
import time
import traceback

from .paths import COMPAT
from .wire import until  # noqa: F401

KIND = os.environ.get("COMPAT_KIND", "kafka")
BOOTSTRAP = os.environ.get("COMPAT_BOOTSTRAP", "")
FULL = os.environ.get("COMPAT_TIER") == "full"


class Skip(Exception):
    """The case cannot run here; the text says why."""


class TimedOut(Exception):
    """The case did not end within its bound."""


def absent_classes(kind=None):
    """The classes of features that the broker under test does not have yet."""
    if (kind or KIND) != "bourn":
        return {}
    absent = {}
    for line in (COMPAT / "absent.txt").read_text().splitlines():
        line = line.split("#")[0].strip()
        if line:
            absent[line] = f"needs {line}"
    return absent


def report(name, status, seconds, reason=""):
    line = json.dumps({"case": name, "status": status, "seconds": round(seconds, 2), "reason": reason})
    sys.stdout.flush()
    print(f"@case {line}", flush=True)


class Suite:
    def __init__(self):
        self.cases = []
        self.closers = []

    def case(self, name, needs=None, full=False, seconds=90):
        def add(function):
            self.cases.append((name, needs, full, seconds, function))
            return function

        return add

    def at_end(self, function):
        self.closers.append(function)

    def main(self):
        wanted = os.environ.get("COMPAT_CASE", "")
        absent = absent_classes()
        failed = 0
        for name, needs, full, seconds, function in self.cases:
            if wanted and wanted != name:
                continue
            if full and not FULL and not wanted:
                continue
            if needs in absent:
                report(name, "SKIP", 0, absent[needs])
                continue
            failed += not self._one(name, seconds, function)
        for close in self.closers:
            close()
        sys.exit(1 if failed else 0)

    def _one(self, name, seconds, function):
        def expire(_signal, _frame):
            raise TimedOut(f"not done after {seconds} s")

        print(f"--- {name}", flush=True)
        signal.signal(signal.SIGALRM, expire)
        signal.alarm(seconds)
        start = time.monotonic()
        status, reason = "PASS", ""
        try:
            said = function()
            reason = said if isinstance(said, str) else ""
        except Skip as skip:
            status, reason = "SKIP", str(skip)
        except BaseException as error:  # a check must report whatever ends it
            traceback.print_exc(file=sys.stdout)
            said = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
            status, reason = "FAIL", f"{type(error).__name__}: {said}"[:300]
            if isinstance(error, KeyboardInterrupt):
                raise
        finally:
            signal.alarm(0)
        report(name, status, time.monotonic() - start, reason)
        return status != "FAIL"


_topics = 0


def new_topic(stem="t"):
    """A topic name that no other case of this run uses."""
    global _topics
    _topics += 1
    return f"{stem}-{os.getpid()}-{_topics}"


def same(actual, expected, what="value"):
    if actual != expected:
        raise AssertionError(f"{what}: expected {expected!r}, got {actual!r}"[:900])

