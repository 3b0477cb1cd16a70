"""A table that a model is asked about: read with its data set's rules, and written with what the model says.

A row that cannot be read is named with its column and the rule, and gets no score; the others do.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from fed_data.schema import Column, DataSet
from fed_data.text import Text, UnreadableError
from fed_data.values import MISSING, Values, WrongValueError

from container_server.errors import RefusedInputError, TransientError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PROBLEM = "problem"
"""Column of the answer: why a row has no score."""
MOST_ROWS = 500_000
_NONE = "the model gives no number for it"


class ScoreTableError(RefusedInputError):
    """A table that no model can be asked about; the text names columns and no value."""


class NoScoresError(TransientError):
    """There are no scores yet; the text says why, for the hospital's people."""


class ModelFailedError(RefusedInputError):
    """The model's code fails, or answers with something else than numbers: so it would again."""


@final
@dataclass(frozen=True, kw_only=True)
class ScoreTable:
    """Rows in the file's order."""

    kept: Sequence[str]
    """Columns that the model does not read, which come back as they are: a patient's number, say."""
    rows: Sequence[Sequence[str]]
    """Of each row the values of `kept`."""
    good: Sequence[int]
    """Numbers of the rows, from 0, that the model is asked about."""
    values: Mapping[str, Sequence[float]]
    """Input -> of each good row its value, NaN where unknown."""
    problems: Mapping[int, str]
    """Row -> why the model is not asked about it."""

    @classmethod
    def read(cls, path: Path, inputs: Sequence[str], output: str, known: DataSet | None) -> "ScoreTable":
        """`known` is the data set that the model was trained on. Raises ScoreTableError."""
        try:
            return _read(Text(path), inputs, output, known)
        except UnreadableError as error:
            raise ScoreTableError(f"it cannot be read: {error}") from error

    def arrays(self) -> "dict[str, NDArray[np.float64]]":
        """Input -> values of shape (good rows,)."""
        import numpy as np  # noqa: PLC0415 - 25 MB of memory that a hospital without scores does not need

        return {name: np.asarray(column, dtype=np.float64) for name, column in self.values.items()}

    def answered(self, output: str, scores: Sequence[float]) -> tuple[bytes, int]:
        """The answer as CSV, and how many rows have a score; `scores` are of the good rows, in order."""
        said = dict(zip(self.good, scores, strict=True))
        written = io.StringIO(newline="")
        write = csv.writer(written, lineterminator="\n").writerow
        write([*self.kept, output, PROBLEM])
        for number, row in enumerate(self.rows):
            score = said.get(number, math.nan)
            shown = repr(round(score, 6)) if math.isfinite(score) else ""
            write([*row, shown, "" if shown else self.problems.get(number, _NONE)])
        return written.getvalue().encode(), sum(map(math.isfinite, said.values()))


def _read(text: Text, inputs: Sequence[str], output: str, known: DataSet | None) -> ScoreTable:
    header = list(text.header)
    _check_header(header, inputs, output)
    commas = text.separator != ","
    missing = known.missing if known else MISSING
    columns = {name: Values(_column(name, known), missing, commas=commas) for name in inputs}
    places = {name: header.index(name) for name in inputs}
    kept = [place for place, name in enumerate(header) if name not in places]
    rows: list[list[str]] = []
    values: dict[str, list[float]] = {name: [] for name in inputs}
    good: list[int] = []
    problems: dict[int, str] = {}
    for number, row in enumerate(text.rows()):
        if number == MOST_ROWS:
            raise ScoreTableError(f"it has more than {MOST_ROWS} rows. Fix: several files")
        rows.append([row[place] if place < len(row) else "" for place in kept])
        if len(row) != len(header):
            problems[number] = f"{len(row)} fields, expected {len(header)}"
            continue
        found = {name: _number(columns[name], row[place]) for name, place in places.items()}
        wrong = [f"{name}: {said}" for name, said in found.items() if isinstance(said, str)]
        if wrong:
            problems[number] = "; ".join(wrong)
            continue
        good.append(number)
        for name, value in found.items():
            values[name].append(float(value))
    return ScoreTable(
        kept=[header[place] for place in kept], rows=rows, good=good, values=values, problems=problems
    )


def _check_header(header: Sequence[str], inputs: Sequence[str], output: str) -> None:
    wrong = [f"column {name} is missing" for name in inputs if name not in header]
    wrong += [
        f"column {name} is there {header.count(name)} times" for name in inputs if header.count(name) > 1
    ]
    wrong += [f"column {name} has the name of an answer's" for name in (output, PROBLEM) if name in header]
    if wrong:
        raise ScoreTableError("; ".join(wrong[:5]))


def _number(column: Values, raw: str) -> float | str:
    """A value, NaN where it is missing, or what is wrong with it."""
    try:
        plain = column[raw]
    except WrongValueError as error:
        return str(error)
    return float(plain) if plain else math.nan


def _column(name: str, known: DataSet | None) -> Column:
    """The rules of a column: the data set's where it is one of numbers there, else any number may be."""
    own = known.by_name.get(name) if known else None
    if own and own.type in ("integer", "number", "boolean"):
        return own
    return Column(
        name=name,
        type="number",
        title=name,
        unit="",
        required=False,
        minimum=-math.inf,
        maximum=math.inf,
        listed=(),
        labels={},
        true=(),
        false=(),
    )
