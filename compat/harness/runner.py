"""Runs checks: installs what they need, gives each a fresh broker, reads its cases, asks the broker afterwards.

The broker itself is a case of every check: it must be alive at the end, have said no panic, and stop cleanly.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import traceback
from dataclasses import dataclass
from pathlib import Path

from . import brokers, install
from .cases import absent_classes
from .paths import CACHE, COMPAT, GO, LOGS, NODE, VENV


@dataclass
class Result:
    check: str
    case: str
    status: str
    seconds: float
    reason: str = ""

    @property
    def name(self):
        return f"{self.check}/{self.case}" if self.case else self.check

    def line(self):
        tail = f"  {self.reason}" if self.reason else ""
        return f"{self.status} {self.name} ({self.seconds:.1f} s){tail}"


def catalogue():
    return tomllib.loads((COMPAT / "checks.toml").read_text())


class Runner:
    def __init__(self, kind, full, only):
        self.kind = kind
        self.full = full
        self.only = only
        self.results = []
        LOGS.mkdir(parents=True, exist_ok=True)
        self.logs = Path(tempfile.mkdtemp(prefix=time.strftime(f"{kind}-%Y%m%d-%H%M%S-"), dir=LOGS))

    def say(self, check, case, status, seconds, reason=""):
        result = Result(check, case, status, seconds, " ".join(str(reason).split())[:300])
        self.results.append(result)
        print(result.line(), flush=True)

    def selected(self):
        """The checks asked for, as (name, entry, case); a case is named as CHECK/CASE."""
        wanted = [item.partition("/") for item in self.only]
        checks = catalogue()
        for name, _, _ in wanted:
            if name not in checks:
                raise SystemExit(f"no check named {name}; there are: {', '.join(checks)}")
        if wanted:
            return [(name, checks[name], case) for name, _, case in wanted]
        return [(name, entry, "") for name, entry in checks.items() if self.full or entry.get("tier", "quick") == "quick"]

    def run(self):
        for name, entry, case in self.selected():
            try:
                self.one(name, entry, case)
            except Exception as error:  # one check must not end the others
                (self.logs / f"{name}.error").write_text(traceback.format_exc())
                self.say(name, "", "FAIL", 0, f"{type(error).__name__}: {error}")
        return self.results

    def one(self, name, entry, case):
        absent = absent_classes(self.kind)
        if entry.get("class") in absent:
            return self.say(name, "", "SKIP", 0, absent[entry["class"]])
        missing = entry.get("unless_missing")
        if missing and not (COMPAT / missing).exists():
            return self.say(name, "", "SKIP", 0, f"there is no {missing} yet")
        if self.kind == "kafka":
            if entry.get("bourn_only"):
                return self.say(name, "", "SKIP", 0, "only about Bourn")
            install.java()
        try:
            for need in entry.get("needs", []):
                install.KINDS[need]()
        except install.Absent as missing:
            return self.say(name, "", "SKIP", 0, missing)
        with tempfile.TemporaryDirectory(prefix=f"bourn-compat-{name}-", ignore_cleanup_errors=True) as work:
            if entry.get("own"):
                return self.program(name, entry, case, work, None)
            broker = brokers.make(self.kind, Path(work) / "broker", entry.get(f"{self.kind}_settings"))
            try:
                start = time.monotonic()
                broker.start()
                started = time.monotonic() - start
                self.program(name, entry, case, work, broker)
                self.afterwards(name, broker, started)
            finally:
                broker.kill()
                if broker.log.exists():
                    (self.logs / f"{name}.broker.log").write_bytes(broker.log.read_bytes())

    def afterwards(self, name, broker, started):
        if not broker.alive():
            return self.say(name, "broker", "FAIL", 0, f"the broker died: {broker.tail(300)}")
        memory = broker.rss_kib() // 1024
        start = time.monotonic()
        code = broker.stop()
        log = broker.tail(1 << 30)
        if not broker.clean_exit(code):
            self.say(name, "broker", "FAIL", time.monotonic() - start, f"the stop ended with {code}")
        elif "panicked at" in log:
            self.say(name, "broker", "FAIL", 0, log[log.index("panicked at"):][:200])
        else:
            self.say(name, "broker", "PASS", time.monotonic() - start, f"ready in {started:.2f} s, {memory} MiB resident at the end")

    def command(self, words):
        tools = {"python": [str(VENV / "bin" / "python")], "node": ["node"], "go": [str(GO)]}
        if not (VENV / "bin" / "python").exists():
            tools["python"] = [sys.executable]
        return tools.get(words[0], [words[0]]) + [str(COMPAT / word) if "/" in word else word for word in words[1:]]

    def environment(self, case, work, broker):
        values = dict(
            os.environ, COMPAT_KIND=self.kind, COMPAT_WORK=work, COMPAT_CACHE=str(CACHE), COMPAT_CASE=case,
            COMPAT_TIER="full" if self.full else "quick", PYTHONPATH=str(COMPAT), PYTHONUNBUFFERED="1",
            COMPAT_ABSENT=",".join(absent_classes(self.kind)), NODE_PATH=str(NODE / "node_modules"),
        )
        if broker is not None:
            values.update(COMPAT_BOOTSTRAP=broker.bootstrap, COMPAT_PID=str(broker.pid), COMPAT_DATA=str(broker.data))
        return values

    def program(self, name, entry, case, work, broker):
        """Runs the program of a check in its own process group, which ends with it."""
        before, start = len(self.results), time.monotonic()
        log_path = self.logs / f"{name}.log"
        with open(log_path, "w", errors="replace") as log:
            process = subprocess.Popen(
                self.command(entry["run"]), cwd=work, env=self.environment(case, work, broker), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )
            expired = threading.Event()

            def expire():
                expired.set()
                end_group(process.pid)

            timer = threading.Timer(entry.get("seconds", 300) * (4 if self.full else 1), expire)
            timer.start()
            try:
                for line in process.stdout:
                    log.write(line)
                    log.flush()
                    if line.startswith("@case "):
                        said = json.loads(line[6:])
                        self.say(name, said["case"], said["status"], said["seconds"], said.get("reason", ""))
                code = process.wait()
            finally:
                timer.cancel()
                end_group(process.pid)
        seconds = time.monotonic() - start
        said = self.results[before:]
        if expired.is_set():
            self.say(name, "", "FAIL", seconds, f"not done in time, see {log_path}")
        elif code != 0 and not any(result.status == "FAIL" for result in said):
            self.say(name, "", "FAIL", seconds, f"exit code {code}, see {log_path}")
        elif not said:
            self.say(name, "", "PASS" if entry.get("plain") else "FAIL", seconds, "" if entry.get("plain") else "it reported no case")


def end_group(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
