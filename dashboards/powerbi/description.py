"""What the dashboards show, read from `pages.yaml` and `dax.yaml`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

Audience = Literal["hospital", "centre"]
AUDIENCES: Final[tuple[Audience, ...]] = ("hospital", "centre")
FOLDER: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure: `home` is the table that it is about, `format` Power BI's format string."""

    name: str
    home: str
    description: str
    format: str
    dax: str


#: Without it Power BI would sort a histogram by height.
CELL_POSITION: Final = Measure(
    name="Cell Position",
    home="fact_histogram",
    description="position of a histogram's cell, by which charts are sorted",
    format="0",
    dax="MIN ( fact_histogram[cell] )",
)


def _why(table: str, name: str) -> Measure:
    return Measure(
        name=name,
        home=table,
        description="why a value of this row is withheld, or repeated from an earlier run",
        format="@",
        dax=f"""
VAR Smallest = MAX ( dim_run[smallest_cell] )
RETURN
    CONCATENATEX (
        FILTER ( VALUES ( {table}[reason] ), {table}[reason] <> "" ),
        SUBSTITUTE ( {table}[reason], "k patients", Smallest & " patients" ),
        "; "
    )
""".strip(),
    )


#: Fact -> the measure that says why there is no number: where Power BI shows nothing, the reason stands.
WHY: Final[Mapping[str, Measure]] = {
    "fact_statistics": _why("fact_statistics", "Why No Statistic"),
    "fact_histogram": _why("fact_histogram", "Why No Cell"),
    "fact_metric": _why("fact_metric", "Why No Metric"),
    "fact_curve": _why("fact_curve", "Why No Curve"),
}
#: Measures that the models have beyond those of `pages.yaml`.
OWN_MEASURES: Final = (CELL_POSITION, *WHY.values())


@dataclass(frozen=True, kw_only=True)
class Field:
    """A column that a visual shows, with the words that people read above it."""

    table: str
    column: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Visual:
    """One visual; `where` are words of `pages.yaml` (own, latest, ...).

    `follows`: it shows what a reader chooses on its page; else everything whatever is chosen.
    """

    name: str
    title: str
    kind: str
    measures: tuple[Measure, ...]
    by: tuple[Field, ...]
    where: tuple[str, ...]
    follows: bool


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page; `choose` are the fields a reader selects from."""

    name: str
    title: str
    choose: tuple[Field, ...]
    visuals: tuple[Visual, ...]


def measures(audience: Audience) -> dict[str, Measure]:
    """Return the measures that a dashboard shows, in the order of `pages.yaml`."""
    used = {
        measure.name for page in pages(audience) for visual in page.visuals for measure in visual.measures
    }
    return {name: measure for name, measure in measures_by_name().items() if name in used}


def pages(audience: Audience) -> tuple[Page, ...]:
    """Return the pages of a dashboard, in their order."""
    return tuple(
        Page(
            name=page["name"],
            title=page["title"],
            choose=tuple(_fields(page.get("choose", ()))),
            visuals=tuple(_visual(visual) for visual in page["visuals"]),
        )
        for page in _read("pages.yaml")[audience]
    )


def _visual(visual: Mapping[str, Any]) -> Visual:
    return Visual(
        name=visual["name"],
        title=visual["title"],
        kind=visual["kind"],
        measures=tuple(measures_by_name()[name] for name in visual.get("measures", ())),
        by=tuple(_fields(visual.get("by", ()))),
        where=tuple(visual.get("where", "").split()),
        follows=bool(visual.get("follows", True)),
    )


def _fields(names: Any) -> Iterator[Field]:
    for name in names:
        table, _, column = name.partition(".")
        yield Field(table=table, column=column, label=_read("pages.yaml")["columns"][name])


@cache
def measures_by_name() -> dict[str, Measure]:
    """Every measure of `pages.yaml`."""
    dax = _read("powerbi/dax.yaml")
    return {
        name: Measure(
            name=name,
            home=stated["table"],
            description=stated["is"],
            format=stated["format"],
            dax=dax[name].strip(),
        )
        for name, stated in _read("pages.yaml")["measures"].items()
    }


@cache
def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found
