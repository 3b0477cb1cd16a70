"""What a box answers, checked and typed: hostile until then. Pure, no NVFlare."""

import builtins
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from fed_box.channel import ChannelError, Frame
from numpy.typing import NDArray

MOST_METRICS = 1000
MOST_CELLS = 10_000
LONGEST_NAME = 200
ERRORS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
)
"""The classes of an error that are named; a class of a script's own could be named after its patients."""


@final
@dataclass(frozen=True, kw_only=True)
class BoxError:
    """Why a box gave no answer: `kind` is one of ERRORS, or a sentence of ours below.

    `file` is one of the job's own files and `line` a line of it; None where the error is not in them.
    """

    kind: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return self.kind if self.file is None else f"{self.kind} at {self.file}, line {self.line}"


LATE = BoxError(kind="no answer within the hospital's time limit")
ENDED = BoxError(kind="the script ended without an answer")
FORM = BoxError(kind="an answer that is in no form of the channel's")
NO_BOX = BoxError(kind="no box")
TASK = BoxError(kind="a model that no box takes: too large, or no arrays of numbers with plain names")
"""Of the centre's, not of the script's."""
KINDS = ERRORS | {error.kind for error in (LATE, ENDED, FORM, NO_BOX, TASK)}
"""Every `kind` that there is."""


class BoxFailedError(Exception):
    """There is no answer; `args[0]` is a BoxError."""

    def __init__(self, error: BoxError):
        super().__init__(error)
        self.error = error


@final
@dataclass(frozen=True, kw_only=True)
class BoxAnswer:
    """An answer of the right types; what of it may leave is decided elsewhere (filters.py)."""

    params: str | None
    """FULL or DIFF; None for metrics alone."""
    arrays: Mapping[str, NDArray[Any]]
    metrics: Mapping[str, float]
    histograms: Mapping[str, list[float]] | None = None
    patients: float | None = None
    patient_change: float | None = None


_KEYS = {"params", "metrics", "histograms", "patients", "patient_change"}


def read(frame: Frame, lines: Mapping[str, int]) -> BoxAnswer:
    """The answer in a frame. `lines` are the job's files and how many lines each has.

    Raises BoxFailedError for an error of the script's, ChannelError for anything else.
    """
    if frame.kind == "error":
        raise BoxFailedError(_error(frame.values, lines))
    values = frame.values
    if frame.kind != "answer" or set(values) != _KEYS or values["params"] not in ("FULL", "DIFF", None):
        raise ChannelError("neither an answer nor an error")
    if values["params"] is None and frame.arrays:
        raise ChannelError("arrays without saying what they are")
    return BoxAnswer(
        params=values["params"],
        arrays=frame.arrays,
        metrics=_metrics(values["metrics"]),
        histograms=None if values["histograms"] is None else _histograms(values["histograms"]),
        patients=_number_or_none(values["patients"]),
        patient_change=_number_or_none(values["patient_change"]),
    )


def _error(values: Mapping[str, Any], lines: Mapping[str, int]) -> BoxError:
    kind, file, line = (values.get(name) for name in ("error", "file", "line"))
    known = kind if isinstance(kind, str) and kind in ERRORS else "Exception"
    if isinstance(file, str) and file in lines and type(line) is int and 1 <= line <= lines[file]:
        return BoxError(kind=known, file=file, line=line)
    return BoxError(kind=known)


def _metrics(given: Any) -> dict[str, float]:
    return {_name(name): _number(value) for name, value in _few(given).items()}


def _histograms(given: Any) -> dict[str, list[float]]:
    return {_name(name): _counts(cells) for name, cells in _few(given).items()}


def _few(given: Any) -> Mapping[Any, Any]:
    if not isinstance(given, dict) or len(given) > MOST_METRICS:
        raise ChannelError(f"no table of at most {MOST_METRICS} entries")
    return given


def _name(name: Any) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise ChannelError("a name that is not plain")
    return name


def _counts(cells: Any) -> list[float]:
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise ChannelError(f"no list of at most {MOST_CELLS} numbers")
    return [_number(cell) for cell in cells]


def _number_or_none(value: Any) -> float | None:
    return None if value is None else _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ChannelError("a value that is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ChannelError("a number without end") from error
    if not math.isfinite(number):
        raise ChannelError("a number that is not finite")
    return number
