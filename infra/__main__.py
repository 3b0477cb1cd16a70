"""The delivery program: settings -> providers -> the store -> the access of each environment."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the engine runs this file from its own folder

from infra.program import deploy  # noqa: E402

deploy(ROOT)
