"""Every advertised version of every API that Bourn has, with a request that must succeed: checks/versions/Versions.java."""
import os
import subprocess
import sys

from harness.cases import BOOTSTRAP
from harness.install import CLIENTS
from harness.paths import COMPAT

words = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{CLIENTS}/*", str(COMPAT / "checks" / "versions" / "Versions.java"), BOOTSTRAP]
sys.exit(subprocess.run(words + [os.environ.get("COMPAT_CASE", "")]).returncode)
