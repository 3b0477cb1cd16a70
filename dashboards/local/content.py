"""What is on each page: pages.yaml evaluated over a party's tables, still without any look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from dashboards.local.cube import FILTERS, Cube, Number, Row
from workloads.curation.schema import FEDERATION_METRICS, SITE_METRICS

PAGES: Mapping[str, Any] = yaml.safe_load((Path(__file__).parents[1] / "pages.yaml").read_text())

_ORDER = {
    "dim_site.site_label": "dim_site.sort_order",
    "dim_feature.feature_label": "dim_feature.sort_order",
    "dim_run.run_label": "dim_run.started_at",
    "fact_histogram.cell_label": "fact_histogram.cell",
}
"""Column that people see -> the column it is sorted by."""


_METRICS = list(dict.fromkeys(one.label for one in (*FEDERATION_METRICS.values(), *SITE_METRICS.values())))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a visual's numbers: its words (a value for each `by`) and its measures."""

    words: tuple[Any, ...]
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class Visual:
    """A visual with its numbers; with something to choose, those of each choice."""

    name: str
    title: str
    kind: str
    measures: tuple[str, ...]
    by: tuple[str, ...]
    lines: Mapping[str, Sequence[Line]] = field(default_factory=dict)
    """Choice -> lines; the one key is empty where nothing is chosen."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page; `choices`: what a reader may choose from, the first one shown first."""

    name: str
    title: str
    choices: tuple[str, ...]
    visuals: tuple[Visual, ...]


def pages(cube: Cube, audience: str) -> list[Page]:
    """All pages for `hospital` or `centre`."""
    return [_page(cube, described) for described in PAGES[audience]]


def _page(cube: Cube, described: Mapping[str, Any]) -> Page:
    choose = tuple(described.get("choose", ()))
    visuals = tuple(_visual(cube, one, choose) for one in described["visuals"])
    choices = tuple(dict.fromkeys(choice for one in visuals for choice in one.lines if choice))
    return Page(described["name"], described["title"], choices, visuals)


def _visual(cube: Cube, described: Mapping[str, Any], choose: Sequence[str]) -> Visual:
    measures, by = tuple(described.get("measures", ())), tuple(described.get("by", ()))
    visual = Visual(described["name"], described["title"], described["kind"], measures, by)
    if not measures:
        return visual
    table = PAGES["measures"][measures[0]]["table"]
    rows = [
        row
        for row in cube.rows[table]
        if all(FILTERS[word](row) for word in described.get("where", "").split())
    ]
    follows = described.get("follows", True) and rows and choose and all(one in rows[0] for one in choose)
    chosen = choose if follows else ()
    choices = [(", ".join(map(str, words)), group) for words, group in _groups(rows, chosen)]
    choices = choices or [("", rows)]
    lines = {choice: _lines(cube, measures, by, group) for choice, group in choices}
    return Visual(visual.name, visual.title, visual.kind, measures, by, lines)


def _lines(cube: Cube, measures: Sequence[str], by: Sequence[str], rows: Sequence[Row]) -> list[Line]:
    if not by:
        return [Line((), tuple(cube.measure(name, rows) for name in measures))]
    found = [
        Line(words, tuple(cube.measure(name, group) for name in measures))
        for words, group in _groups(rows, by)
    ]
    if any(one.endswith(".reason") for one in by):  # numbers of what is withheld: nothing is no line
        return [line for line in found if any(one.value for one in line.numbers)]
    return [line for line in found if any(one.value is not None or one.reason for one in line.numbers)]


def _groups(rows: Sequence[Row], by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], list[Row]]]:
    """Rows by the values of columns, in the order for people."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(rows, key=lambda row: tuple(_place(row, one) for one in by)):
        found.setdefault(tuple(row[one] for one in by), []).append(row)
    yield from found.items()


def _place(row: Row, column: str) -> tuple[int, Any]:
    """Where a row comes by a column; nothing comes first."""
    value = row[_ORDER.get(column, column)]
    if column == "fact_metric.metric_label":
        return (0, _METRICS.index(value))
    if value is None:
        return (0, 0)
    return (1, value.timestamp() if isinstance(value, datetime) else value)
