"""Entry point of the pack, started by the engine through its language host with this folder as program."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policies.pack import serve

serve()
