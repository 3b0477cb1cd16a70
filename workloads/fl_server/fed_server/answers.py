"""What one hospital answers in one round, read as hostile: one hospital must not void everybody's job.

Pure. An answer that is not as it must be is refused whole, with a reason that names what is wrong; the round
goes on with the others. Texts are shown to people: they are cut and lose whatever is not printable.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fed_server.contribution import Contribution

Array = NDArray[np.float64]

LARGEST = 1e6
"""No number of an update or a metric is larger: models and targets are kept around one (docs/jobs.md)."""
LONGEST = 1000.0
"""No update is longer (L2 norm over all its numbers): no hospital's officers can let out more
(container_server/schemas/airlock.schema.json).
"""
MOST_PATIENTS = 1e9
MOST_METRICS = 100
MOST_CELLS = 1000
MOST_TAGS = 10
LONGEST_NAME = 100
LONGEST_TEXT = 200
_ROUNDING = 1e-6
COUNTS = ("n_test", "n_train")
"""Metrics that are numbers of patients."""

WEIGHT_DIFF = "WEIGHT_DIFF"
STEPS = "NUM_STEPS_CURRENT_ROUND"
METRICS = "initial_metrics"
HISTOGRAMS = "score_histograms"
"""As in an answer: NVFlare's DataKind.WEIGHT_DIFF and MetaKey, and this platform's key of histograms."""


ANSWER = "fed_answer"
REFUSAL = "fed_why_refused"
"""Properties of NVFlare's context in which an answer was judged: an Answer, or why it is refused."""


AIRLOCK = "fed_refusal"
"""Header of an error with which a hospital's airlock says why it kept an answer back."""


class AnswerRefusedError(ValueError):
    """An answer that does not count; the message completes "its answer is dropped: "."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What an answer must be."""

    shapes: Mapping[str, tuple[int, ...]]
    """Of the model's arrays that were sent out."""
    longest: float = LONGEST
    """What an update may be long."""
    rows: float | None = None
    """Patients that the hospital's container server counted; None where it could count none."""
    metrics: tuple[str, ...] = ()
    """Without these the answer is worth nothing to the job."""
    histograms: Mapping[str, int] = field(default_factory=dict)
    """Name -> number of cells."""
    shares: tuple[str, ...] = ()
    """Metrics that are between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One hospital's answer in one round."""

    update: Mapping[str, Array]
    """The difference to the model that was sent."""
    patients: float
    """How many patients it says it was made from; at most those that were counted."""
    sent: Contribution
    """Everything besides the update; a metric that the hospital named without a number is not in it."""


def read(kind: Any, data: Any, meta: Mapping[str, Any], expected: Expected) -> Answer:
    """An answer of NVFlare's (a DXO's kind, data and meta). Raises AnswerRefusedError."""
    if kind != WEIGHT_DIFF:
        raise AnswerRefusedError(f"it is {_shown(kind)}, expected a difference of weights ({WEIGHT_DIFF})")
    return Answer(
        update=_bounded(_update(data, expected.shapes), expected.longest),
        patients=_patients(STEPS, meta.get(STEPS, 1), expected.rows, least=1.0),
        sent=read_sent(meta, expected),
    )


def read_sent(meta: Mapping[str, Any], expected: Expected) -> Contribution:
    """What an answer holds besides its update. Raises AnswerRefusedError."""
    return Contribution(
        _metrics(meta.get(METRICS), expected), _histograms(meta.get(HISTOGRAMS), expected), _tags(meta)
    )


UNSAFE_JOB = "UNSAFE_JOB"
"""The return code with which a hospital's client says that it ended the job (fed_site/withdrawal.py)."""


def error_text(code: Any, airlock: Any) -> str:
    """What an error in place of an answer says, for the job's author: the airlock's words, if it has any."""
    if isinstance(airlock, str):
        return f"its airlock let nothing out: {printable(airlock)}"
    if code == UNSAFE_JOB:
        return "the hospital no longer approves the job's code, and ended it there"
    return f"its task ended with {printable(code)}: its own log says why"


def printable(text: Any) -> str:
    """A foreign text as it may be shown: one line, cut, without control characters."""
    kept = "".join(letter if letter.isprintable() else " " for letter in str(text)[: 2 * LONGEST_TEXT])
    return kept[:LONGEST_TEXT]


def _update(data: Any, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, Array]:
    if not isinstance(data, Mapping) or set(data) != set(shapes):
        found = sorted(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise AnswerRefusedError(f"its arrays are {_shown(found)}, expected {_shown(sorted(shapes))}")
    return {name: _array(name, data[name], shape) for name, shape in shapes.items()}


def _bounded(update: Mapping[str, Array], longest: float) -> Mapping[str, Array]:
    length = math.sqrt(sum(float((array**2).sum()) for array in update.values()))
    if length > longest:
        raise AnswerRefusedError(f"its difference is {length:.3g} long, at most {longest:g} is taken")
    return update


def _array(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise AnswerRefusedError(f"{name} is {type(value).__name__}, expected an array of numbers")
    if value.shape != shape:
        raise AnswerRefusedError(f"{name} has the shape {value.shape}, expected {shape}")
    numbers = value.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise AnswerRefusedError(f"{name} holds what is no finite number")
    if numbers.size and np.abs(numbers).max() > LARGEST:
        raise AnswerRefusedError(f"{name} holds {np.abs(numbers).max():.3g}, at most {LARGEST:g} is taken")
    return numbers


def _patients(name: str, value: Any, rows: float | None, least: float = 0.0) -> float:
    number = _number(name, value, MOST_PATIENTS)
    if number < least:
        raise AnswerRefusedError(f"{name} is {number:g}, expected {least:g} or more")
    if rows is not None and number > rows:
        raise AnswerRefusedError(f"{name} is {number:g}, its container server counted {rows:g} patients")
    return number


def _metrics(given: Any, expected: Expected) -> dict[str, float]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or len(given) > MOST_METRICS:
        raise AnswerRefusedError(f"its metrics are not a table of at most {MOST_METRICS} numbers")
    metrics = {}
    for name, value in given.items():
        if not isinstance(name, str) or len(name) > LONGEST_NAME or printable(name) != name:
            raise AnswerRefusedError(f"a metric is named {_shown(name)}")
        if name in COUNTS:
            metrics[name] = _patients(name, value, expected.rows)
        elif not (isinstance(value, float) and math.isnan(value)):  # that is left blank
            metrics[name] = _number(name, value)
        if name in expected.shares and not 0 <= metrics.get(name, 0) <= 1:
            raise AnswerRefusedError(f"{name} is {metrics[name]:g}, expected 0 to 1")
    if missing := [name for name in expected.metrics if name not in metrics]:
        raise AnswerRefusedError(f"the metric {missing[0]} is missing")
    return metrics


def _number(name: str, value: Any, largest: float = LARGEST) -> float:
    if not _is_number(value):
        raise AnswerRefusedError(f"{name} is {_shown(value)}, expected a number")
    if not abs(value) <= largest:
        raise AnswerRefusedError(
            f"{name} is {_shown(value)}, expected a finite number of at most {largest:g}"
        )
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _histograms(given: Any, expected: Expected) -> dict[str, list[float]]:
    given = {} if given is None else given
    if not isinstance(given, Mapping) or len(given) > MOST_METRICS:
        raise AnswerRefusedError("its histograms are not a table of lists of counts")
    if missing := sorted(set(expected.histograms) - set(given)):
        raise AnswerRefusedError(f"the histogram {missing[0]} is missing")
    return {
        printable(name): _counts(printable(name), counts, expected.histograms.get(name), expected.rows)
        for name, counts in given.items()
    }


def _counts(name: str, given: Any, cells: int | None, rows: float | None) -> list[float]:
    if not isinstance(given, list | tuple) or len(given) > MOST_CELLS:
        raise AnswerRefusedError(f"the histogram {name} is no list of at most {MOST_CELLS} counts")
    if cells is not None and len(given) != cells:
        raise AnswerRefusedError(f"the histogram {name} has {len(given)} cells, expected {cells}")
    counts = [_patients(f"a cell of {name}", count, rows) for count in given]
    if rows is not None and sum(counts) > rows + _ROUNDING:
        raise AnswerRefusedError(f"the histogram {name} counts {sum(counts):g} of {rows:g} patients")
    return counts


def _tags(meta: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: value for name, value in meta.items() if isinstance(name, str) and isinstance(value, str)}
    kept = sorted(texts)[:MOST_TAGS]
    return {printable(name)[:LONGEST_NAME]: printable(texts[name]) for name in kept}


def _shown(value: Any) -> str:
    try:
        return printable(repr(value))[:80]
    except ValueError:  # a whole number of more digits than Python writes
        return f"a {type(value).__name__} without end"
