"""The PATH of `fed` and of what it starts: the user's, and behind it what users often lack.

``.venv/bin`` holds uv; ``/usr/sbin`` and ``/sbin``, where Debian has `nft` and `ip`, are not on all PATHs.
"""

import os
import sys
from pathlib import Path

_added: list[str] = []


def extend() -> None:
    """Add what is missing at the end of this process's PATH."""
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    wanted = [str(Path(sys.executable).parent), "/usr/sbin", "/sbin"]
    _added.extend(folder for folder in wanted if folder not in found)
    os.environ["PATH"] = os.pathsep.join([*found, *_added])


def without_added(path: str) -> str:
    """Return a PATH without what `extend` added, each folder once, where it came first."""
    folders = dict.fromkeys(path.split(os.pathsep))
    return os.pathsep.join(folder for folder in folders if folder not in _added)
