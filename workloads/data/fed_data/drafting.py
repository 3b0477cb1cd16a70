"""A first schema from a hospital's own file, for a person to edit. Nothing in it speaks of few patients.

Ranges are those of the middle of the values, made wider and round; values that few patients have are left out
of lists; texts that are not few are never listed. So a draft may leave the hospital before the data may.
"""

import math
import re
from bisect import insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from .schema import Column, Type
from .text import Text, UnreadableError
from .values import MISSING, Values, WrongValueError

FEW: Final = 10
"""Patients behind whatever the draft says."""
MOST_LISTED: Final = 12
"""Different values of a column that is a list of categories."""
MINIMUM_ROWS: Final = 20
_SPLIT: Final = "split"
_TYPES: Final[tuple[Type, ...]] = ("integer", "number", "date", "string")
"""From the narrowest on; the first that every value fits."""
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")
_MANY: Final = 5000
"""Different values after which a column's are not counted any more."""


@final
@dataclass(frozen=True, kw_only=True)
class Draft:
    """A data package, and what a person should look at before it is used."""

    package: dict[str, Any]
    remarks: tuple[str, ...]


def draft(source: Path, name: str) -> Draft:
    """The draft of a CSV file for the data set `name`. Raises UnreadableError."""
    text = Text(source)
    if any(not one or _NUMBER.fullmatch(one) for one in text.header):
        raise UnreadableError("the first line has numbers or gaps where names of columns are expected")
    if len(set(text.header)) < len(text.header):
        raise UnreadableError("a column's name is there twice")
    columns = [_Drafted(one, commas=text.separator != ",") for one in text.header]
    rows = 0
    for rows, row in enumerate(text.rows(), start=1):
        if len(row) != len(columns):
            raise UnreadableError(f"line {rows + 1}: {len(row)} fields, expected {len(columns)}")
        for column, value in zip(columns, row, strict=True):
            column.meet(value.strip())
    if rows < MINIMUM_ROWS:
        raise UnreadableError(
            f"{rows} rows: {MINIMUM_ROWS} are needed, so that what is drafted speaks of no patient"
        )
    remarks = [f"{column.name}: {remark}" for column in columns for remark in column.remarks(rows)]
    return Draft(package=_package(name, columns), remarks=tuple(remarks))


def _package(name: str, columns: Sequence["_Drafted"]) -> dict[str, Any]:
    table: dict[str, Any] = {
        "fieldsMatch": "equal",
        "missingValues": ["", *sorted({word for column in columns for word in column.words} - {""})],
        "fields": [column.field() for column in columns],
        "fed:minimumRows": MINIMUM_ROWS,
    }
    if any(column.name == _SPLIT and column.listed for column in columns):
        table["fed:everyValueOf"] = [_SPLIT]
        table["fed:eachGroupOf"] = {_SPLIT: []}
    return {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "name": name,
        "title": f"{name}: say in a line what a row is",
        "version": "0.1",
        "resources": [{"name": name, "path": f"{name}.csv", "schema": table}],
    }


@final
class _Drafted:
    """What is learnt of a column, value by value."""

    def __init__(self, name: str, *, commas: bool):
        self.name = name
        self.words: set[str] = set()
        """How missing values are written."""
        self._missing = 0
        self._readers = {one: Values(_any(name, one), frozenset(), commas=commas) for one in _TYPES}
        """The types that every value fits so far."""
        self._counts: Counter[str] | None = Counter()
        """Value -> rows; None where they are too many."""
        self._lowest: list[float] = []
        self._highest: list[float] = []
        """The FEW smallest and largest numbers, in order."""

    @property
    def type(self) -> Type:
        """The narrowest."""
        return next(iter(self._readers))

    def meet(self, value: str) -> None:
        """One more value."""
        if value.lower() in MISSING:
            self._missing += 1
            self.words.add(value)
            return
        plain = self._read(value)
        if self._counts is not None:
            self._counts[plain] += 1
            if len(self._counts) > _MANY:
                self._counts = None
        if "number" in self._readers:
            self._bound(float(plain))

    def _read(self, value: str) -> str:
        """Its plain form in the narrowest type that every value fits; types that this one does not fit go."""
        plain = None
        for one, reader in list(self._readers.items()):
            try:
                found = reader[value]
            except WrongValueError:
                if one != "string":
                    del self._readers[one]
                    continue
                found = ""  # more than a line: no value of it is said anyhow
            plain = found if plain is None else plain
        return plain or ""

    def _bound(self, number: float) -> None:
        if len(self._lowest) < FEW or number < self._lowest[-1]:
            insort(self._lowest, number)
            del self._lowest[FEW:]
        if len(self._highest) < FEW or number > self._highest[0]:
            insort(self._highest, number)
            del self._highest[:-FEW]

    @property
    def listed(self) -> list[str]:
        """The values that a list of categories would have; none where it is no such column."""
        if self._counts is None or self.type not in ("integer", "string"):
            return []
        common = [value for value, rows in self._counts.items() if rows >= FEW]
        few = len(self._counts) <= MOST_LISTED
        return sorted(common, key=lambda one: (len(one), one) if self.type == "integer" else (0, one)) * few

    @property
    def _range(self) -> tuple[float, float] | None:
        """Around what all but the FEW - 1 smallest and largest values are in; None where that is unknown."""
        if self.type not in ("integer", "number") or len(self._lowest) < FEW:
            return None
        return around(self._lowest[-1], self._highest[0])

    def field(self) -> dict[str, Any]:
        """The column as a Table Schema's field."""
        constraints: dict[str, Any] = {} if self._missing else {"required": True}
        found: dict[str, Any] = {"name": self.name, "type": self.type, "title": self.name}
        if listed := self.listed:
            constraints["enum"] = [int(one) for one in listed] if self.type == "integer" else listed
        elif self._range:
            constraints["minimum"], constraints["maximum"] = map(_whole, self._range)
        return {**found, **({"constraints": constraints} if constraints else {})}

    def remarks(self, rows: int) -> list[str]:
        """What a person should look at; without a value that few patients have."""
        different = len(self._counts) if self._counts is not None else _MANY
        if self.type == "string" and not self.listed:
            return ["free text, which may name patients: leave the column out, unless a job needs it"]
        if self.type == "integer" and different >= min(_MANY, rows - self._missing) and rows > self._missing:
            return ["every patient has another value: leave the column out, if it is a number of theirs"]
        if self.listed and different > len(self.listed):
            return [f"values that fewer than {FEW} patients have are not listed: add those that may be"]
        if self._range and not self._range[0] <= self._lowest[0] <= self._highest[-1] <= self._range[1]:
            return [
                f"some values are outside {self._range[0]:g} to {self._range[1]:g}: correct them, or widen it"
            ]
        return []


def around(low: float, high: float) -> tuple[float, float]:
    """A round range, wider by half its width on each side, but not beyond 0 where no value is.

    Both ends are multiples of the largest power of ten that is at most the width.
    """
    width = (high - low) or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(width))
    first = math.floor((low - width / 2) / step) * step
    last = math.ceil((high + width / 2) / step) * step
    return (0.0 if low >= 0 else first), (0.0 if high <= 0 else last)


def _any(name: str, type_: Type) -> Column:
    return Column(
        name=name, type=type_, title="", unit="", required=False, minimum=-math.inf, maximum=math.inf,
        listed=(), labels={}, true=(), false=(),
    )  # fmt: skip


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else round(number, 12)
