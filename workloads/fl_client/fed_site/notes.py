"""Notes of what left with a job's answers, one line of JSON an answer, for the hospital's record.

Written by the airlock, whose process runs no code of a job's (box.py).
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
from fed_box.channel import HISTOGRAMS_KEY
from nvflare.apis.dxo import DXO, MetaKey

from fed_site.start import WORK

FOLDER = WORK / "releases"
MOST_BYTES = 2_000_000
"""Of one job: some two thousand answers. The container server reads a little more (consent.py)."""
JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Other jobs would leave no notes: they are not taken (consent.py)."""


class NotesFullError(RuntimeError):
    """An answer that could not be noted, and so may not leave: NVFlare sends that a filter failed."""


@final
class Notes:
    """The notes of this hospital's jobs."""

    def __init__(self, folder: Path = FOLDER):
        self._folder = folder

    def note(self, job_id: str, task: Mapping[str, Any], content: Mapping[str, Any]) -> None:
        """Add a line to a job's notes. Raises NotesFullError beyond MOST_BYTES."""
        if not JOB_ID.fullmatch(job_id):
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{job_id}.jsonl"
        if path.exists() and path.stat().st_size >= MOST_BYTES:
            raise NotesFullError(f"the notes of job {job_id} are full: nothing of it leaves any more")
        with path.open("a") as notes:
            notes.write(json.dumps({"time": time.time(), **task, **content}, sort_keys=True) + "\n")


def summary(answer: DXO, described: int = 0) -> dict[str, Any]:
    """What of an answer is noted: its kind, how many numbers it holds, its metrics by name and value.

    `described`: how many numbers its statistics are, which in the answer are bytes. Metrics are not counted.
    """
    arrays = {} if answer.data_kind == "METRICS" else answer.data
    metrics = answer.data if answer.data_kind == "METRICS" else answer.get_meta_prop(MetaKey.INITIAL_METRICS)
    return {
        "kind": str(getattr(answer.data_kind, "value", answer.data_kind)),
        "numbers": described + count([arrays, answer.get_meta_prop(HISTOGRAMS_KEY)]),
        "metrics": dict(metrics or {}),
        "patients": answer.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND),
    }


def count(value: Any) -> int:
    """Return how many numbers arrays, lists and tables hold, at any depth."""
    if isinstance(value, np.ndarray):
        return int(value.size)
    if isinstance(value, Mapping):
        return sum(map(count, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(count, value))
    return int(isinstance(value, int | float))
