"""Log lines for journald and for people: one JSON object a line, on stdout."""

import json
import sys
from datetime import UTC, datetime


def say(event: str, **details: object) -> None:
    """Write one line: time, event, details."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    print(json.dumps({"time": now, "event": event, **details}, default=str), file=sys.stdout, flush=True)
