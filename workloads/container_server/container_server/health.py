"""`python -m container_server.health`: whether the loop turned within the last minute (the image's health
check).
"""

import sys
import time
from pathlib import Path

BEAT = Path("/tmp/fed-loop")  # noqa: S108 - the container's own /tmp, a tmpfs
STALE_AFTER_SECONDS = 60.0


def beat(path: Path = BEAT) -> None:
    """The loop turned."""
    path.touch()


def alive(now: float, path: Path = BEAT) -> bool:
    """Whether it turned lately."""
    return path.exists() and now - path.stat().st_mtime < STALE_AFTER_SECONDS


if __name__ == "__main__":
    sys.exit(0 if alive(time.time()) else 1)
