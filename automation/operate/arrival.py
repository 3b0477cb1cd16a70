"""What a hospital's VM made of a file that its people uploaded: of data in its record, of a table to be
scored in its container `scores`.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeVar

from automation.operate.record import Entry
from automation.ui.outcome import FedError

SECONDS: Final = 300.0
"""The VM looks once a minute, and reads a large file for some more."""
_EVERY_SECONDS: Final = 3.0
Found = TypeVar("Found")


def last(entries: Iterable[Entry], name: str) -> Entry | None:
    """Return the newest entry about a file of that name, None where the VM has never looked at one."""
    of_file = [entry for entry in entries if entry["event"] == "data" and entry["name"] == name]
    return max(of_file, key=lambda entry: str(entry["time"]), default=None)


def moment(entry: Entry) -> str:
    """Return when an entry was made, for people: `2026-12-01 16:29 UTC`."""
    made = datetime.strptime(str(entry["time"])[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return f"{made:%Y-%m-%d %H:%M} UTC"


def wait(
    record: Callable[[], Iterable[Entry]],
    name: str,
    before: Entry | None,
    *,
    seconds: float = SECONDS,
    every: float = _EVERY_SECONDS,
) -> Entry:
    """Return the first entry about a file that is another than the one of before its upload.

    Raises FedError where there is none within `seconds`, and as `record`.
    """
    return _other(
        lambda: last(record(), name),
        before,
        f"{name} is uploaded, and the VM's record says nothing of it after {seconds:g} seconds\n"
        "Fix: ./fed status says how the hospital is doing; ./fed audit has its word once it looked",
        seconds=seconds,
        every=every,
    )


def scored(scores: Mapping[str, bytes], table: str) -> tuple[str, str] | None:
    """Return what the container `scores` has for a table: a file's name and text, None for nothing.

    It has the table's own name where it was scored, and ends in `.txt` where it says why it was not.
    """
    names = (table, f"{table.removesuffix('.csv')}.txt")
    return next(((name, scores[name].decode()) for name in names if name in scores), None)


def wait_for_scores(
    scores: Callable[[], Mapping[str, bytes]],
    table: str,
    before: tuple[str, str] | None,
    *,
    seconds: float = SECONDS,
    every: float = _EVERY_SECONDS,
) -> tuple[str, str]:
    """Return the first answer to a table that is another than the one of before its upload.

    Raises FedError where there is none within `seconds`, and as `scores`.
    """
    known = f": it says {before[1].strip()!r}, as before" if before and before[0] != table else ""
    return _other(
        lambda: scored(scores(), table),
        before,
        f"{table} is uploaded, and there is no other answer after {seconds:g} seconds{known}\n"
        "Fix: ./fed status says how the hospital is doing; later ./fed data scores",
        seconds=seconds,
        every=every,
    )


def _other(
    look: Callable[[], Found | None], before: Found | None, none: str, *, seconds: float, every: float
) -> Found:
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found is not None and found != before:
            return found
        if time.monotonic() > deadline:
            raise FedError(none)
        time.sleep(every)
