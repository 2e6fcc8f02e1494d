"""Our messages against the classes of kafka-clients: 20 random ones for each message and version, and the tables of APIs,
header versions, error codes and uuids. No broker takes part.
"""
import os
import secrets

from harness import shell
from harness.cases import Suite
from harness.paths import CACHE, COMPAT

suite = Suite()


@suite.case("same-bytes", seconds=480)
def _():
    seed = secrets.randbits(32)
    done = shell.run(
        COMPAT / "codec" / "run", "--seed", seed, seconds=470, check=False, env=dict(os.environ, COMPAT_CACHE=str(CACHE))
    )
    said = done.text.strip().splitlines() or done.error.strip().splitlines()
    assert done.returncode == 0, f"seed {seed}: {' | '.join(said[:2])[:250]}"
    return f"seed {seed}: {said[-1]}"


suite.main()
