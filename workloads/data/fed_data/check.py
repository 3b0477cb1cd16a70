"""A file compared with the schema of its data set, row by row, and written in its one plain form.

Complaints and notes go to the hospital's record: they name columns and line numbers, never a patient's value.
"""

import csv
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, final

from . import parquet
from .schema import DataSet
from .text import Text, UnreadableError
from .values import Values, WrongValueError

MOST_COMPLAINTS = 5
FEW_ROWS = 10
"""Metrics of fewer patients leave no hospital's dashboard."""
PARQUET = ".parquet"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a file is found to be."""

    rows: int | None
    """Rows read, all of them where it is taken; None for what is no table."""
    complaints: tuple[str, ...] = ()
    """Why it is refused, at most MOST_COMPLAINTS."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it is written, and what a person should know although it is taken."""


def check(
    source: Path, name: str, data_set: DataSet, target: TextIO | None = None, scratch: Path | None = None
) -> Checked:
    """Compare a file, CSV or Parquet by the `name` that people know it by, with a data set.

    `target` gets the table in its plain form: UTF-8, commas, columns in the schema's order, one line feed
    after each line, whole numbers as such, nothing for what is missing. Where there are complaints it is
    worth nothing.
    `scratch` is a folder with room for a Parquet file's rows as text.
    """
    try:
        if name.endswith(PARQUET):
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                parquet.to_csv(source, Path(folder) / "table.csv")
                found = _Table(Text(Path(folder) / "table.csv"), data_set, rows_are="row").check(target)
        else:
            found = _Table(Text(source), data_set).check(target)
    except UnreadableError as error:
        found = Checked(rows=0, complaints=(str(error),))
    return Checked(
        rows=found.rows,
        complaints=tuple(f"{name}: {complaint}" for complaint in found.complaints[:MOST_COMPLAINTS]),
        notes=tuple(f"{name}: {note}" for note in found.notes),
    )


@final
class _Table:
    def __init__(self, text: Text, data_set: DataSet, rows_are: str = "line"):
        self._text = text
        self._data_set = data_set
        self._rows_are = rows_are
        """What a complaint counts: lines of a text, or rows."""
        self._rows = 0
        self._complaints: list[str] = []
        self._groups: dict[tuple[str, str], Counter[tuple[str, str]]] = {
            (by, outcome): Counter()
            for by, outcomes in data_set.each_group_of.items()
            for outcome in outcomes
        }
        """(Group column, outcome) -> their values -> rows."""

    def check(self, target: TextIO | None) -> Checked:
        self._complaints = _header_complaints(self._text.header, self._data_set)
        if self._complaints:
            return Checked(rows=0, complaints=tuple(self._complaints))
        commas = self._text.separator != ","
        header, columns = self._text.header, self._data_set.by_name
        values = [Values(columns[name], self._data_set.missing, commas=commas) for name in header]
        self._read(values, _writer(target, header, self._data_set))
        if not self._complaints:
            self._complaints = self._whole_complaints(values)
        spaces = any(one.spaces for one in values) or list(header) != [*map(str.strip, header)]
        notes = [*self._text.notes, *(["spaces around values were removed"] if spaces else [])]
        return Checked(
            rows=self._rows,
            complaints=tuple(self._complaints),
            notes=() if self._complaints else (*notes, *self._group_notes(), *_constant(values)),
        )

    def _read(self, values: Sequence[Values], write: Callable[[Sequence[str]], object]) -> None:
        """Every row, or as many as it takes to have enough complaints."""
        width = len(values)
        place = {name: number for number, name in enumerate(self._text.header)}
        groups = [(place[by], place[outcome], rows) for (by, outcome), rows in self._groups.items()]
        for row in self._text.rows():
            self._rows += 1
            if len(row) != width:
                self._complain(f"{len(row)} fields, expected {width}")
            else:
                try:
                    plain = [column[value] for column, value in zip(values, row, strict=True)]
                except WrongValueError:
                    self._wrong_values(values, row)
                else:
                    write(plain)
                    for by, outcome, rows in groups:
                        rows[plain[by], plain[outcome]] += 1
            if len(self._complaints) >= MOST_COMPLAINTS:
                return

    def _complain(self, what: str) -> None:
        number = self._rows + (1 if self._rows_are == "line" else 0)
        self._complaints.append(f"{self._rows_are} {number}{what if what.startswith(',') else f': {what}'}")

    def _wrong_values(self, values: Sequence[Values], row: Sequence[str]) -> None:
        for column, value in zip(values, row, strict=True):
            try:
                column[value]
            except WrongValueError as error:
                self._complain(f", column {column.column.name}: {error}")

    def _whole_complaints(self, values: Sequence[Values]) -> list[str]:
        if self._rows < self._data_set.minimum_rows:
            return [f"{self._rows} rows, at least {self._data_set.minimum_rows} are needed"]
        return [
            f"column {one.column.name} is never {value}"
            for one in values
            if one.column.name in self._data_set.every_value_of
            for value in one.column.possible
            if value not in one.present
        ]

    def _group_notes(self) -> list[str]:
        """What a person should know of rows to train or measure on, although they are taken."""
        notes: dict[str, None] = {}
        for (by, outcome), rows in self._groups.items():
            for group in self._data_set.by_name[by].possible:
                of_group = [value for value in self._data_set.by_name[outcome].possible if rows[group, value]]
                for value in self._data_set.by_name[outcome].possible:
                    if value not in of_group:
                        what = "what compares the two cannot be computed here"
                        notes[f"no {group} row has {outcome} {value}: {what}"] = None
                if 0 < sum(rows[group, value] for value in of_group) < FEW_ROWS:
                    notes[f"fewer than {FEW_ROWS} rows have {by} {group}"] = None
        return list(notes)


def _header_complaints(header: Sequence[str], data_set: DataSet) -> list[str]:
    names = [column.name for column in data_set.columns]
    missing = [f"column {name} is missing" for name in names if name not in header]
    twice = [f"column {name} is there {header.count(name)} times" for name in names if header.count(name) > 1]
    # Not named: a wrong header may hold anything, also a patient's values when the header line is missing.
    unknown = [number for number, name in enumerate(header, start=1) if name not in names]
    where = ", ".join(map(str, unknown[:MOST_COMPLAINTS])) + (" ..." if unknown[MOST_COMPLAINTS:] else "")
    said = f"{len(unknown)} column(s) that the schema does not have, counted from the left: {where}"
    return missing + twice + ([said] if unknown else [])


def _writer(
    target: TextIO | None, header: Sequence[str], data_set: DataSet
) -> Callable[[Sequence[str]], object]:
    """What takes a row in the file's order and writes it in the schema's."""
    if target is None:
        return lambda row: None
    write = csv.writer(target, lineterminator="\n").writerow
    names = [column.name for column in data_set.columns]
    write(names)
    order = [header.index(name) for name in names]
    if order == list(range(len(order))):
        return write
    return lambda row: write([row[place] for place in order])


def _constant(values: Sequence[Values]) -> list[str]:
    return [
        f"column {one.column.name} {'is empty' if '' in one.present else 'has one value only'}"
        for one in values
        if len(one.present) == 1
    ]
