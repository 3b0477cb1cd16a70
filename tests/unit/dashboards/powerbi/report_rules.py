"""Our own rules for reports: a finished design, and nothing that the model does not have.

A report is read from its `.Report` folder. Each rule yields what is wrong, in words.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.unit.dashboards.powerbi.gates import Model

PAGE: Final = (1280, 720)
MOST_PAGES: Final = 10
MOST_VISUALS: Final = 20

_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}\b")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A visual as its file says it."""

    page: str
    document: Mapping[str, Any]

    @property
    def where(self) -> str:
        """The visual's place, for messages."""
        return f"{self.page}/{self.document['name']}"

    @property
    def kind(self) -> str:
        """Power BI's word for what it is."""
        return str(self.document["visual"]["visualType"])

    def said(self, group: str, name: str) -> str:
        """A text of the visual's frame (title, alternative text), empty where there is none."""
        for entry in self.document["visual"].get("visualContainerObjects", {}).get(group, ()):
            literal = entry["properties"].get(name, {}).get("expr", {}).get("Literal", {}).get("Value", "")
            return str(literal).removeprefix("'").removesuffix("'").replace("''", "'")
        return ""


def visuals(report: Path) -> list[Shown]:
    """Every visual of a report, page by page in their order, on each by tab order."""
    pages = report / "definition/pages"
    order = json.loads((pages / "pages.json").read_text(encoding="utf-8"))["pageOrder"]
    found = [
        Shown(page=page, document=json.loads(file.read_text(encoding="utf-8")))
        for page in order
        for file in sorted((pages / page).glob("visuals/*/visual.json"))
    ]
    return sorted(found, key=lambda shown: (order.index(shown.page), shown.document["position"]["tabOrder"]))


def report_faults(report: Path, model: Model) -> Iterator[str]:
    """Everything that is wrong with a report."""
    pages = report / "definition/pages"
    order = json.loads((pages / "pages.json").read_text(encoding="utf-8"))["pageOrder"]
    if len(order) > MOST_PAGES:
        yield f"{len(order)} pages: nobody reads more than {MOST_PAGES}"
    shown = visuals(report)
    for name in order:
        page = json.loads((pages / name / "page.json").read_text(encoding="utf-8"))
        if (page["width"], page["height"]) != PAGE:
            yield f"{name}: the page is {page['width']} x {page['height']}, not {PAGE[0]} x {PAGE[1]}"
        if not page["displayName"] or re.match(r"Page \d+$", page["displayName"]):
            yield f"{name}: the page has no name of its own"
        yield from _placing([visual for visual in shown if visual.page == name])
    for visual in shown:
        yield from _finish(visual)
        yield from _fields(visual, model)
    settings = json.loads((report / "definition/report.json").read_text(encoding="utf-8"))["settings"]
    if settings.get("exportDataMode") not in {"AllowSummarized", "None"}:
        yield "report: readers could export the rows behind a visual (exportDataMode)"


def _finish(visual: Shown) -> Iterator[str]:
    if re.fullmatch(r"[0-9a-f]{20}|Visual.*", visual.document["name"]):
        yield f"{visual.where}: its name says nothing"
    if not visual.said("general", "altText"):
        yield f"{visual.where}: it has no alternative text"
    if visual.kind not in {"textbox", "slicer"} and not visual.said("title", "text"):
        yield f"{visual.where}: it has no title"
    if visual.kind not in {"textbox", "slicer"} and not visual.said("visualHeaderTooltip", "text"):
        yield f"{visual.where}: nothing explains it (visualHeaderTooltip)"
    if _COLOUR.search(json.dumps(visual.document)):
        yield f"{visual.where}: it has a colour of its own; colours come from the theme"
    if "showAll" in json.dumps(visual.document):
        yield f"{visual.where}: it shows values without data (showAll)"


def _placing(shown: list[Shown]) -> Iterator[str]:
    """Inside the page, apart from each other, and numbered as people read."""
    if len(shown) > MOST_VISUALS:
        yield f"{shown[0].page}: {len(shown)} visuals are too many for one page"
    places = [(visual, visual.document["position"]) for visual in shown]
    for visual, at in places:
        if at["x"] < 0 or at["y"] < 0 or at["x"] + at["width"] > PAGE[0] or at["y"] + at["height"] > PAGE[1]:
            yield f"{visual.where}: it is outside the page"
    for (one, a), (other, b) in itertools.combinations(places, 2):
        if (
            a["x"] < b["x"] + b["width"]
            and b["x"] < a["x"] + a["width"]
            and a["y"] < b["y"] + b["height"]
            and b["y"] < a["y"] + a["height"]
        ):
            yield f"{one.where}: it overlaps {other.where}"
    if len({at["z"] for _, at in places}) < len(places):
        yield f"{shown[0].page}: two visuals have the same z"
    reading = [(at["y"], at["x"]) for _, at in places]
    if reading != sorted(reading) or len({at["tabOrder"] for _, at in places}) < len(places):
        yield f"{shown[0].page}: the tab order is not the reading order"


def _fields(visual: Shown, model: Model) -> Iterator[str]:
    tables = {table["name"]: table for table in model["tables"]}
    for kind, table, name in fields(visual.document):
        members = tables.get(table, {}).get("columns" if kind == "Column" else "measures", ())
        if name not in {member["name"] for member in members}:
            yield f"{visual.where}: the model has no {kind.lower()} {table}[{name}]"


def fields(node: Any, sources: Mapping[str, str] | None = None) -> Iterator[tuple[str, str, str]]:
    """Every (Column or Measure, table, name) in a document; filters name tables by a source of their own."""
    sources = sources or {}
    if isinstance(node, list):
        for inner in node:
            yield from fields(inner, sources)
    elif isinstance(node, Mapping):
        own = {one["Name"]: one["Entity"] for one in node.get("From", ())}
        for key, inner in node.items():
            if key in {"Column", "Measure"} and isinstance(inner, Mapping) and "Property" in inner:
                source = inner["Expression"]["SourceRef"]
                table = source.get("Entity") or {**sources, **own}.get(source.get("Source"), "")
                yield key, table, inner["Property"]
            yield from fields(inner, {**sources, **own})
