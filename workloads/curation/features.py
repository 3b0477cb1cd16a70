"""How a job describes a feature, and what is shown of it at one site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .policy import REPEATED


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature, as `features` of a job's statistics.json lists them."""

    key: str
    label: str
    column: str
    """Features of one column divide the same patients: `cp=1`, `cp=2` and `cp=3` are of `cp`."""
    kind: str
    unit: str
    decimals: int
    low: float
    high: float
    cells: int
    whole: bool
    """Whether each cell of its histogram holds a single value."""
    may_be_missing: bool

    @property
    def missing(self) -> str:
        """Key of the indicator of patients without a value."""
        return f"{self.column} missing"

    @property
    def grid(self) -> list[tuple[float, float]]:
        """Bounds of its histogram's cells, lowest first."""
        width = (self.high - self.low) / self.cells
        return [(self.low + width * cell, self.low + width * (cell + 1)) for cell in range(self.cells)]

    @classmethod
    def read(cls, described: Sequence[Mapping[str, Any]]) -> "list[Feature]":
        """Those of one run, in the job's order.

        Raises TypeError where a field lacks or is unknown, ValueError where one is wrong or stands twice.
        """
        found = [cls(**fields) for fields in described]
        if len({feature.key for feature in found}) < len(found):
            raise ValueError("a feature is described twice")
        for feature in found:
            if feature.kind not in ("number", "indicator") or feature.cells < 1:
                raise ValueError(f"{feature.key}: kind {feature.kind!r}, {feature.cells} cells")
        return found


@dataclass(frozen=True, slots=True)
class Value:
    """A number for people, or None with the reason. With a number, the reason says that it is repeated."""

    value: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A histogram's cell: patients, and their share of the feature's count."""

    count: Value
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Described:
    """One feature at one site: statistics by name, cells lowest first, how many hospitals contributed."""

    statistics: Mapping[str, Value]
    cells: tuple[Cell, ...]
    hospitals: int = 1

    @property
    def shown(self) -> bool:
        """Whether count, mean and deviation are shown, so that the site counts in the federation's."""
        return self.statistics["count"].value is not None

    def repeated(self) -> "Described":
        """The same in a later run."""
        statistics = {name: _repeated(value) for name, value in self.statistics.items()}
        return replace(self, statistics=statistics, cells=repeated_cells(self.cells))


def repeated_cells(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    """The same cells in a later run."""
    return tuple(replace(cell, count=_repeated(cell.count)) for cell in cells)


def hidden_cells(feature: Feature, reason: str) -> tuple[Cell, ...]:
    """A histogram of which nothing is shown."""
    return tuple(Cell(Value(None, reason)) for _ in range(feature.cells))


def hidden(feature: Feature, reason: str, missing: Value | None = None) -> Described:
    """A feature of which nothing is shown, but perhaps how many patients lack it."""
    nothing = Value(None, reason)
    statistics = {"count": nothing, "mean": nothing, "stddev": nothing, "missing": missing or nothing}
    return Described(statistics, hidden_cells(feature, reason))


def _repeated(value: Value) -> Value:
    return value if value.value is None else Value(value.value, REPEATED)
