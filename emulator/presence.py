"""Whether a process's own files are still where they were: a clone may be moved or deleted while it runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

LOOK_SECONDS = 2.0


async def until_gone(path: Path, descriptor: int) -> None:
    """Return when `path` no longer names the open file: its folder was moved, deleted or replaced."""
    while is_there(path, descriptor):
        await asyncio.sleep(LOOK_SECONDS)


def is_there(path: Path, descriptor: int) -> bool:
    """Say whether `path` names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
