"""A hospital's record: which jobs asked to run, what was answered, what left with each answer of a job."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from automation.operate.people import PeoplesContainer
from automation.ui.plain import plain_document

NEWEST: Final[Mapping[str, int]] = {"audit/": 500, "releases/": 0}
"""Prefix -> how many blobs are read, the last by name; 0: all. What was asked and said is named by its time,
what left by its job's id, which the centre chooses: some could be such that they are never shown.
"""

ANSWERS: Final = "-answers.json"
"""Ends the name of what the officers answered: all are read, whatever asks push them out of the newest."""
Entry = dict[str, Any]


def entries(blobs: Iterable[tuple[str, str]]) -> list[Entry]:
    """Return what blobs (name, text) hold, in order of time, with times as text in UTC."""
    found = [entry for name, text in blobs for entry in _entries(name, text)]
    return sorted(plain_document(found), key=lambda entry: str(entry["time"]))


def of_account(container: PeoplesContainer) -> list[Entry]:
    """Return what the hospital's own people may read. Raises as PeoplesContainer."""
    names = sorted(container.blobs())
    newest = {
        name
        for prefix, most in NEWEST.items()
        for name in [one for one in names if one.startswith(prefix)][-most:]
    }
    answers = {name for name in names if name.startswith("audit/") and name.endswith(ANSWERS)}
    read = sorted(newest | answers)
    return entries((name, container.blob(name).decode(errors="replace")) for name in read)


def _entries(blob: str, text: str) -> list[Entry]:
    if blob.startswith("audit/"):
        return [dict(json.loads(text))]
    job = blob.partition("/")[2].removesuffix(".jsonl")
    return [_release(job, line) for line in text.splitlines()]


def _release(job: str, line: str) -> Entry:
    note = json.loads(line)
    moment = datetime.fromtimestamp(float(note["time"]), UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    event = next((event for event in ("started", "refused") if event in note), "released")
    return {**note, "event": event, "job_id": job, "time": moment}
