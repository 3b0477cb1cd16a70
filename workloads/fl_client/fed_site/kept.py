"""Waits until the hospital's own account has a ledger as it is on the disk, before what it tells of leaves.

A disk that is lost would give back what was spent, or answered, since its last backup. The container server
copies each ledger to the container `record` as soon as it changes, and says which content it has copied in
the folder that the client only reads (hospital/ledgers.py there).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fed_site.ledgers import KEPT_FILE

KEPT: Final = Path(os.environ.get("FED_ANSWERS", "/answers")) / KEPT_FILE
"""What the container server has copied: `{name: SHA-256 of the content}`."""
SECONDS: Final = 60.0
_PAUSE: Final = 0.02
Keep = Callable[[Path], None]
"""Returns when a ledger is safe. Raises NotKeptError."""


class NotKeptError(OSError):
    """The hospital's account did not get a ledger in time; the text says which."""


def in_the_account(ledger: Path, said: Path = KEPT, seconds: float = SECONDS) -> None:
    """Wait until the container server has copied a ledger. Raises NotKeptError, and OSError without it."""
    content = hashlib.sha256(ledger.read_bytes()).hexdigest()
    until = time.monotonic() + seconds
    while _copied(said).get(ledger.name) != content:
        if time.monotonic() > until:
            raise NotKeptError(f"{ledger.name} has not reached the hospital's account: see container-server")
        time.sleep(_PAUSE)


def _copied(said: Path) -> dict[str, Any]:
    """Nothing before the first copy; the file is replaced in one step."""
    try:
        return dict(json.loads(said.read_text()))
    except FileNotFoundError:
        return {}
