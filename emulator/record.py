"""The file in which a running daemon says where it listens, and whether what it says still holds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from clone import paths

_SERVED = ("arm", "guest", "plugins")
"""The packages that a daemon has loaded: a change in them asks for a new daemon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A daemon: its process and its addresses.

    `started` (clock ticks since boot) tells the process from a later one of the same pid. `plugins` is the
    host:port of the plugin listener, `arm` the https URL of the control plane, `socket` the Unix socket of
    the same, `backend` the only PULUMI_BACKEND_URL that is served, `code` the state of the sources it runs.
    """

    pid: int
    started: int
    plugins: str
    arm: str
    socket: str
    backend: str
    code: str

    @classmethod
    def load(cls, file: Path) -> Record | None:
        """Return what a daemon wrote, None when there is no file or it is of another version."""
        try:
            return cls(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Write the file in one step, readable by this user only."""
        paths.write_private(file, json.dumps(asdict(self), indent=2).encode() + b"\n")

    def alive(self) -> bool:
        """Say whether the process still runs: a killed daemon leaves its file behind."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Return when a process started (clock ticks since boot, ``man 5 proc``), None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    after_name = stat[stat.rindex(")") + 2 :].split()
    return None if after_name[0] == "Z" else int(after_name[19])


def code_state() -> str:
    """Return a mark of the emulator's sources that changes when one of them does."""
    folder = Path(__file__).parent
    files = [
        *folder.glob("*.py"),
        *(file for name in _SERVED for file in (folder / name).rglob("*.py")),
        *(paths.REPOSITORY / "azure_types").glob("*.*"),
    ]
    seen = (
        (str(file), status.st_mtime_ns, status.st_size) for file in sorted(files) for status in [file.stat()]
    )
    return hashlib.sha256(repr(list(seen)).encode()).hexdigest()[:16]
