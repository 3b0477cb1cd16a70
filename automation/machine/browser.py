"""The browser that looks at the local dashboards in tests: the machine's Chromium or Chrome, headless."""

import shutil
from pathlib import Path

from automation.machine import system

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NEED = system.Need(who="the tests of the local dashboards", programs={"chromium": "chromium"})


def find() -> Path | None:
    """Return the browser's program, None where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


def require() -> Path:
    """Return the browser; install it where that may be done.

    Raises FedError with the command to run where it may not.
    """
    if (found := find()) is not None:
        return found
    system.require_packages(NEED)
    return Path(str(shutil.which("chromium")))
