"""A deployment's resources in time, as a file that the next command can read."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from automation.ui.outcome import FedError, RefusedError
from clone import paths


class Step(BaseModel):
    """One resource that was created, updated, replaced or deleted.

    `began` and `ended` are seconds since the run began; `after` are the resources that it depends on.
    """

    model_config = ConfigDict(frozen=True)

    urn: str
    name: str
    type: str
    party: str
    done: str
    began: float
    ended: float
    after: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Run(BaseModel):
    """A deployment from its first request to its last answer; `at` is when it began."""

    model_config = ConfigDict(frozen=True)

    stack: str
    on: str
    at: dt.datetime
    steps: tuple[Step, ...]

    @property
    def seconds(self) -> float:
        """From the first resource's beginning to the last one's end."""
        return max(step.ended for step in self.steps) - min(step.began for step in self.steps)

    def keep(self) -> None:
        """Write it in place of the stack's run before; one that changed nothing leaves that one."""
        if self.steps:
            paths.write_private(_file(self.stack, self.on), self.model_dump_json().encode())


def last(stack: str, on: str) -> Run:
    """Return a stack's last run that changed something.

    Raises RefusedError when this clone has made none, FedError when its file cannot be read.
    """
    file = _file(stack, on)
    if not file.exists():
        where = "" if on == "emulator" else f" --on {on}"
        raise RefusedError(
            f"this clone has kept no run of {stack} on {on}: only what changes something is kept.\n"
            f"Fix: ./fed up {stack}{where}"
        )
    try:
        return Run.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise FedError(
            f"{file} cannot be read: {error.errors()[0]['msg']}. It tells how long the last deployment took, "
            f"nothing else.\nFix: rm {file}; the next deployment writes it again."
        ) from error


def forget(stack: str, on: str) -> None:
    """Remove a stack's last run and its picture, where there are any."""
    for file in (_file(stack, on), page(stack, on)):
        file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # another stack's is there, or nothing was
        _file(stack, on).parent.rmdir()


def page(stack: str, on: str) -> Path:
    """Return the file for the picture of a stack's last run."""
    return _file(stack, on).with_suffix(".html")


def _file(stack: str, on: str) -> Path:
    return paths.home() / "timelines" / f"{stack}-{on}.json"
