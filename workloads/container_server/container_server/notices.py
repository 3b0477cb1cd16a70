"""What people are to be told in time: one line in the log for each, with a stable code that an alert finds.

What lasts is said again every ten minutes: an alert looks at the last 15 (components/log_alert.py), and ends
by itself when nothing is said any more. `fed status` shows the same.
"""

import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from container_server.clock import Clock
from container_server.log import say

Code = Literal[
    "job-ended",
    "job-failed",
    "job-waits",
    "image-waits",
    "enrolment-waits",
    "renewal-waits",
    "return-waits",
    "data-refused",
    "certificate-ends",
    "hospital-silent",
    "disk-full",
    "backup-missing",
    "restore-waits",
]
AGAIN_SECONDS = 600.0
CERTIFICATE_SECONDS = 29.5 * 86_400.0
"""Left of a certificate. Renewal begins at 30 days: with fewer something holds it up."""
SILENT_SECONDS = 3600.0
FULL = 0.9
"""Of the data disk."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """`about`: a hospital, a job, a file or a certificate; `text` says what happens, and what to do."""

    code: Code
    about: str
    text: str


class Notices:
    """What lasts. `tell()` is called again and again with what is the case."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._since: dict[Notice, float] = {}
        self._said: dict[Notice, float] = {}

    def tell(self, present: Iterable[Notice]) -> None:
        """Take note of what is the case now, and say what is new or was not said for long."""
        now, before = self._clock.now(), self._since
        self._since = {notice: before.get(notice, now) for notice in present}
        self._said = {notice: said for notice, said in self._said.items() if notice in self._since}
        for notice in self._since:
            if now - self._said.get(notice, 0.0) >= AGAIN_SECONDS:
                self._said[notice] = now
                announce(notice)

    def rows(self) -> list[dict[str, Any]]:
        """What is the case, for `fedctl status`: code, about, text, and since when it is (Unix time)."""
        return [{**asdict(notice), "since": int(since)} for notice, since in self._since.items()]


def announce(notice: Notice) -> None:
    """Say it once: also what happened, and does not last."""
    say("notice", **asdict(notice))


def certificate_ends(about: str, ends: float, now: float, fix: str) -> list[Notice]:
    """A notice where the certificate ends soon. The days are not in it: it stays the same notice."""
    if ends - now > CERTIFICATE_SECONDS:
        return []
    text = f"the certificate of {about} ends within 30 days, or has ended. Fix: {fix}"
    return [Notice(code="certificate-ends", about=about, text=text)]


def disk_full(folder: Path) -> list[Notice]:
    """A notice where the disk of `folder` is nearly full."""
    usage = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
    if usage.used / usage.total < FULL:
        return []
    text = f"more than {FULL:.0%} of the data disk are used. Fix: a larger one, fed:machine.dataDiskGib"
    return [Notice(code="disk-full", about="data disk", text=text)]
