"""Where things are. Everything that is installed or built goes below `.cache`, which git ignores."""
import os
from pathlib import Path

COMPAT = Path(__file__).resolve().parent.parent
ROOT = COMPAT.parent
CACHE = Path(os.environ.get("COMPAT_CACHE") or COMPAT / ".cache")
JARS = CACHE / "java"
VENV = CACHE / "venv"
NODE = CACHE / "node"
GO = CACHE / "compat-go"
LOGS = CACHE / "logs"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
BOURN = Path(os.environ.get("COMPAT_BOURN") or TARGET / "release" / "bourn")
