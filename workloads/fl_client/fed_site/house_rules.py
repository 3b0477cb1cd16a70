"""What a hospital's officers allow any job, however approved: when, which columns and boxes, how often, how
much. Pure.

Rules only forbid. Each answers in words for the job's author that go on after the hospital's name.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from .manifest import BASE, Manifest

DAY = 86_400.0


@final
@dataclass(frozen=True, kw_only=True)
class BoxLimits:
    """What the box of a job may use; never more than the machine has."""

    memory_mb: int = 2048
    """Scratch is part of it."""
    cpus: float | None = None
    """None: all of them, but fewer than the client while both want them."""
    processes: int = 256
    scratch_mb: int = 256
    seconds: int = 600
    """For one answer."""


@final
@dataclass(frozen=True, kw_only=True)
class HouseRules:
    """Without any, nothing more is forbidden."""

    hours: tuple[str, str] | None = None
    """From and to, `HH:MM` in UTC; over midnight where the second is the earlier one."""
    columns: Mapping[str, Sequence[str]] | None = None
    """File -> columns that jobs may read; None: all."""
    boxes: Sequence[str] | None = None
    """Boxes that jobs may run in: `name`, or `name@sha256:...` for one image of that name; None: all."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """`a_day` and `in_all`: how often one code may run."""
    answers: int | None = None
    """How many answers a run may give; None: as many as its manifest announces."""
    limits: BoxLimits = field(default_factory=BoxLimits)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "HouseRules":
        """From the part of the officers' file that its schema has checked. Raises KeyError or TypeError."""
        hours = content.get("hours")
        return cls(
            hours=(str(hours["from"]), str(hours["to"])) if hours else None,
            columns=content.get("columns"),
            boxes=content.get("boxes"),
            runs=content.get("runs") or {},
            answers=content.get("answers"),
            limits=BoxLimits(**content.get("limits") or {}),
        )

    def closed(self, now: float) -> str | None:
        """Whether no job may run at this Unix time."""
        if self.hours is None:
            return None
        begin, end = self.hours
        clock = time.strftime("%H:%M", time.gmtime(now))
        is_open = begin <= clock < end if begin <= end else clock >= begin or clock < end
        return None if is_open else f"lets jobs run from {begin} to {end} UTC alone"

    def forbids(self, data: Mapping[str, Sequence[str]], box: str = BASE, memory_mb: int = 0) -> str | None:
        """Whether a job whose manifest names these columns, this box and this memory asks for more than is
        allowed.
        """
        if memory_mb > self.limits.memory_mb:
            return (
                f"gives a box {self.limits.memory_mb} MB, and this job needs {memory_mb} (memory_mb under"
                " limits in its officers' jobs.json)"
            )
        if self.boxes is not None and not {box, box.partition("@")[0]} & set(self.boxes):
            return f"lets no job run in the box {box[:40]}"
        if self.columns is None:
            return None
        for file, columns in data.items():
            if file not in self.columns:
                return f"lets no job read {file}"
            if more := sorted(set(columns) - set(self.columns[file])):
                return f"lets no job read {', '.join(more[:10])} of {file}"
        return None

    def spent(self, runs: Sequence[float], now: float) -> str | None:
        """Whether code that ran here at these Unix times may not run once more."""
        today = [moment for moment in runs if now - moment < DAY]
        for done, key, words in ((today, "a_day", "in 24 hours"), (runs, "in_all", "in all")):
            most = self.runs.get(key)
            if most is not None and len(done) >= most:
                return f"lets the same code run {most} times {words}, and it has"
        return None

    def announced(self, answers: int) -> str | None:
        """Whether a run that announces so many answers gives more than is allowed."""
        if self.answers is None or answers <= self.answers:
            return None
        return f"lets a run give {self.answers} answers at most, and this one announces {answers}"

    def objection(self, manifest: Manifest, runs: Sequence[float], now: float) -> str | None:
        """Why a job that is approved may not start now; None when it may."""
        return (
            self.closed(now)
            or self.forbids(manifest.data, manifest.box, manifest.memory_mb)
            or self.announced(manifest.answers)
            or self.spent(runs, now)
        )
