"""Installs other people's clients by package name, pinned, each kind once.

A stamp file holds the digest of the list that was installed; a changed list installs again.
"""
import hashlib
import os
import shutil
import subprocess
import sys

from .paths import BOURN, CACHE, COMPAT, JARS, NODE, ROOT, VENV


def _run(*command, cwd=None, log="install.log"):
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
        _run("mvn", "-q", "-B", "-f", COMPAT / "java" / "pom.xml", plugin, "-DincludeScope=runtime", f"-DoutputDirectory={JARS}")

    _once("java", [COMPAT / "java" / "pom.xml"], install)


def python():
    lists = [COMPAT / "python" / "requirements.txt", COMPAT / "python" / "data.txt"]

    def install():
        shutil.rmtree(VENV, ignore_errors=True)
        _run(sys.executable, "-m", "venv", VENV)
        pip = [VENV / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, "-r", lists[0])
        # Only its data is wanted; the package itself would bring pandas.
        _run(*pip, "--no-deps", "-r", lists[1])

    _once("python", lists, install)


def node():
    lists = [COMPAT / "node" / "package.json", COMPAT / "node" / "package-lock.json"]

    def install():
        shutil.rmtree(NODE, ignore_errors=True)
        NODE.mkdir(parents=True)
        for path in lists:
            shutil.copy(path, NODE)
        _run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error", cwd=NODE)

    _once("node", lists, install)


def apt(package, program):
    if shutil.which(program):
        return
    _run("apt-get", "update", "-qq")
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    _run("apt-get", "install", "-y", "-qq", package)


def kcat():
    apt("kcat", "kcat")


def librdkafka():
    for package, program in (("cmake", "cmake"), ("g++", "g++"), ("make", "make")):
        apt(package, program)


def bourn():
    _run("cargo", "build", "--release", "-p", "bourn", cwd=ROOT, log="cargo.log")
    if not BOURN.exists():
        raise RuntimeError(f"the build left no {BOURN}")


KINDS = {"java": java, "python": python, "node": node, "kcat": kcat, "librdkafka": librdkafka}
