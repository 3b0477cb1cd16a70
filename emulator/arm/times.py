"""Times as Azure writes them."""

from __future__ import annotations

import datetime as dt


def stamp(now: float) -> str:
    """Return a time (seconds since 1970) as Azure writes it: ``2026-11-25T00:46:39.823340Z``."""
    return dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
