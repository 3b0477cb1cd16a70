"""Where the visuals of a page lie: title and choices, cards in a row, charts two by two, tables across."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dashboards.powerbi.description import Page, Visual

WIDTH: Final = 1280
HEIGHT: Final = 720

_MARGIN: Final = 24
_GAP: Final = 16
_HEADER: Final = 80
_CARDS: Final = 112
_CHOICE: Final = 280
#: A table of more columns than this needs the page's whole width.
_NARROW: Final = 5


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle on a page, in pixels."""

    x: int
    y: int
    width: int
    height: int


def title(choices: int) -> Box:
    """Return the page's title, next to what a reader chooses from."""
    width = WIDTH - 2 * _MARGIN - max(1, choices) * (_CHOICE + _GAP)
    return Box(x=_MARGIN, y=_GAP, width=width, height=_HEADER)


def choice(place: int) -> Box:
    """Return what a reader chooses from; place 0 is the rightmost."""
    return Box(x=WIDTH - _MARGIN - _CHOICE - place * (_CHOICE + _GAP), y=_GAP, width=_CHOICE, height=_HEADER)


def boxes(page: Page) -> Iterator[tuple[Visual, Box]]:
    """Every visual of a page with its place, in reading order."""
    top = _GAP + _HEADER + _GAP
    cards = [visual for visual in page.visuals if visual.kind == "card"]
    if cards:
        yield from _row(cards, top, _CARDS)
        top += _CARDS + _GAP
    rows = list(_rows([visual for visual in page.visuals if visual.kind != "card"]))
    height = (HEIGHT - _MARGIN - top - _GAP * (len(rows) - 1)) // len(rows)
    for row in rows:
        yield from _row(row, top, height)
        top += height + _GAP


def _rows(visuals: Sequence[Visual]) -> Iterator[list[Visual]]:
    row: list[Visual] = []
    for visual in visuals:
        if row and (len(row) == 2 or _is_wide(visual) or _is_wide(row[0])):
            yield row
            row = []
        row.append(visual)
    yield row


def _is_wide(visual: Visual) -> bool:
    return visual.kind == "table" and len(visual.measures) + len(visual.by) > _NARROW


def _row(visuals: Sequence[Visual], top: int, height: int) -> Iterator[tuple[Visual, Box]]:
    width = (WIDTH - 2 * _MARGIN - _GAP * (len(visuals) - 1)) // len(visuals)
    for number, visual in enumerate(visuals):
        yield visual, Box(x=_MARGIN + number * (width + _GAP), y=top, width=width, height=height)
