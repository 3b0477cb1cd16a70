"""A visual ready for the templates: its tables, a card's number, the keys of its charts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dashboards.local.content import Visual


@dataclass(frozen=True, slots=True)
class Cell:
    """A table's cell: text, why it is withheld, whether it is a number, its shade in a matrix (-5 to 5),
    whether it is a difference that may be none.
    """

    text: str
    reason: str = ""
    number: bool = False
    shade: int | None = None
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: headings, rows."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A visual ready for the template: its tables, the keys of its charts, a card's numbers, by choice."""

    visual: Visual
    grids: Mapping[str, Grid]
    charts: Mapping[str, str]
    half: bool = False
    cells: Mapping[str, Cell] = field(default_factory=dict)
