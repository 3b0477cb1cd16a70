"""What a hospital's VM made of a file that its people uploaded, as the hospital's own record says it."""

import time
from collections.abc import Callable, Iterable
from typing import Final

from automation.operate.record import Entry
from automation.ui.outcome import FedError

SECONDS: Final = 300.0
"""The VM looks once a minute, and reads a large file for some more."""
_EVERY_SECONDS: Final = 3.0


def last(entries: Iterable[Entry], name: str) -> Entry | None:
    """Return the newest entry about a file of that name, None where the VM has never looked at one."""
    of_file = [entry for entry in entries if entry["event"] == "data" and entry["name"] == name]
    return max(of_file, key=lambda entry: str(entry["time"]), default=None)


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
    deadline = time.monotonic() + seconds
    while True:
        found = last(record(), name)
        if found is not None and found != before:
            return found
        if time.monotonic() > deadline:
            raise FedError(
                f"{name} is uploaded, and the VM's record says nothing of it after {seconds:g} seconds\n"
                "Fix: ./fed status says how the hospital is doing; ./fed audit has its word once it looked"
            )
        time.sleep(every)
