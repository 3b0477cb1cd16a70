"""What of a job's answer may leave a hospital: rules over numbers, closed by default. Pure, no NVFlare.

Three kinds of numbers leave: the difference that a round of training made to the model that was sent,
metrics, and histograms of scores whose small cells are spread. Everything else is refused with a sentence of
`Refusal`, which is all that the job's author at the centre learns, but for the place of an error in his own
code: fixed text, so that no data can travel in a reason.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from numbers import Real
from typing import Any, TypeGuard, final

import numpy as np
from numpy.typing import NDArray

from fed_site.box_answer import KINDS
from fed_site.manifest import shape_in_words
from fed_site.small_cells import spread

Model = Mapping[str, NDArray[Any]]
"""Name of a parameter -> its numbers."""
Noise = Callable[[int], NDArray[np.float64]]
"""Draws so many numbers, once an answer is sure to leave."""

_AGREED = "; a box has the files and columns alone that job.yaml names under data"
"""What helps an author whose code looks for another column, or another file, of a hospital's."""
_FILE = re.compile(r"[A-Za-z0-9_./-]{1,80}\.py")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9 _./@=-]{0,39}")


class Refusal(Enum):
    """Why an answer stays at the hospital, in words for the job's author."""

    NO_DXO = "the answer has to be a DXO: a difference of weights, metrics or NVFlare's statistics"
    KIND = (
        "an answer of this kind never leaves: have the job send WEIGHT_DIFF, METRICS or NVFlare's statistics"
    )
    WHOLE_WEIGHTS = (
        "whole weights leave as their difference to the model that was sent, and none was seen with this"
        " task: have the job send WEIGHT_DIFF (params_transfer_type=TransferType.DIFF)"
    )
    NOISE = (
        "this hospital adds noise, and only to differences of a model that came with the task (WEIGHTS): none"
        " was seen"
    )
    NOT_NUMBERS = "every parameter of a difference has to be an array of numbers"
    NOT_FINITE = "a parameter of the difference is not finite (NaN or infinite)"
    OTHER_MODEL = "the difference has other names or shapes than the model that was sent"
    UNANNOUNCED = "the difference has other names or shapes than the model in the job's manifest"
    TOO_LARGE = "the difference has more parameters than may leave without a model that was sent"
    NO_PATIENTS = (
        "this hospital cannot count its patients (no CSV file with rows), so no difference may leave"
    )
    STATED_PATIENTS = "the number of patients (NUM_STEPS_CURRENT_ROUND) has to be a whole number above 0"
    HISTOGRAMS = (
        "score_histograms has to be a few lists of whole numbers that count no more than all patients, with"
        " as many cells as the job's manifest says"
    )
    STATISTICS = "the statistics are not in the form in which NVFlare's statistics executor sends them"
    POLICY = (
        "this hospital's own policy for its airlock is missing or cannot be read: nothing leaves until it can"
    )
    SPENT = (
        "this hospital's privacy budget, or what the job's study may use of it, is spent: no difference"
        " leaves until its officers allow more"
    )
    STUDY = (
        "this hospital has a privacy budget for certain studies, and the job's (study in job.yaml) is none of"
        " them: no difference leaves until its officers name it"
    )
    ANSWERS = (
        "this run has given all the answers that its manifest announces (rounds, and what it measures"
        " besides; those that stayed count): no more leaves"
    )
    LEDGER = "the hospital's ledger of what left before cannot be used: somebody has to look at its log"
    RETURN_CODE = "the job's code at the hospital ended with an error: its log is at the hospital"


@final
class RefusedError(ValueError):
    """An answer that this hospital does not let out; `more` is what `place` allows."""

    def __init__(self, refusal: Refusal, more: str = ""):
        super().__init__(f"{refusal.value} ({more})" if more else refusal.value)
        self.refusal = refusal


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may leave in one answer."""

    longest: float = 1.0
    """A difference longer than this (L2 norm over all its numbers) is scaled down to it (McMahan and others
    2018, "Learning differentially private recurrent language models"). `heart` stays below 0.7.
    """
    smallest_share: float = 0.1
    """The smallest numbers of a difference, this share of them, are set to 0 (Shokri and Shmatikov 2015,
    "largest percentile to share", as in NVFlare's PercentilePrivacy).
    """
    digits: int = 3
    """Significant digits of a difference's numbers; with `floor` some 14 bits a number instead of 64."""
    floor: float = 1e-6
    """Smaller numbers of a difference become 0."""
    metric_digits: int = 4
    metric_decimals: int = 6
    """No metric is finer, whatever its size."""
    metric_most: float = 1e6
    """Larger metrics are left out; the server takes none (fed_server/answers.py)."""
    metrics: int = 64
    histograms: int = 4
    histogram_cells: int = 50
    min_cell: int = 5
    """Fewer patients than this in a histogram's cell are spread over its neighbours."""
    unknown_parameters: int = 100
    """Arrays in a difference for a model that was not seen when it was sent."""
    unknown_numbers: int = 1_000_000


def difference(
    data: Mapping[Any, Any],
    sent: Model | None,
    limits: Limits,
    *,
    whole: bool = False,
    noise: Noise | None = None,
    announced: Mapping[str, str] | None = None,
) -> dict[str, NDArray[Any]]:
    """The difference as it may leave: no longer than allowed, with noise, its smallest tenth 0, rounded.

    `sent` is the model that was sent this round, None where that was not seen; where `data` are the `whole`
    weights, it is subtracted. `announced` are the arrays of the job's manifest, with their shapes in its
    words: what officers approved bounds what leaves, whatever the centre sends. Raises RefusedError for
    anything but finite numbers of these names and shapes.
    """
    arrays = {name: _array(value) for name, value in data.items()}
    if not arrays:
        raise RefusedError(Refusal.NOT_NUMBERS)
    if sent is None:
        if whole or noise:
            raise RefusedError(Refusal.WHOLE_WEIGHTS if whole else Refusal.NOISE)
        _check_unknown(arrays, limits)
    elif _shapes(arrays) != _shapes(sent):
        raise RefusedError(Refusal.OTHER_MODEL)
    elif whole:
        arrays = {name: _subtracted(array, sent[name]) for name, array in arrays.items()}
    said = {name: shape_in_words(array.shape) for name, array in arrays.items()}
    if announced not in (None, said):
        raise RefusedError(Refusal.UNANNOUNCED)
    like = dict(sorted(arrays.items())) if sent is None else sent  # neither order nor types are the job's
    numbers = np.concatenate([arrays[name].ravel().astype(np.float64) for name in like])
    numbers *= min(1.0, limits.longest / (length(numbers) or 1.0))
    if noise:
        numbers += noise(numbers.size)
    smallest = np.quantile(np.abs(numbers), limits.smallest_share)
    numbers[np.abs(numbers) < max(smallest, limits.floor)] = 0.0
    return _in_shape(rounded(numbers, limits.digits), like)


def length(numbers: NDArray[np.float64]) -> float:
    """The L2 norm; also where the squares are larger than numbers can be."""
    largest = float(np.abs(numbers).max()) or 1.0
    return largest * float(np.linalg.norm(numbers / largest))


def _in_shape(numbers: NDArray[np.float64], like: Model) -> dict[str, NDArray[Any]]:
    ends = np.cumsum([array.size for array in like.values()])[:-1]
    parts = zip(like.items(), np.split(numbers, ends), strict=True)
    return {str(name): part.reshape(array.shape).astype(_type(array)) for (name, array), part in parts}


def _type(array: NDArray[Any]) -> Any:
    """The type of a difference of such an array."""
    return array.dtype if array.dtype.kind == "f" else np.float64


def _subtracted(array: NDArray[Any], sent: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # what is too large for a number is infinite, and refused
        return _array(array - sent)


def _shapes(model: Model) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in model.items()}


def _check_unknown(arrays: Mapping[Any, NDArray[Any]], limits: Limits) -> None:
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in arrays):
        raise RefusedError(Refusal.OTHER_MODEL)
    numbers = sum(array.size for array in arrays.values())
    if len(arrays) > limits.unknown_parameters or numbers > limits.unknown_numbers:
        raise RefusedError(Refusal.TOO_LARGE)


def _array(value: Any) -> NDArray[Any]:
    if not isinstance(value, np.ndarray | np.generic | Real) or isinstance(value, bool):
        raise RefusedError(Refusal.NOT_NUMBERS)
    array = np.asarray(value)
    if array.dtype.kind not in "fiu" or not array.size:
        raise RefusedError(Refusal.NOT_NUMBERS)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise RefusedError(Refusal.NOT_FINITE)
    return array


def rounded(values: NDArray[Any], digits: int) -> NDArray[np.float64]:
    """Values with that many significant digits."""
    wide = np.asarray(values, dtype=np.float64)
    size = np.where(wide == 0, 1.0, np.abs(wide))
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(size)))
    result: NDArray[np.float64] = np.round(wide * scale) / scale
    return result


def patients_of(stated: Any, own: int) -> int | None:
    """The number of patients that an answer may count as: the job's, at most the hospital's own.

    None when the job states none. Raises RefusedError for anything but a whole number above 0.
    """
    if stated is None:
        return None
    if not is_number(stated) or stated < 1 or stated != int(stated):
        raise RefusedError(Refusal.STATED_PATIENTS)
    return min(int(stated), own)


def metrics(given: Any, limits: Limits, names: frozenset[str] | None = None) -> dict[str, float]:
    """The metrics that may leave, rounded: finite single numbers with short names, the first so many by name.

    What is not one is left out by itself. `names` are those that the job's manifest announces, None for a job
    without.
    """
    if not isinstance(given, Mapping):
        return {}
    known = {
        name: float(value)
        for name, value in given.items()
        if isinstance(name, str) and _NAME.fullmatch(name) and (names is None or name in names)
        if is_number(value) and abs(value) <= limits.metric_most
    }
    few = sorted(known)[: limits.metrics]
    return {name: _metric(known[name], limits) for name in few}


def _metric(value: float, limits: Limits) -> float:
    if value == int(value):  # perhaps a number of patients: never more than there are
        unit = 10 ** max(0, len(str(abs(int(value)))) - limits.metric_digits)
        return float(int(value / unit) * unit)
    if abs(value) < 10.0**-limits.metric_decimals / 2:
        return 0.0
    return round(float(rounded(np.array(value), limits.metric_digits)), limits.metric_decimals)


def histograms(
    given: Any, patients: int, limits: Limits, announced: Mapping[str, int | None] | None = None
) -> dict[str, list[float]]:
    """Histograms whose small cells are spread over their neighbours; `announced` are the manifest's cells.

    Raises RefusedError.
    """
    if not isinstance(given, Mapping) or len(given) > limits.histograms:
        raise RefusedError(Refusal.HISTOGRAMS)
    if any(cells not in (None, len(given[name])) for name, cells in _said(given, announced)):
        raise RefusedError(Refusal.HISTOGRAMS)
    counts = {name: _counts(name, cells, limits) for name, cells in given.items()}
    if sum(sum(cells) for cells in counts.values()) > patients:
        raise RefusedError(Refusal.HISTOGRAMS)
    return {name: spread(cells, limits.min_cell) for name, cells in counts.items()}


def _said(
    given: Mapping[Any, Any], announced: Mapping[str, int | None] | None
) -> list[tuple[Any, int | None]]:
    """The lists that are announced, each with its number of cells."""
    said = {} if announced is None else announced
    return [(name, said.get(name)) for name, cells in given.items() if isinstance(cells, list | tuple)]


def _counts(name: Any, cells: Any, limits: Limits) -> list[float]:
    whole = isinstance(cells, list | tuple) and len(cells) <= limits.histogram_cells
    if not whole or not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RefusedError(Refusal.HISTOGRAMS)
    if not all(is_number(cell) and cell >= 0 and cell == int(cell) for cell in cells):
        raise RefusedError(Refusal.HISTOGRAMS)
    return [float(cell) for cell in cells]


def place(error: Any) -> str:
    """`ValueError at my_job/train.py, line 12`, of an error of the job's own code.

    With it goes what a box has, where the code looks for what is not there.

    `error` has `kind`, and `file` and `line` where they are known. Nothing for what is not in this form: no
    message of an error ever leaves.
    """
    if not isinstance(error, Mapping):
        return ""
    kind, file, line = (error.get(name) for name in ("kind", "file", "line"))
    if not isinstance(kind, str) or kind not in KINDS:
        return ""
    known = isinstance(file, str) and _FILE.fullmatch(file) and type(line) is int and 0 < line < 100_000
    hint = _AGREED if kind in ("KeyError", "FileNotFoundError") else ""
    return (f"{kind} at {file}, line {line}" if known else kind) + hint


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a single finite number, of Python's or of numpy's."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
