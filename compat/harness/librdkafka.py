"""librdkafka's own test programs: finds their source in the `rdkafka-sys` crate, builds them, runs one by number.

The unit is the test number: the test runner selects by it, so 0045 is all tests of that number that need a broker.
"""
import functools
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import install
from .paths import CACHE, COMPAT, JARS

VERSION = "4.10.0"  # of rdkafka-sys; it carries librdkafka 2.12.1
HOME = CACHE / "librdkafka"
BUILD = HOME / "build"
RUNNER = BUILD / "tests" / "test-runner"
LISTS = COMPAT / "librdkafka"
PACKAGES = {"libssl-dev": "openssl/ssl.h", "libcurl4-openssl-dev": "curl/curl.h", "libzstd-dev": "zstd.h", "zlib1g-dev": "zlib.h", "rapidjson-dev": "rapidjson/schema.h"}


@functools.cache
def source():
    """The directory of librdkafka inside the crate, wherever cargo keeps it."""
    package = HOME / "find"
    (package / "src").mkdir(parents=True, exist_ok=True)
    (package / "src" / "lib.rs").touch()
    manifest = (
        '[package]\nname = "find"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n\n'
        f'[dependencies]\nrdkafka-sys = {{ version = "={VERSION}", default-features = false }}\n'
    )
    path = package / "Cargo.toml"
    # Only once: another run may be reading it.
    if not path.exists() or path.read_text() != manifest:
        path.write_text(manifest)
    done = subprocess.run(["cargo", "metadata", "--quiet", "--format-version", "1"], cwd=package, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"cargo metadata: {done.stderr[-500:]}")
    for entry in json.loads(done.stdout)["packages"]:
        if entry["name"] == "rdkafka-sys":
            return Path(entry["manifest_path"]).parent / "librdkafka"
    raise RuntimeError("cargo does not know rdkafka-sys")


def build():
    """Builds the test runner out of tree; a second call costs nothing."""
    if RUNNER.exists():
        return
    for program in ("cmake", "make", "g++"):
        install.apt(program, program)
    missing = [name for name, header in PACKAGES.items() if not has_header(header)]
    if missing:
        install.apt_packages(missing)
    BUILD.mkdir(parents=True, exist_ok=True)
    # Some tests make topic names of __FILE__, so it must not be a path; rapidjson is for those that read statistics.
    flags = f"-O1 -w -fmacro-prefix-map={source()}/tests/="
    options = dict(
        RDKAFKA_BUILD_TESTS="ON", RDKAFKA_BUILD_EXAMPLES="OFF", RDKAFKA_BUILD_STATIC="ON", WITH_SASL="OFF", WITH_ZSTD="ON",
        WITH_SSL="ON", WITH_CURL="ON", WITH_PLUGINS="ON", ENABLE_LZ4_EXT="OFF", CMAKE_C_FLAGS=flags, CMAKE_CXX_FLAGS=f"{flags} -DWITH_RAPIDJSON=1",
    )
    words = [f"-D{key}={value}" for key, value in options.items()]
    install.run_logged("cmake", "-S", source(), "-B", BUILD, *words, log="librdkafka.log")
    install.run_logged("make", "-C", BUILD, "-j2", "test-runner", "interceptor_test", log="librdkafka.log")


@functools.cache
def java_classes():
    """The directory of the Java programs that some tests start, compiled."""
    target = HOME / "java"
    shutil.copytree(source() / "tests" / "java", target, dirs_exist_ok=True)
    programs = [path for path in target.glob("*.java") if not path.with_suffix(".class").exists()]
    if programs:
        install.run_logged("javac", "-nowarn", "-cp", f"{JARS}/*", "-d", target, *programs, log="librdkafka.log")
    return target


def has_header(name):
    words = ["g++", "-E", "-x", "c++", "-include", name, os.devnull, "-o", os.devnull]
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


@dataclass
class Test:
    name: str
    flags: str
    scenario: str

    @property
    def number(self):
        return self.name[:4]

    @property
    def local(self):
        return "TEST_F_LOCAL" in self.flags


def tests():
    """Every test that the runner knows, from its own table."""
    text = (source() / "tests" / "test.c").read_text()
    text = text[text.index("struct test tests[] = {"):]
    found = []
    for match in re.finditer(r"\n    _TEST\((\w+),\s*([\w |]+)(.*?)\),(?=\n)", text, re.S):
        scenario = re.search(r'\.scenario\s*=\s*"(\w+)"', match[3])
        found.append(Test(match[1], match[2].strip(), scenario[1] if scenario else "default"))
    return found


def numbers():
    """The numbers that need a broker, each with its tests."""
    found = {}
    for test in tests():
        if not test.local and "MANUAL" not in test.flags:
            found.setdefault(test.number, []).append(test)
    return found


def run(number, bootstrap, directory, seconds, scenario="default", quick=True, subtest="", protocol="classic"):
    """Runs the tests of one number, their groups with that protocol. Returns {test: (state, reason)}; {} when the runner
    died without a report."""
    home, directory = Path(directory), Path(directory) / "tests"
    directory.mkdir(parents=True, exist_ok=True)
    if not (home / "src").exists():
        (home / "src").symlink_to(source() / "src")  # some tests look for ../src
    report = directory / "report.json"
    (directory / "test.conf").write_text(f"metadata.broker.list={bootstrap}\ntest.topic.random=true\ntest.timeout.multiplier=2\n")
    for name in ("interceptor_test", ):
        if not (directory / name).exists():
            shutil.copytree(BUILD / "tests" / name, directory / name, symlinks=True)
    (directory / "Makefile").write_text(".PHONY: java\njava:\n\t@:\n")  # they are compiled already
    (directory / "java").symlink_to(java_classes())
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment.update(TESTS=number, TEST_REPORT=str(report), KAFKA_PATH=str(LISTS), BROKERS=bootstrap, COMPAT_JARS=str(JARS),
                       TEST_KAFKA_VERSION="4.3.1", RDKAFKA_TEST_CONF="test.conf", TEST_CONSUMER_GROUP_PROTOCOL=protocol)
    if subtest:
        environment["SUBTESTS"] = subtest
    words = [RUNNER, "-p1", "-L", "-s", scenario] + (["-Q"] if quick else [])
    with open(directory / "output.log", "wb") as out:
        try:
            code = subprocess.run(words, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=seconds).returncode
        except subprocess.TimeoutExpired:
            return {number: ("FAILED", f"not done in {seconds} s")}
    try:
        found = json.loads(report.read_text())["tests"]
    except (OSError, ValueError):
        return {number: ("FAILED", f"the runner ended with {code} and left no report")}
    lines = (directory / "output.log").read_text(errors="replace")
    return {
        name: (entry["state"], reason_of(name, lines))
        for name, entry in found.items() if name.startswith(number) and entry["state"] != "NOT_STARTED"
        and not (entry["state"] == "SKIPPED" and not reason_of(name, lines))
    }


def reason_of(name, output):
    """What the summary line of a test says after its time."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    match = re.search(rf"^\| +{name} +\| +\w+ +\| +[\d.]+s +\|(.*)$", plain, re.M)
    if match and match[1].strip():
        return match[1].strip()
    match = re.search(rf'### Test "{name}[" ].*\n(.*)', plain)
    return match[1].strip() if match else ""


def read_list(name):
    """The words before a comment of each line of a list."""
    rows = []
    for line in (LISTS / name).read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            rows.append(words)
    return rows
