"""A visual ready for the templates: its tables, a card's number, the keys of its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dashboards.local.content import Visual


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: text, why it is withheld, whether it is a number, its shade in a matrix (-5 to 5)."""

    text: str
    reason: str = ""
    number: bool = False
    shade: int | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: headings, rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A visual ready for the template: its tables, and the keys of its charts, by choice."""

    visual: Visual
    grids: Mapping[str, Grid]
    charts: Mapping[str, str]
    half: bool = False
    cell: Cell | None = None
